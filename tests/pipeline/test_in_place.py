"""OME-Zarr read where it lies: the bits of a copy, and never two states of a source in one run."""

import os
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import zarr

import somray
from somray.commands.launch import load_cohort
from somray.errors import StoreError
from somray.io.ome.arrays import open_level
from somray.io.ome.marks import linked
from somray.io.storage import Storage
from somray.pipeline.plan import make_plan
from somray.runtime.serial import SerialExecutor
from somray.stages import ingest
from somray.stages.foreign.carry import carry_image
from somray.stages.ingest import item as items
from tests.io.readers.omezarr.test_omezarr import write
from tests.pipeline.same import differences
from tests.pipeline.tiny import QUICK, body, run_tiny, write_manifest

SHAPE = (70, 24, 24)  # three slabs
SCAN = "scans/sub-a_ses-t0.ome.zarr"
KINDS = ["one unit", "parts"]


@pytest.fixture(params=KINDS)
def folder(tmp_path, request, monkeypatch):
    if request.param == "parts":
        monkeypatch.setattr(items, "PART_BYTES", 32 * SHAPE[1] * SHAPE[2] * 4)
    return made(tmp_path)


def made(folder, in_place="auto", values=None, **said):
    store(folder, body(SHAPE, 0) if values is None else values, **said)
    protocol = {**QUICK, "in_place": in_place}
    write_manifest(folder, [("a", "t0", "p", "a.zarr")], {"p": protocol})
    return folder


def store(folder, values, version=5, **said):
    shutil.rmtree(folder / "a.zarr", ignore_errors=True)
    chunks = {"chunks": (4, *SHAPE[1:])} | said
    values = values.astype(chunks.pop("dtype", np.float32))
    write(folder / "a.zarr", values, "zyx", version, unit="millimeter", **chunks)


class Counting(SerialExecutor):
    def __init__(self):
        self.count = Counter()

    async def submit(self, function, unit, shared=None, actor=None):
        self.count[function.__name__] += 1
        return await super().submit(function, unit, shared, actor)


def again(folder):
    executor = Counting()
    assert run_tiny(folder, executor)["failed"] == 0
    return executor.count


def noted(folder):
    return linked(Storage.at(folder / "run"), SCAN)


def pixels(folder):
    return somray.open_run(folder / "run").scan("a", "t0").image.values[0, 0]


def test_a_run_on_images_that_lie_elsewhere_has_the_bits_of_copies(folder, request):
    version = 4 if KINDS[0] in request.node.name else 5
    shards = (8, *SHAPE[1:]) if version == 5 else None
    store(folder, body(SHAPE, 0), version, shards=shards)
    planned = make_plan(load_cohort(folder / "cohort.yaml")).stages["ingest"].bytes
    assert planned <= 4 * int(np.prod(SHAPE)) // 3  # the smaller levels alone
    again(folder)
    assert noted(folder)["files"] == (9 if version == 5 else 18)
    level = folder / "run" / SCAN / "0"
    assert sum(p.is_file() and not p.is_symlink() for p in level.rglob("*")) == 1  # zarr.json
    array = zarr.open_group(folder / "run" / SCAN, mode="r")["0"]  # as any reader would
    np.testing.assert_array_equal(array[0, 0], body(SHAPE, 0).astype(np.float32))
    (folder / "copy").mkdir()
    shutil.copytree(folder / "a.zarr", folder / "copy" / "a.zarr")
    again(made(folder / "copy", in_place="never", version=version, shards=shards))
    assert noted(folder / "copy") == {}
    assert not differences(folder / "run", folder / "copy" / "run")


def test_a_source_with_other_pixels_is_refused_until_it_is_taken_in_anew(folder):
    again(folder)
    assert again(folder) == {}
    run = somray.open_run(folder / "run")
    store(folder, body(SHAPE, 5))
    with pytest.raises(StoreError, match="was changed since"):
        run.scan("a", "t0")
    count = again(folder)
    assert (count["run"] > 0, count["run_som"] > 0) == (True, True)
    np.testing.assert_array_equal(pixels(folder), body(SHAPE, 5))


def test_a_source_that_was_copied_or_moved_is_found_and_nothing_is_done_again(folder):
    again(folder)
    labels = somray.open_run(folder / "run").scan("a", "t0").som.values
    store(folder, body(SHAPE, 0))  # the same, later
    with pytest.raises(StoreError, match="was changed since"):
        pixels(folder)
    assert set(again(folder)) <= {"look", "look_again", "close"}
    np.testing.assert_array_equal(pixels(folder), body(SHAPE, 0))
    (folder / "a.zarr").rename(folder / "b.zarr")
    with pytest.raises(StoreError, match="are gone"):
        pixels(folder)
    protocols = {"p": {**QUICK, "in_place": "auto"}}
    write_manifest(folder, [("a", "t0", "p", "b.zarr")], protocols)
    assert set(again(folder)) <= {"look", "look_again", "close"}
    np.testing.assert_array_equal(somray.open_run(folder / "run").scan("a", "t0").som, labels)
    assert again(folder) == {}


def test_a_source_that_no_longer_suits_is_copied(folder):
    again(folder)
    store(folder, body(SHAPE, 0), chunks=(35, 24, 24))
    again(folder)
    assert noted(folder) == {}
    np.testing.assert_array_equal(pixels(folder), body(SHAPE, 0))
    assert again(folder) == {}


def test_what_must_be_repaired_is_copied(folder):
    values = body(SHAPE, 0).astype(np.float32)
    values[50, 3, 4] = np.nan
    store(folder, values)
    again(folder)
    assert noted(folder) == {}
    run = somray.open_run(folder / "run")
    assert run.table("scans")["repairs"].tolist() == ["nan_filled"]
    values[50, 3, 4] = -1000
    np.testing.assert_array_equal(pixels(folder), values)
    assert again(folder) == {}
    os.utime(folder / "a.zarr" / "0" / "zarr.json", (1, 1))
    assert set(again(folder)) <= {"look", "look_again", "close"}
    np.testing.assert_array_equal(pixels(folder), values)


@pytest.mark.parametrize(
    "said",
    [
        {"dtype": np.int16},  # viewers refuse pyramids of two types
        {"chunks": (35, 24, 24)},  # a slice would cost 35
        {"chunks": (8, 4, 4)},  # crumbs
        {"in_place": "never"},
    ],
    ids=["integers", "deep", "small", "never"],
)
def test_what_does_not_suit_is_copied(tmp_path, said):
    cohort = load_cohort(made(tmp_path, **said) / "cohort.yaml")
    scan, config = cohort.scans[0], cohort.config.protocols["p"]
    ingest.run(ingest.IngestItem.of(str(tmp_path / "run"), scan, config))
    assert noted(tmp_path) == {}
    level = open_level(Storage.at(tmp_path / "run"), SCAN, "0")
    np.testing.assert_array_equal(level[0, 0], body(SHAPE, 0))


def test_a_chunk_that_is_gone_is_never_read_as_empty(tmp_path):
    again(made(tmp_path))
    scan = somray.open_run(tmp_path / "run").scan("a", "t0")  # opened while all was there
    (tmp_path / "a.zarr" / "0" / "c" / "3" / "0" / "0").unlink()
    np.testing.assert_array_equal(scan.image[0, 0, 0], body(SHAPE, 0)[0])
    with pytest.raises(StoreError, match="is gone"):
        scan.image[0, 0, 12].values  # noqa: B018  # read here


def test_a_run_is_moved_measured_and_copied_with_what_it_leads_to(tmp_path):
    again(made(tmp_path))
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "run").rename(tmp_path / "elsewhere" / "run")
    np.testing.assert_array_equal(pixels(tmp_path / "elsewhere"), body(SHAPE, 0))
    moved = Storage.at(tmp_path / "elsewhere" / "run")
    carry_image(moved, Storage.at(tmp_path / "carried"), SCAN)
    whole = tmp_path / "whole" / "run"
    shutil.copytree(moved.root, whole)  # follows links
    for root in (tmp_path / "carried", whole):
        array = zarr.open_group(Path(root) / SCAN, mode="r")["0"]
        np.testing.assert_array_equal(array[0, 0], body(SHAPE, 0))
    shutil.rmtree(tmp_path / "a.zarr")
    np.testing.assert_array_equal(pixels(tmp_path / "whole"), body(SHAPE, 0))
