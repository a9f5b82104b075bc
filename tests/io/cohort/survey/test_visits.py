import pytest

from tests.io.cohort.trees import nifti, seen, series

SETS = {
    "A": ["pre", "post"], "B": ["week2", "week10", "week26"], "C": ["baseline", "followup1", "followup2"],
    "D": ["screening", "month3", "month12"], "E": ["t1", "t2", "t10"],
}  # fmt: skip


def test_sessions_stand_in_the_order_of_time(tmp_path):
    for subject, sessions in SETS.items():
        for session in sessions:
            nifti(tmp_path / subject / session / "ct.nii.gz")
    rows, notes = seen(tmp_path, "subject", "session", "days")
    assert [row[:2] for row in rows] == [(s, t) for s, sessions in SETS.items() for t in sessions]
    assert [row[2] for row in rows if row[0] == "B"] == ["14", "70", "182"]
    assert "natural order" in notes


@pytest.mark.parametrize(
    "layout", ["{s}/{t}/ct.nii.gz", "{s}/{t}.nii.gz", "{s}_{t}.nii.gz", "{t}/{s}.nii.gz", "{t}/{s}/ct.nii.gz",
               "{s}/{t}/DICOM/ct.nii.gz", "{s}/ct_{t}.nii.gz", "site/{s}-{t}/ct.nii.gz"]
)  # fmt: skip
def test_time_is_found_wherever_a_name_holds_it(tmp_path, layout):
    for subject in ("P01", "P02"):
        for session in ("baseline", "week2", "week10"):
            nifti(tmp_path / layout.format(s=subject, t=session))
    rows, _ = seen(tmp_path, "subject", "session", "days")
    times = [("baseline", "0"), ("week2", "14"), ("week10", "70")]
    assert rows == [(s, *t) for s in ("P01", "P02") for t in times]


def test_visits_of_trials_are_no_people(tmp_path):
    sessions = ("Pre-treatment", "Cycle 2", "C10D1", "UNSCHEDULED", "End of treatment", "05Mar2023")
    for subject in ("ID1", "ID2"):
        for session in sessions:
            nifti(tmp_path / subject / session / "ct.nii.gz")
    assert {row[0] for row in seen(tmp_path, "subject")[0]} == {"ID1", "ID2"}
    nifti(tmp_path / "s" / "S1-Dec2019" / "ct.nii.gz")  # no date: two ids
    nifti(tmp_path / "s" / "S2-Dec2019" / "ct.nii.gz")
    assert len({row[0] for row in seen(tmp_path / "s", "subject")[0]}) == 2


def test_dates_of_headers_order_what_names_do_not(tmp_path):
    for name, day in (("x1", "20200301"), ("x2", "20200101"), ("x3", "20200201")):
        series(tmp_path / "P01" / name, "A1", day)
    rows, _ = seen(tmp_path, "subject", "session", "days")
    assert rows == [("P01", "x2", "0"), ("P01", "x3", "31"), ("P01", "x1", "60")]


def test_dates_of_headers_win_over_names(tmp_path):
    series(tmp_path / "P01" / "pre", "A1", "20200301")
    series(tmp_path / "P01" / "post", "A1", "20200101")
    rows, _ = seen(tmp_path, "session", "days")
    assert rows == [("post", "0"), ("pre", "60")]


def test_dates_in_folders_count_days_and_are_warned_of(tmp_path):
    for day in ("2020-03-01", "2020-01-01"):
        nifti(tmp_path / "P01" / day / "ct.nii.gz")
    rows, notes = seen(tmp_path, "session", "days")
    assert rows == [("2020-01-01", "0"), ("2020-03-01", "60")]
    assert "hold dates" in notes


def test_an_order_that_nothing_tells_is_called_a_guess(tmp_path):
    for name in ("post", "post_a"):
        nifti(
            tmp_path
            / "sub-1"
            / f"ses-{name.replace('_', '')}"
            / f"sub-1_ses-{name.replace('_', '')}_ct.nii.gz"
        )
    _, notes = seen(tmp_path, "session")
    assert "is a guess" in notes


def test_what_nothing_dates_is_no_later_visit(tmp_path):
    series(tmp_path / "P01" / "a", "A1", "20200101")
    series(tmp_path / "P01" / "b", "A1", "20200301")
    series(tmp_path / "P01" / "c", "A1", "")
    rows, notes = seen(tmp_path, "session", "days")
    assert rows == [("a", "0"), ("b", "60")]
    assert "at which of subject P01's visits" in notes


def test_phases_and_kernels_are_no_time_points(tmp_path):
    for patient in ("P01", "P02"):
        for phase in ("arterial", "venous"):
            series(tmp_path / patient / phase, patient="anon", day="")
    rows, _ = seen(tmp_path, "subject", "session", "protocol")
    assert rows == [
        (s, f"t0-{p}", f"ct-{p}") for s in ("P01", "P02") for p in ("arterial", "venous")
    ]


def test_a_second_scan_of_the_same_kind_at_one_visit_is_left_out(tmp_path):
    series(tmp_path / "P01" / "s1", "A1", ConvolutionKernel="B30f")
    series(tmp_path / "P01" / "s2", "A1", ConvolutionKernel="B70f")
    series(tmp_path / "P01" / "s3", "A1", count=3, ConvolutionKernel="B70f")
    rows, notes = seen(tmp_path, "session", "protocol", "path")
    assert rows == [("t0-b30f", "ct", "P01/s1"), ("t0-b70f", "ct-b70f", "P01/s2")]
    assert "left out (repeat): P01/s3" in notes


def test_a_week_before_the_first_is_before_it(tmp_path):
    for visit in ("W0", "W-1", "W4"):
        nifti(tmp_path / "P1" / visit / "ct.nii.gz")
    for visit in ("week -2", "week 2"):
        nifti(tmp_path / "P2" / visit / "ct.nii.gz")
    rows, _ = seen(tmp_path, "subject", "session", "days")
    assert rows == [
        ("P1", "W-1", "-7"), ("P1", "W0", "0"), ("P1", "W4", "28"),
        ("P2", "week-minus2", "-14"), ("P2", "week-2", "14"),
    ]  # fmt: skip


def test_folders_that_recur_within_people_may_be_visits(tmp_path):
    for person in ("anna", "bert"):
        for visit in ("acute", "chronic"):
            nifti(tmp_path / person / visit / "ct.nii.gz")
    _, notes = seen(tmp_path, "subject")
    assert notes.count("kept apart; if these are visits of one person") == 2
