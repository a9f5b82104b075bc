"""Scans taken in brick by brick: the same bits in one unit and in many, whatever is cut where."""

import json
import tracemalloc
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import tifffile

from somray.domain.run import RunLayout
from somray.domain.scan import Scan
from somray.errors import DataError
from somray.io.ome import metadata
from somray.io.ome.image import read_meta, read_slab
from somray.io.readers import open_source, spool
from somray.io.storage import Storage
from somray.kernels.repair import repair
from somray.stages import ingest
from somray.stages.ingest import item as items
from somray.stages.ingest import scan as scans
from tests.kernels.naive_repair import outside_circle

NAME = RunLayout.scan("s", "t0")
TILE = 64


@pytest.fixture
def small(monkeypatch):
    """Slices above 64 × 64 are cut; a unit takes two bricks."""
    monkeypatch.setattr(metadata, "TILE_PIXELS", TILE)
    monkeypatch.setattr(metadata, "MAX_SLAB_BYTES", 2 * TILE * TILE * 4)
    monkeypatch.setattr(items, "PART_BYTES", 4 * TILE * TILE * 4)


def item_for(root, *paths, modality="CT", **said):
    channels = ("CT", "PET") if modality == "PETCT" else (modality,)
    settings = {
        "root": str(root), "scan": Scan("s", "t0", "p", tuple(map(str, paths)), str(paths[0])),
        "modality": modality, "channels": channels, "windows": (None,) * len(channels),
        "irregular": "refuse", "repair_fraction": 0.5, "recipe": "r",
    } | said  # fmt: skip
    return ingest.IngestItem(**settings)


def files_of(root):
    return {
        str(p.relative_to(root)): p.read_bytes()
        for p in sorted(Path(root).rglob("*"))
        if p.is_file()
    }


def in_parts(item):
    """Ingest as the pipeline does, the last part first; return how many parts there were, and the result."""
    whole = replace(item, in_parts=True)
    opened = json.loads(json.dumps(ingest.run(whole).value))
    told = {}
    for first, last in reversed(opened["parts"]):
        found = ingest.fill(ingest.PartItem(whole, first, last)).value
        told[first] = json.loads(json.dumps(found))
        assert ingest.look_again(ingest.PartItem(whole, first, last)).value == found
    parts = tuple(told[first] for first in sorted(told))
    return len(parts), ingest.close(ingest.ClosingItem(whole, opened, parts))


def both(tmp_path, *paths, **said):
    """Ingest in one unit and in many; return the values of the one, once both are found equal."""
    one = ingest.run(item_for(tmp_path / "one", *paths, **said))
    count, many = in_parts(item_for(tmp_path / "many", *paths, **said))
    assert count > 1
    assert (many.value, many.rows) == (one.value, one.rows)
    assert files_of(tmp_path / "many") == files_of(tmp_path / "one")
    storage = Storage.at(tmp_path / "many")
    shape = read_meta(storage, NAME).shape
    return read_slab(storage, NAME, 0, 0, shape[2]), one


def save(path, values, matrix=None):
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ (np.eye(4) if matrix is None else matrix)
    nib.save(nib.Nifti1Image(np.asarray(values).T, lps), path)
    return path


def padded_ct(shape=(5, 150, 200)):
    values = np.random.default_rng(0).normal(0, 300, shape).astype(np.float32)
    values[:, outside_circle(*shape[1:])] = -3024
    values[1, 70:75, 90:95] = -3024
    values[2, 3, 150], values[3, 100, 100] = np.nan, np.inf
    return values


def test_padding_and_nan_are_repaired_and_counted_across_tiles_as_in_whole_slices(tmp_path, small):
    values = padded_ct()
    found, one = both(tmp_path, save(tmp_path / "a.nii", values))
    expected = repair(values, "CT")
    np.testing.assert_array_equal(found[0], expected.values)
    assert one.rows["scans"][0].repairs == "inf_filled,nan_filled,padding_filled"
    damage = sum(expected.counts.values()) - expected.by_design
    assert 25 < damage < 0.002 * values.size
    tight = item_for(
        tmp_path / "t", tmp_path / "a.nii", repair_fraction=(damage + 0.5) / values.size
    )
    assert ingest.run(tight).value == one.value
    with pytest.raises(DataError) as caught:
        in_parts(replace(tight, repair_fraction=(damage - 0.5) / values.size))
    assert caught.value.code == "non_finite"
    assert not Storage.at(tight.root).exists(NAME)


def test_the_background_of_a_cut_slice_is_the_darkest_of_all_of_it(tmp_path, small):
    values = np.random.default_rng(0).uniform(5, 9, (2, 150, 200)).astype(np.float32)
    values[0, 140, 190], values[1, 0, 0] = 1.0, 2.0
    values[:, 10, 10] = np.nan
    found, _ = both(tmp_path, save(tmp_path / "a.nii", values), modality="XCT")
    assert found[0, :, 10, 10].tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    ("said", "windows"),
    [
        ({"tile": (16, 32), "compression": "zlib"}, "boxes"),
        ({"rowsperstrip": 7, "compression": "zlib"}, "rows"),
        ({"rowsperstrip": 500, "compression": "zlib"}, "slices"),
    ],
)
def test_slices_are_cut_however_they_are_stored(tmp_path, small, said, windows):
    values = np.random.default_rng(0).integers(0, 65535, (3, 300, 500)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="minisblack", metadata=None, **said)
    with open_source(tmp_path / "a.tif") as source:
        assert source.windows == windows
    found, _ = both(tmp_path, tmp_path / "a.tif", modality="XCT")
    np.testing.assert_array_equal(found[0], values)


def test_a_compressed_stream_is_cut_by_one_unit_that_reads_it_forwards(tmp_path, small):
    values = np.random.default_rng(0).integers(-1000, 1000, (5, 150, 200)).astype(np.int16)
    item = item_for(tmp_path / "run", save(tmp_path / "a.nii.gz", values), in_parts=True)
    result = ingest.run(item)
    assert result.rows
    np.testing.assert_array_equal(read_slab(Storage.at(item.root), NAME, 0, 0, 5)[0], values)
    plain = ingest.run(item_for(tmp_path / "b", save(tmp_path / "b.nii", values)))
    assert plain.value["pixel_digest"] == result.value["pixel_digest"]


def test_another_channels_grid_is_met_tile_by_tile(tmp_path, small):
    ct = np.random.default_rng(0).normal(40, 20, (5, 150, 200)).astype(np.float32)
    z, y, x = np.mgrid[:6, :60, :70]
    pet = (0.3 * z + 0.05 * y + 0.02 * x).astype(np.float32)
    grid = np.diag([3.0, 2.5, 1.3, 1.0])
    paths = save(tmp_path / "ct.nii", ct), save(tmp_path / "pet.nii", pet, grid)
    found, one = both(tmp_path, *paths, modality="PETCT")
    z, y, x = np.mgrid[:5, :146, :200]
    expected = 0.3 * z / 1.3 + 0.05 * y / 2.5 + 0.02 * x / 3.0
    np.testing.assert_allclose(found[1, :, :146], expected, atol=1e-4)
    assert one.value["uptake_level"] > 0


def test_a_large_tiff_is_cut_into_small_tiles(tmp_path, monkeypatch):
    monkeypatch.setattr(metadata, "TILE_PIXELS", 512)
    monkeypatch.setattr(metadata, "MAX_SLAB_BYTES", 4 << 20)
    monkeypatch.setattr(items, "PART_BYTES", 16 << 20)
    rows, columns = np.mgrid[:3000, :5000]
    values = ((rows * 7 + columns) % 251).astype(np.uint8)
    how = {"rowsperstrip": 64, "compression": "zlib", "photometric": "minisblack"}
    tifffile.imwrite(tmp_path / "a.tif", values, metadata=None, **how)
    count, result = in_parts(item_for(tmp_path / "run", tmp_path / "a.tif", modality="XCT"))
    assert count == 3
    found = read_slab(Storage.at(tmp_path / "run"), NAME, 0, 0, 1)
    np.testing.assert_array_equal(found[0, 0], values)
    assert result.value["shape"] == [1, 1, 1, 3000, 5000]


def test_small_scans_and_what_one_task_reads_best_stay_one_unit(tmp_path):
    values = np.random.default_rng(0).integers(-1000, 1000, (5, 50, 60)).astype(np.int16)
    item = item_for(tmp_path / "run", save(tmp_path / "a.nii", values), in_parts=True)
    assert ingest.run(item).rows
    assert "parts" not in ingest.probe(item)


def test_deep_scans_are_shared_by_slabs(monkeypatch, tmp_path):
    monkeypatch.setattr(items, "PART_BYTES", 64 * 50 * 60 * 4)
    values = np.random.default_rng(0).integers(-1000, 1000, (200, 50, 60)).astype(np.int16)
    found, _ = both(tmp_path, save(tmp_path / "a.nii", values))
    np.testing.assert_array_equal(found[0], values)
    item = item_for(tmp_path / "x", tmp_path / "a.nii", in_parts=True)
    assert scans.probe(item)["parts"] == [[0, 2], [2, 4], [4, 6], [6, 7]]


def test_parts_of_a_slice_cost_memory_only_where_it_is_decoded_whole(tmp_path):
    """65,536² of 8 bits, from the header alone: a file with a hole."""
    sides = 65_536
    header = (
        f"ObjectType = Image\nNDims = 3\nBinaryData = True\nElementType = MET_UCHAR\nDimSize = {sides} {sides} 1\n"
        "ElementSpacing = 1 1 1\nElementDataFile = LOCAL\n"
    ).encode()
    path = tmp_path / "a.mha"
    with path.open("wb") as file:
        file.write(header)
        file.truncate(len(header) + sides * sides)
    told = ingest.probe(item_for(tmp_path / "run", path, modality="XCT", in_parts=True))
    assert told["slices"] == 0
    assert told["bytes"] <= ingest.needs().memory_bytes
    assert len(told["parts"]) == 64  # of 1024 bricks of 16 MiB


@pytest.mark.parametrize("said", [{"tile": (64, 64)}, {"rowsperstrip": 16}])
def test_memory_is_that_of_a_brick_however_wide_and_deep_the_scan(tmp_path, monkeypatch, said):
    monkeypatch.setattr(metadata, "TILE_PIXELS", 256)
    monkeypatch.setattr(metadata, "MAX_SLAB_BYTES", 4 * 256 * 256 * 4)
    monkeypatch.setattr(items, "PART_BYTES", 1 << 20)
    monkeypatch.setattr(spool, "_ROWS_PIXELS", 1 << 15)
    peaks = []
    for n, shape in enumerate([(4, 600, 700), (4, 600, 2800), (12, 1200, 700)]):
        values = np.random.default_rng(0).integers(0, 99, shape).astype(np.uint8)
        path = tmp_path / f"{n}.tif"
        how = {"photometric": "minisblack", "metadata": None, "compression": "zlib"}
        tifffile.imwrite(path, values, **how, **said)
        item = item_for(tmp_path / str(n), path, modality="XCT", in_parts=True)
        first, last = ingest.run(item).value["parts"][1]
        part = ingest.PartItem(item, first, last)
        ingest.fill(part)  # whatever is made once is made
        tracemalloc.start()
        ingest.fill(part)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert max(peaks) < 1.3 * peaks[0]
    brick = 4 * 4 * 256 * 256
    assert max(peaks) < items.HELD_BRICKS * brick
