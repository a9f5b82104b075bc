"""The plan beside a run: what there will be to do, by the first scans of each protocol."""

import pytest

from somray.commands.launch import load_cohort
from somray.commands.progress import planning
from somray.commands.progress.forecast import StageCost
from somray.commands.progress.planning import Planning, planned
from somray.domain.work import MIB
from somray.errors import PlanError
from somray.pipeline.plan import count_plan, make_plan
from tests.pipeline.tiny import QUICK, body, save, write_manifest


@pytest.fixture
def cohort(tmp_path):
    """Four subjects of one session."""
    rows = []
    for n in range(4):
        save(tmp_path / f"{n}.nii", body(seed=n))
        rows.append((f"s{n}", "t0", "p", f"{n}.nii"))
    reference = {"subject": "s3", "session": "t0", "slices": [3]}
    write_manifest(
        tmp_path, rows, {"p": {**QUICK, "teacher": {"reference": reference}}, "q": QUICK}
    )
    return load_cohort(tmp_path / "cohort.yaml")


def test_a_small_cohort_is_planned_whole(cohort):
    found, whole = planned(cohort), make_plan(cohort).stages
    assert {name: cost.units for name, cost in found.items() if name != "report"} == {
        name: stage.units for name, stage in whole.items()
    }
    assert found["report"].units == 1
    assert found["som"].seconds > 3600 * whole["som"].cpu_hours


def test_more_scans_are_counted_as_like_the_first_ones(cohort, monkeypatch):
    whole = planned(cohort)
    monkeypatch.setattr(planning, "MOST_SCANS", 2)
    some = planned(cohort)
    assert {n: c.units for n, c in some.items()} == {n: c.units for n, c in whole.items()}


def test_the_subject_of_the_teachers_slices_is_among_the_first(cohort, monkeypatch):
    monkeypatch.setattr(planning, "MOST_SCANS", 1)
    (first,) = planning._first(cohort, "p", list(cohort.scans))
    assert first.subject == "s3"


def test_what_cannot_be_planned_stops_nothing(cohort, monkeypatch):
    monkeypatch.setattr(planning, "planned", lambda cohort: 1 / 0)
    made = Planning(cohort).begin()
    made.refuse(0.0)
    assert made.plan is None


def test_a_unit_that_no_node_holds_is_refused_in_the_words_of_check(cohort):
    made, whole = Planning(cohort).begin(), count_plan(cohort).stages
    widest = max(stage.peak_bytes for name, stage in whole.items() if name != "evolve")
    made.refuse(widest)
    with pytest.raises(
        PlanError, match=r"the plan cannot fit: a task may take \d+ MiB \(what this"
    ) as run:
        made.refuse(widest - 1)
    cohort.config.resources.__dict__["task_memory_mb"] = (widest - 1) / MIB
    with pytest.raises(PlanError, match=r"resources\.task_memory_mb") as check:
        make_plan(cohort)
    wide = str(run.value).partition("needs are: ")[2].partition(";")[0]
    assert wide
    assert wide in str(check.value)


def test_what_a_plan_makes_up_refuses_nothing(cohort, monkeypatch):
    made_up = {"evolve": StageCost(1, 1.0, 10**12)}
    monkeypatch.setattr(planning, "planned", lambda cohort: made_up)
    Planning(cohort).begin().refuse(1.0)
