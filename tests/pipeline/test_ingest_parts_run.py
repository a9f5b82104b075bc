"""A run whose scans are taken in by several units: killed, damaged, replaced, copied, planned."""

import os
import shutil
from collections import Counter

import numpy as np
import pytest

import somray
from somray.commands.launch import load_cohort
from somray.io.ledger import Ledger
from somray.io.ome.image import is_complete
from somray.io.storage import Storage
from somray.runtime.serial import SerialExecutor
from somray.stages import ingest
from somray.stages.ingest import item as items
from tests.pipeline.planned import executed_units, planned_units
from tests.pipeline.tiny import body, run_tiny, save, write_manifest

SHAPE = (70, 24, 24)  # three slabs
SCAN = "scans/sub-a_ses-t0.ome.zarr"


@pytest.fixture(autouse=True)
def in_parts(monkeypatch):
    """A unit takes one slab."""
    monkeypatch.setattr(items, "PART_BYTES", 32 * SHAPE[1] * SHAPE[2] * 4)


class Watched(SerialExecutor):
    """Counts ingest's units by function; dies after some."""

    def __init__(self, lives=None):
        self.count, self.lives = Counter(), lives

    async def submit(self, function, unit, shared=None, actor=None):
        if unit.stage == "ingest":
            if self.lives == self.count.total():
                raise KeyboardInterrupt
            self.count[function.__name__] += 1
        return await super().submit(function, unit, shared, actor)


def cohort(folder, *names):
    for seed, name in enumerate(names):
        save(folder / f"{name}.nii", body(SHAPE, seed))
    write_manifest(folder, [(name, "t0", "p", f"{name}.nii") for name in names])
    return folder


def again(folder, **said):
    executor = Watched(**said)
    return run_tiny(folder, executor), executor.count


def test_a_killed_run_does_what_is_left_and_its_plan_was_right(tmp_path):
    cohort(tmp_path, "a")
    plan = planned_units
    for lives in (1, 2):  # the opening and a part; two parts
        with pytest.raises(KeyboardInterrupt):
            again(tmp_path, lives=lives)
        assert not is_complete(Storage.at(tmp_path / "run"), SCAN)
    summary, count = again(tmp_path)
    assert count == {"fill": 1, "close": 1}
    assert summary["failed"] == 0
    run = somray.open_run(tmp_path / "run")
    np.testing.assert_array_equal(run.scan("a", "t0").image.values[0, 0], body(SHAPE, 0))
    assert len(run.table("scans")) == 1
    loaded = load_cohort(tmp_path / "cohort.yaml")
    assert plan(loaded) == executed_units(summary)
    assert plan(loaded)["ingest"] == 5
    assert again(tmp_path)[1] == {}


def test_a_scan_cut_short_in_a_later_part_is_set_aside_once_with_its_code(tmp_path):
    cohort(tmp_path, "a", "b")
    values = body(SHAPE, 0).astype(np.float32)
    values[40:] = np.nan
    save(tmp_path / "a.nii", values)
    summary, _ = again(tmp_path)
    run = somray.open_run(tmp_path / "run")
    assert run.table("failures")["code"].tolist() == ["non_finite"]
    rows = run.table("scans").set_index("subject")["status"].to_dict()
    assert rows == {"a": "quarantined", "b": "done"}
    assert not Storage.at(tmp_path / "run").exists(SCAN)
    assert summary["failed"] == 1
    assert again(tmp_path)[1] == {}
    save(tmp_path / "a.nii", body(SHAPE, 5))
    summary, count = again(tmp_path)
    assert (summary["failed"], count["fill"], count["close"]) == (0, 3, 1)
    assert not len(somray.open_run(tmp_path / "run").table("failures"))


def test_the_first_fault_of_several_parts_is_the_scans(tmp_path, monkeypatch):
    cohort(tmp_path, "a")
    path = tmp_path / "a.nii"
    read = ingest.bricks.stream

    def faulty(item, sources, meta, bricks, write):
        if bricks[0].z0:
            path.write_bytes(path.read_bytes()[:3000])
            raise ingest.parts.DataError("truncated", f"from {bricks[0].z0}")
        return read(item, sources, meta, bricks, write)

    monkeypatch.setattr(ingest.parts, "stream", faulty)
    again(tmp_path)
    failures = somray.open_run(tmp_path / "run").table("failures")
    assert failures[["code", "message"]].values.tolist() == [["truncated", "from 32"]]


def test_copies_are_looked_at_part_by_part_and_other_pixels_taken_in_anew(tmp_path):
    cohort(tmp_path, "a")
    again(tmp_path)
    path = tmp_path / "a.nii"
    shutil.copyfile(path, tmp_path / "copy")
    (tmp_path / "copy").replace(path)
    os.utime(path, (1, 1))
    assert again(tmp_path)[1] == {"look": 1, "look_again": 3, "close": 1}
    assert again(tmp_path)[1] == {}
    values = body(SHAPE, 0)
    values[50, 5, 5] += 100
    save(path, values)
    summary, count = again(tmp_path)
    assert (count["run"], count["fill"], summary["failed"]) == (1, 3, 0)
    scan = somray.open_run(tmp_path / "run").scan("a", "t0")
    np.testing.assert_array_equal(scan.image.values[0, 0], values)


def test_a_duplicate_is_set_aside_and_taken_in_when_its_twin_goes(tmp_path):
    cohort(tmp_path, "a", "b")
    shutil.copyfile(tmp_path / "a.nii", tmp_path / "b.nii")
    summary, _ = again(tmp_path)
    run = somray.open_run(tmp_path / "run")
    assert run.table("failures")[["subject", "code"]].values.tolist() == [["b", "duplicate"]]
    assert summary["failed"] == 1
    assert again(tmp_path)[1] == {}
    write_manifest(tmp_path, [("b", "t0", "p", "b.nii")])
    summary, count = again(tmp_path)
    assert (summary["failed"], count["fill"]) == (0, 3)
    assert somray.open_run(tmp_path / "run").scan("b", "t0").image.shape[2] == SHAPE[0]


def test_a_scan_that_somebody_removed_is_taken_in_again(tmp_path):
    cohort(tmp_path, "a")
    before, _ = again(tmp_path)
    shutil.rmtree(tmp_path / "run" / SCAN)
    summary, count = again(tmp_path)
    assert count == {"run": 1, "fill": 3, "close": 1}
    assert executed_units(summary) == executed_units(before)


def test_a_group_removed_under_an_opened_scan_is_opened_again(tmp_path):
    cohort(tmp_path, "a")
    with pytest.raises(KeyboardInterrupt):
        again(tmp_path, lives=2)
    shutil.rmtree(tmp_path / "run" / SCAN)
    assert again(tmp_path)[1] == {"run": 1, "fill": 3, "close": 1}


def test_a_part_that_dies_is_tried_again_and_the_others_stay(tmp_path, monkeypatch):
    cohort(tmp_path, "a")
    fill = ingest.parts.write_brick

    def broken(storage, name, brick, block, **said):
        if brick.z0 == 32:
            raise RuntimeError("no luck")
        fill(storage, name, brick, block, **said)

    monkeypatch.setattr(ingest.parts, "write_brick", broken)
    summary, _ = again(tmp_path)
    run = somray.open_run(tmp_path / "run")
    assert run.table("failures")["code"].tolist() == ["internal"]
    assert run.table("scans")["status"].tolist() == ["quarantined"]
    assert summary["broken"] == 1
    monkeypatch.undo()
    monkeypatch.setattr(items, "PART_BYTES", 32 * SHAPE[1] * SHAPE[2] * 4)
    summary, count = again(tmp_path)
    assert (count, summary["failed"]) == ({"fill": 1, "close": 1}, 0)
    assert somray.open_run(tmp_path / "run").table("scans")["status"].tolist() == ["done"]
    entries = Ledger(Storage.at(tmp_path / "run")).entries()
    assert sum(entry.stage == "ingest" for entry in entries) == 5
