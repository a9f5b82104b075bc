"""Slices that have to be decoded whole: memory is asked for from the header, and refused where no task has it."""

import numpy as np
import pytest
import tifffile
import yaml
from PIL import Image

import somray
from somray.commands.launch import load_cohort
from somray.domain.work import MIB
from somray.io.ome import metadata
from somray.io.ome.image import is_complete
from somray.io.storage import Storage
from somray.pipeline.plan import make_plan
from somray.runtime.serial import SerialExecutor
from somray.stages import ingest
from tests.pipeline.tiny import QUICK, body, run_tiny, write_manifest

SIDE = 96


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(metadata, "TILE_PIXELS", 64)
    monkeypatch.setattr(metadata, "MAX_SLAB_BYTES", 2 * 64 * 64 * 4)


@pytest.fixture
def folder(tmp_path):
    values = body((4, SIDE, SIDE)).astype(np.uint16) + 1000
    (tmp_path / "a").mkdir()
    for z, plane in enumerate(values):
        Image.fromarray(plane).save(tmp_path / "a" / f"s{z}.png")
    how = {"tile": (16, 16), "photometric": "minisblack", "metadata": None}
    tifffile.imwrite(tmp_path / "b.tif", values + np.uint16(1), **how)
    rows = [("a", "t0", "p", "a"), ("b", "t0", "p", "b.tif")]
    write_manifest(tmp_path, rows, {"p": {**QUICK, "modality": "XCT"}})
    return tmp_path


class EnoughError(Exception):
    """All is taken in."""


class Ingesting(SerialExecutor):
    """Notes what ingest's units ask for; nothing else is run."""

    def __init__(self):
        self.asked = {}

    async def submit(self, function, unit, shared=None, actor=None):
        if unit.stage != "ingest":
            raise EnoughError
        self.asked[unit.name] = unit.needs.memory_bytes
        return await super().submit(function, unit, shared, actor)


def ingested(folder):
    executor = Ingesting()
    with pytest.raises(EnoughError):
        run_tiny(folder, executor)
    return executor.asked


def test_the_memory_of_whole_slices_is_asked_for_by_the_unit_that_decodes_them(folder):
    asked = ingested(folder)
    assert "sub-b_ses-t0" in asked
    assert "sub-b_ses-t0+close" not in asked  # tiles cost nothing more: one unit takes it in
    brick = 4 * 2 * 64 * 64
    held = ingest.item.bytes_held() - ingest.item.HELD_BRICKS * (64 * MIB - brick)
    assert asked["sub-a_ses-t0+part+000000"] == held + 12 * SIDE * SIDE
    assert is_complete(Storage.at(folder / "run"), "scans/sub-a_ses-t0.ome.zarr")


def test_slices_that_no_task_can_hold_are_set_aside_until_there_is_memory(folder, monkeypatch):
    def huge(meta, sources):
        return 8000 * MIB if sources[0].windows == "slices" else 0

    monkeypatch.setattr(ingest.scan, "bytes_of_slices", huge)
    monkeypatch.setattr(ingest.item, "bytes_of_slices", huge)
    plan = make_plan(load_cohort(folder / "cohort.yaml"))
    assert [(q["subject"], q["code"]) for q in plan.quarantine] == [("a", "too_large")]
    assert "resources.task_memory_mb" in plan.quarantine[0]["message"]
    ingested(folder)
    table = somray.open_run(folder / "run").table("failures")
    assert table[["subject", "code"]].values.tolist() == [["a", "too_large"]]
    config = yaml.safe_load((folder / "cohort.yaml").read_text())
    config["resources"] = {"task_memory_mb": 20_000}
    (folder / "cohort.yaml").write_text(yaml.safe_dump(config))
    assert not make_plan(load_cohort(folder / "cohort.yaml")).quarantine
    asked = ingested(folder)
    assert asked["sub-a_ses-t0+part+000000"] > 8000 * MIB
    assert is_complete(Storage.at(folder / "run"), "scans/sub-a_ses-t0.ome.zarr")
    assert not len(somray.open_run(folder / "run").table("failures"))
