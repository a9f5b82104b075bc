import pytest

from somray.domain.scan import Scan
from somray.io.cohort.doubts import doubts_of


def scans(*rows):
    """Scans of (subject, session, days) in their order."""
    made, order = [], {}
    for subject, session, days in rows:
        number = order[subject] = order.get(subject, -1) + 1
        made.append(Scan(subject, session, "p", ("x",), "x", order=number, days=days))
    return made


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([("01", "t0", None), ("1", "t0", None)], "01 and 1 are taken for different people"),
        ([("S1", "t0", None), ("s01", "t0", None)], "S1 and s01"),
        ([("a", "t0", None), ("a", "T00", None)], "sessions of a (t0 and T00)"),
        ([("1-Mar", "t0", None)], "subjects 1-Mar may be dates"),
        ([("a", "t0", 0.0), ("a", "t1", None)], "`days` of subjects a order nothing"),
        ([("a", "t0", 7.0), ("a", "t1", 7.0)], "sessions of subjects a share a day"),
        ([("a", "2023-05-01", None), ("a", "2022-05-01", None)], "a (2023-05-01, 2022-05-01)"),
        ([("a", "post", None), ("a", "pre", None)], "a (post, pre)"),
        ([("a", "week10", 0.0), ("a", "week2", 56.0)], "correct `days`"),
    ],
)
def test_what_is_hardly_meant_is_told(rows, words):
    (told,) = doubts_of(scans(*rows))
    assert words in told


@pytest.mark.parametrize(
    "rows",
    [
        [("a", "t2", None), ("a", "t10", None), ("b", "t0", None)],
        [("a", "2022-05-01", 0.0), ("a", "2023-05-01", 365.0)],
        [("a", "rest", None), ("a", "aside", None)],  # names that say nothing of time
        [("10", "t0", None), ("100", "t0", None), ("1", "t0", None)],
    ],
)
def test_what_is_meant_is_not_doubted(rows):
    assert doubts_of(scans(*rows)) == []


def test_a_file_of_two_scans_is_told():
    pet_of_another = [Scan(s, "t0", "p", (f"{s}.ct", "a.pet"), "x") for s in "ab"]
    assert doubts_of(pet_of_another) == ["subjects a and b share a file; correct the path of one"]
    one_ct = [Scan("a", t, "p", ("a.ct", f"{t}.pet"), "x") for t in ("rest", "stress")]
    assert doubts_of(one_ct) == []
    truths = [Scan(s, "t0", "p", (f"{s}.ct",), "x", truth="a.nii") for s in "ab"]
    assert doubts_of(truths) == [
        "scans a t0 and b t0 name the same `truth`; a mask is drawn on one scan"
    ]


def test_many_are_counted():
    rows = [(f"{kind}{n}", "t0", None) for n in range(9) for kind in "sS"]
    assert "and 4 more" in doubts_of(scans(*rows))[0]
