"""What a run of the same folder leaves of scans, subjects and protocols that the manifest no longer names."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import somray
from somray.domain.tables import TABLES
from somray.report.pages import write_report
from somray.runtime.serial import SerialExecutor
from tests.pipeline.tiny import QUICK, body, run_tiny, save, write_manifest

ROWS = [("a", "t0", "p", "a.nii"), ("b", "t0", "p", "b.nii"), ("c", "t0", "q", "c.nii")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three subjects in two protocols, run; then one subject and one protocol taken out, run again."""
    place = tmp_path_factory.mktemp("changing")
    for seed, name in enumerate("abc"):
        save(place / f"{name}.nii", body(seed=seed))
    write_manifest(place, ROWS, {"p": QUICK, "q": QUICK})
    run_tiny(place, report=write_report)
    assert "sub-b.html" in (place / "run/report/index.html").read_text()
    assert (place / "run/models/q/model.json").exists()
    write_manifest(place, ROWS[:1], {"p": QUICK})
    summary = run_tiny(place, report=write_report)
    assert summary["executed"] == 0
    return place


def test_the_report_names_a_subject_no_more_and_its_page_is_gone(folder):
    index = (folder / "run/report/index.html").read_text()
    assert "sub-a.html" in index
    assert "sub-b" not in index
    assert "sub-c" not in index
    assert [p.name for p in (folder / "run/report").glob("sub-*")] == ["sub-a.html"]


def test_scans_models_and_marks_are_gone(folder):
    run = folder / "run"
    assert [p.name for p in (run / "scans").iterdir()] == ["sub-a_ses-t0.ome.zarr"]
    assert [p.name for p in (run / "models").iterdir()] == ["p"]
    left = [p for p in (run / "work").rglob("*.json") if "sub-b" in p.name or "sub-c" in p.name]
    assert left == []


@pytest.mark.parametrize("table", TABLES)
def test_no_table_holds_a_row_of_it(folder, table):
    frame = pd.read_parquet(folder / "run/tables" / table)
    assert set(frame.get("subject", pd.Series(dtype=str)).dropna()) <= {"a"}
    assert set(frame["protocol"]) <= {"p"}


def test_a_renamed_subject_is_there_once(tmp_path):
    save(tmp_path / "a.nii", body())
    write_manifest(tmp_path, [("old", "t0", "p", "a.nii")])
    run_tiny(tmp_path)
    write_manifest(tmp_path, [("new", "t0", "p", "a.nii")])
    summary = run_tiny(tmp_path)
    run = somray.open_run(tmp_path / "run")
    assert summary["failed"] == 0
    assert set(run.table("scans")["subject"]) == set(run.table("slices")["subject"]) == {"new"}
    assert [p.name for p in (tmp_path / "run/scans").iterdir()] == ["sub-new_ses-t0.ome.zarr"]


def test_a_file_that_broke_after_a_run_leaves_no_image_behind(tmp_path):
    for seed, name in enumerate("ab"):
        save(tmp_path / f"{name}.nii", body(seed=seed))
    write_manifest(tmp_path, ROWS[:2])
    run_tiny(tmp_path)
    path = Path(tmp_path / "a.nii")
    path.write_bytes(path.read_bytes()[:1000])
    summary = run_tiny(tmp_path)
    run = somray.open_run(tmp_path / "run")
    assert summary["failed"] == 1
    assert run.table("failures")["code"].tolist() == ["truncated"]
    assert [p.name for p in (tmp_path / "run/scans").iterdir()] == ["sub-b_ses-t0.ome.zarr"]
    assert set(run.table("lesions")["subject"]) == {"b"}


def test_a_renamed_session_is_aligned_under_its_new_name(tmp_path):
    protocols = {"p": QUICK | {"registration": {"pairs": ["sessions"]}}}
    for name in "ab":
        save(tmp_path / f"{name}.nii", body(seed=ord(name)))
    for last in ("t1", "later"):
        write_manifest(tmp_path, [("s", "t0", "p", "a.nii"), ("s", last, "p", "b.nii")], protocols)
        run_tiny(tmp_path)
    aligned = somray.open_run(tmp_path / "run").table("alignment")
    assert set(aligned["session"]) == {"t0", "later"}


def test_a_model_that_was_cleared_away_is_fitted_again_and_nothing_else(tmp_path):
    save(tmp_path / "a.nii", body())
    write_manifest(tmp_path, ROWS[:1])
    run_tiny(tmp_path)
    folder = tmp_path / "run/models/p"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    shutil.rmtree(folder)
    assert run_tiny(tmp_path)["executed"] == 1
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


class Told(SerialExecutor):
    """Notes the stage of every unit."""

    def __init__(self, stages):
        super().__init__()
        self.stages = stages

    async def submit(self, function, unit, shared=None, actor=None):
        self.stages.append(unit.stage)
        return await super().submit(function, unit, shared, actor)


def test_days_alone_change_rows_and_read_no_pixel(tmp_path):
    for seed, name in enumerate("ab"):
        save(tmp_path / f"{name}.nii", body(seed=seed))
    save(tmp_path / "c.nii", np.zeros((8, 32, 32), dtype=np.int16))  # blank, set aside
    rows = [("s", "t0", "p", "a.nii"), ("s", "t1", "p", "b.nii"), ("s", "t2", "p", "c.nii")]
    write_manifest(tmp_path, rows)
    run_tiny(tmp_path)
    lines = (tmp_path / "scans.csv").read_text().split()
    days = ("days", "30", "0", "7.5")
    (tmp_path / "scans.csv").write_text("\n".join(map(",".join, zip(lines, days, strict=True))))
    stages = []
    run_tiny(tmp_path, Told(stages))
    assert "ingest" not in stages
    assert stages.count("evolve") == 1  # t1 comes first now
    scans = somray.open_run(tmp_path / "run").table("scans").set_index("session")
    assert scans["days"].to_dict() == {"t0": 30.0, "t1": 0.0, "t2": 7.5}
    assert scans["status"].to_dict() == {"t0": "done", "t1": "done", "t2": "quarantined"}
    assert run_tiny(tmp_path)["executed"] == 0
