"""Change over a cohort: every response with its reason, few marks for many subjects, totals that add up."""

from pathlib import Path

import numpy as np
import pytest

from somray.report.data.courses import DiseaseCourse
from somray.report.figures.cohort.change import MOST_BARS, spaghetti, waterfall
from somray.report.pages import write_report

from .objects_run import PROTOCOL, build, burden_row
from .small_run import EVIL
from .test_pages import section


def course(
    name: str, volumes: tuple[float, ...], new: int = 0, response: str | None = None
) -> DiseaseCourse:
    rows = [{"session": f"t{n}", "volume_mm3": 1000.0 * v, "tlg": None, "lesions": 1,
             "response": response if n == len(volumes) - 1 else None}
            for n, v in enumerate(volumes)]  # fmt: skip
    return DiseaseCourse(name, rows, tuple(90.0 * n for n in range(len(volumes))), new)


def many(count: int) -> list[DiseaseCourse]:
    rng = np.random.default_rng(0)
    first, second = rng.lognormal(2, 1, count), rng.lognormal(2, 1, count)
    told = ("PD", "SD", "PR", None)
    return [
        course(f"P{n:04d}", (first[n], second[n]), n % 7 == 0, told[n % 4]) for n in range(count)
    ]


def test_the_cohorts_page_tells_change_response_and_totals(tmp_path: Path):
    run = build(tmp_path, sessions=2)
    rows = [
        burden_row("t0", 4000.0, tlg=12.0),
        burden_row("t1", 500.0, response="PMR", reason=f"cooled {EVIL}"),
    ]
    run.rows("burden", PROTOCOL, rows)
    write_report(str(run.root))
    shown = section(run.page(), "p0-burden")
    for told in ("1 PMR (partial metabolic response", "cooled &lt;script", "−88", "Waterfall of 1 subject",
                 "Volume of 1 subject over up to 2 sessions", "TLG of 1 subject", "Totals by session"):  # fmt: skip
        assert told in shown
    assert EVIL not in shown


def test_change_counts_from_the_first_session_to_the_last():
    assert course("a", (2.0, 9.0, 1.0)).change == pytest.approx(-0.5)
    assert course("a", (0.0, 1.0)).change == np.inf
    assert course("a", (0.0, 0.0)).change is None
    assert course("a", (3.0,)).change is None


def test_a_waterfall_of_many_subjects_has_few_bars_and_says_so():
    few, lots = waterfall(many(12), "w"), waterfall(many(2500), "w")
    assert "P0003" in few
    assert "P0003" not in lots
    assert f"{MOST_BARS} of 2500 subjects" in lots
    assert len(lots) < 120_000
    grown = sum(c.change > 0 for c in many(2500))
    assert f"{grown} with more volume" in lots


def test_courses_of_many_subjects_are_bands_with_the_extremes_by_name():
    few, some, lots = (
        spaghetti(many(n), "volume_mm3", "volume (ml)", "s", 1e-3) for n in (5, 100, 2500)
    )
    assert "P0004" in few
    assert "median" not in some
    assert "median" in lots
    assert lots.count(">P") == some.count(">P") == 6
    assert max(len(some), len(lots)) < 100_000
