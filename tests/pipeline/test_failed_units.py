"""Whoever's work failed can be found by subject, whatever stage it was."""

import shutil

import pandas as pd
import pytest

import somray
from somray.commands.launch import load_cohort
from somray.pipeline.cohort import run_cohort
from somray.pipeline.plan import RunPlan, make_plan
from somray.runtime.serial import SerialExecutor


def test_every_unit_tells_whose_work_it_is(cohort_folder, monkeypatch):
    units = []
    monkeypatch.setattr(RunPlan, "add", lambda self, unit: units.append(unit))
    make_plan(load_cohort(cohort_folder / "cohort.yaml", ()))
    subjects = {"s01", "s02", "cut", "twin", "gone"}
    assert {unit.subject for unit in units} == subjects
    of_a_subject = {"evolve"} | {u.stage for u in units if u.name.endswith("+align")}
    assert of_a_subject == {"evolve", "register"}
    for unit in units:
        assert unit.session or unit.stage == "evolve" or unit.name.endswith("+align"), unit.name
    pair = next(unit for unit in units if "+sessions+" in unit.name)
    assert (pair.subject, pair.session) == ("s01", "t1")


def test_a_subject_whose_first_session_cannot_be_used_has_no_baseline(
    cohort_folder, tmp_path, monkeypatch
):
    folder = shutil.copytree(cohort_folder, tmp_path / "cohort")
    rows = pd.read_csv(folder / "scans.csv", dtype=str)
    rows.loc[(rows.subject == "s01") & (rows.session == "t0"), "path"] = "nowhere.nii.gz"
    rows.to_csv(folder / "scans.csv", index=False)
    units = []
    monkeypatch.setattr(RunPlan, "add", lambda self, unit: units.append(unit))
    make_plan(load_cohort(folder / "cohort.yaml", ()))
    followed = {u.subject: u.item.follows_missing for u in units if u.stage == "evolve"}
    assert followed.pop("s01") is True
    assert followed
    assert not any(followed.values())


class Failing(SerialExecutor):
    """Fails where sessions are brought together or compared, and where lesions are followed."""

    async def submit(self, function, unit, shared=None, actor=None):
        if unit.stage == "evolve" or "+sessions+" in unit.name or unit.name.endswith("+align"):
            function = _broken
        return await super().submit(function, unit, shared, actor)


def _broken(item, shared):
    raise RuntimeError("oops")


@pytest.mark.slow
def test_failures_of_sessions_and_lesions_name_their_subject(cohort_folder, tmp_path):
    settings = f"output={tmp_path / 'run'}", "protocols.phantom-ct.segment=som"
    cohort = load_cohort(cohort_folder / "cohort.yaml", settings)
    run_cohort(cohort, Failing(), lambda root: None)
    failures = somray.open_run(tmp_path / "run").table("failures")
    told = failures[failures.code == "internal"]
    expected = [("evolve", None), ("register", None), ("register", "t1"), ("residuals", "t1")]
    for subject in ("s01", "s02"):
        rows = told[told.subject == subject].sort_values(["stage", "session"], na_position="first")
        found = [
            (r.stage, r.session if isinstance(r.session, str) else None) for r in rows.itertuples()
        ]
        assert found == expected
    assert len(told) == 8
