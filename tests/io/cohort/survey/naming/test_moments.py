import itertools

import pytest

from somray.io.cohort.survey.naming.moments import natural_key, ordered

ROWS = [
    ["pre", "post"],
    ["week2", "week10", "week26"],
    ["baseline", "followup1", "followup2"],
    ["screening", "month3", "month12"],
    ["t1", "t2", "t10"],
    ["baseline", "day3", "week2", "month1", "6mo", "1y"],
    ["2 days", "1 week", "3_months", "2-years"],
    ["ses-1", "ses-2", "ses-10"],
    ["1", "2", "10"],
    ["01", "02", "10"],
    ["pretreatment", "interim", "posttreatment"],
    ["preop", "postop", "postop2"],
    ["visit1", "visit2", "final"],
    ["bl", "fu1", "fu2", "fu10"],
    ["baseline", "follow-up", "follow-up_2"],
    ["2019-12-31", "20200101", "2020.02.01"],
    ["31.12.2019", "01.01.2020"],
    ["02-13-2000-x-1", "01-05-2001-y-2"],
    ["baseline", "2020-01-01"],
    ["C1D1", "C1D15", "C3D1", "C10D1"],
    ["Pretreatment", "Cycle-2", "Cycle-10", "EOT"],
    ["30 Dec 2022", "5-jan-2023", "05Mar2023"],
    ["December 30, 2022", "Jan_5th_2023", "2023-Mar-05"],
    ["0h", "6h", "24 hours", "2d"],
]


@pytest.mark.parametrize("row", ROWS, ids=lambda r: r[0])
def test_sessions_come_in_the_order_of_time_however_they_are_listed(row):
    for names in itertools.islice(itertools.permutations(row), 24):
        found, _, how = ordered(names)
        assert found == row
        assert how


@pytest.mark.parametrize(
    ("row", "days"),
    [
        (["baseline", "week2", "week10"], [0, 14, 70]),
        (["week2", "week10"], [14, 70]),
        (["day3", "1week", "month3", "1y"], [3, 7, 91, 365]),
        (["2020-01-01", "2020-03-01", "2021-01-01"], [0, 60, 366]),
        (["01-01-2000-NA-NA-1", "01-01-2001-NA-NA-2"], [0, 366]),
        (["2006-04-18_08_20_30.0", "2006-11-02_08_16_44.0"], [0, 198]),
        (["0h", "6h", "2d"], [0, 0.25, 2]),
        (["pre", "post"], []),
        (["screening", "month3"], []),
        (["t1", "t2"], []),
    ],
)
def test_days_are_told_where_every_name_tells_them(row, days):
    _, found, _ = ordered(row)
    assert [found[name] for name in row if name in found] == days


@pytest.mark.parametrize(
    "names",
    [
        ["a", "b"], ["alpha", "week2"], ["t1", "week2"], ["03-04-2020", "05-04-2020"], ["post", "post-a"],
        ["week2", "14 days"], ["2020-13-45", "2020-01-01"],
        ["v1", "unscheduled"],
    ],
)  # fmt: skip
def test_an_order_that_names_do_not_tell_is_called_a_guess(names):
    found, days, how = ordered(names)
    assert sorted(found) == sorted(names)
    assert (days, how) == ({}, "")


def test_numbers_within_names_sort_as_numbers():
    assert sorted(["s10", "s9", "S1", "s01b"], key=natural_key) == ["S1", "s01b", "s9", "s10"]
