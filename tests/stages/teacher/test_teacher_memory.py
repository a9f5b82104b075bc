"""What fit and transfer hold stays within what their units declare, for ordinary slices and for tiles."""

import tracemalloc

import pytest

from somray.domain.work import MIB, WORKER_BYTES, Mapper
from somray.io.models import read_teacher
from somray.io.ome import image as ome_zarr
from somray.io.ome import metadata
from somray.io.storage import Storage
from somray.kernels.teacher.fit import TeacherSpec
from somray.stages.segment import labels, rows, scales
from somray.stages.segment.som import needs_som, run_som
from somray.stages.teacher import fit as teacher
from tests.stages.stored import pores, store_bricks

LIMIT = 4096 * MIB  # of a task, by default
MAPPER = Mapper(lambda function, items, shared, needs: [function(i, shared) for i in items])


def peak_of(work):
    """Return bytes held at most while something is done a second time."""
    work()
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def fit(place, slices, windows=((0.0, 255.0),), **settings):
    spec = TeacherSpec("XCT", ("XCT",), windows=windows, epochs=1, grid=(3, 3), **settings)
    scan = teacher.ReferenceScan(place, slices)
    teacher.run(teacher.TeacherItem("p", spec, (scan,), is_cut=metadata.TILE_PIXELS < 512), MAPPER)
    return read_teacher(Storage.at(place.root), "p")


def test_slices_that_are_never_cut_fit_the_default_limit_by_far():
    plane = 4 * 4096**2
    assert needs_som(plane, plane).memory_bytes < LIMIT // 2
    assert teacher.needs(plane, 1).memory_bytes < LIMIT


def test_windows_that_are_left_open_are_chosen_in_as_little(tmp_path):
    place, plane = store_bricks(tmp_path, pores((20, 160, 200))), 4 * 160 * 200
    peak = peak_of(lambda: fit(place, (10,), (), denoise="none"))
    assert peak < teacher.needs(plane, 1).memory_bytes - WORKER_BYTES


@pytest.mark.parametrize("denoise", ["none", "nlm"])
@pytest.mark.parametrize("dimensions", [2, 3])
def test_fit_and_transfer_hold_what_they_declare(tmp_path, denoise, dimensions):
    shape, settings = (7, 160, 200), {"denoise": denoise, "dimensions": dimensions}
    place, plane = store_bricks(tmp_path, pores(shape)), 4 * 160 * 200
    chosen = (1, 2, 3) if dimensions == 2 else (3,)
    peak = peak_of(lambda: fit(place, chosen, **settings))
    declared = teacher.needs(plane, len(chosen), 1, dimensions).memory_bytes - WORKER_BYTES
    assert declared / 3 < peak < declared
    model = fit(place, chosen, **settings)
    labels.open_labels(labels.LabelItem(place, "som"))
    item = rows.BrickItem(
        place, "lesion", ome_zarr.read_meta(Storage.at(tmp_path), place.name).bricks()[0]
    )
    peak = peak_of(lambda: run_som(item, model))
    declared = needs_som(7 * plane, plane, dimensions).memory_bytes - WORKER_BYTES
    assert declared / 5 < peak < declared


@pytest.mark.parametrize("size", [(150, 250), (300, 500)])
def test_what_tiles_take_does_not_follow_their_slice(tmp_path, monkeypatch, size):
    monkeypatch.setattr(metadata, "TILE_PIXELS", 128)
    monkeypatch.setattr(metadata, "MAX_SLAB_BYTES", 128 * 128 * 4)
    place, tile = store_bricks(tmp_path, pores((1, *size))), 4 * 128 * 128
    meta = ome_zarr.read_meta(Storage.at(tmp_path), place.name)
    assert meta.is_cut
    model = fit(place, (0,))
    beside = 2**20  # what is seen beside a tile counts where tiles are as small as these
    peak = peak_of(lambda: fit(place, (0,)))
    assert peak < teacher.needs(tile, 1).memory_bytes - WORKER_BYTES + beside
    measured = scales.ScaleItem(place, 0, 0, 1)
    peak = peak_of(lambda: scales.run_scales(measured, model))
    assert peak < scales.needs_scales(tile).memory_bytes - WORKER_BYTES
    labels.open_labels(labels.LabelItem(place, "som"))
    found = scales.all_scales(place, meta, None, model)
    told = scales.scales_for(found, 0, (0, 1), 1, 2)
    item = rows.BrickItem(place, "lesion", meta.bricks()[0], scales=told)
    peak = peak_of(lambda: run_som(item, model))
    assert peak < needs_som(tile, tile).memory_bytes - WORKER_BYTES + beside
