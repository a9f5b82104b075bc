"""What registration leaves inside the target and outside, from storage."""

import tracemalloc

import numpy as np
import pytest

from somray.domain.geometry import Geometry
from somray.stages.registration.residuals import (
    Masks,
    SessionResidualItem,
    SliceResidualItem,
    needs_sessions,
    needs_slices,
    run_sessions,
    run_slices,
)
from tests.stages.stored import store, texture

MASKS = Masks("som", 3)


def marked(volume, where=(slice(2, 5), slice(20, 30), slice(30, 44))):
    mask = np.ones(volume.shape, dtype=np.uint8)
    mask[where] = 3
    return mask


def shift(x, y):
    return (1.0, 0.0, x, 0.0, 1.0, y, 0.0, 0.0, 1.0)


def pairs(*found):
    """Rows of `registration`, as far as residuals read them."""
    return tuple({"fixed_z": z, "matrix": matrix} for z, matrix in found)


def test_slice_pairs_are_told_inside_and_outside_before_and_after(tmp_path):
    volume = np.tile(texture(1), (3, 1, 1))
    volume[1] = np.roll(volume[0], 3, axis=1)
    mask = marked(volume, (slice(0, 1), slice(20, 30), slice(30, 44)))
    place = store(tmp_path, volume, labels={"som": mask})
    item = SliceResidualItem(place, 0, pairs((0, shift(-3.0, 0.0)), (1, None)), MASKS)
    rows = run_slices(item).rows["residuals"]
    assert [(r.fixed_z, r.moving_z, r.region) for r in rows] == [
        (0, 1, "lesion"), (0, 1, "outside"), (1, 2, "lesion"), (1, 2, "outside")
    ]  # fmt: skip
    assert rows[0].pixels == 140
    assert rows[0].mad_before > 10
    assert rows[0].mad_after == pytest.approx(0, abs=1e-3)
    assert rows[1].ncc_before < rows[1].ncc_after == pytest.approx(1)
    assert rows[1].pixels == 64 * 72 - 64 * 3 - 140
    assert (rows[2].pixels, rows[2].mad_before) == (0, None)
    assert rows[3].mad_after is rows[3].ncc_after is None
    assert {(r.kind, r.fixed_session, r.moving_session, r.t) for r in rows} == {
        ("slices", "t0", "t0", 0)
    }


def test_the_target_of_the_moving_slice_counts_where_it_is_brought_to(tmp_path):
    volume = np.tile(texture(1), (2, 1, 1))
    mask = marked(volume, (slice(1, 2), slice(20, 30), slice(30, 44)))
    place = store(tmp_path, volume, labels={"som": mask})
    item = SliceResidualItem(place, 0, pairs((0, shift(50.0, 0.0))), MASKS)
    lesion, outside = run_slices(item).rows["residuals"]
    assert lesion.pixels == 0  # it lies outside the fixed slice now
    assert outside.pixels == 64 * 22


def sessions(tmp_path, depth=10, shape=(64, 72)):
    volume = np.tile(texture(10, shape), (depth // 10, 1, 1))
    grid = Geometry.from_spacing(volume.shape, (2.0, 0.8, 0.8))
    moved = np.diag([0.8, 0.8, 2.0, 1.0])
    moved[:3, 3] = (8.0, 0.0, 4.0)  # the same voxels, elsewhere in the scanner
    first = store(tmp_path, volume, grid, labels={"som": marked(volume)})
    other = Geometry.from_matrix(volume.shape, moved)
    second = store(tmp_path, volume, other, "t1", labels={"som": marked(volume)})
    back = np.eye(4)
    back[:3, 3] = (-8.0, 0.0, -4.0)
    return first, second, tuple(back.ravel())


def test_sessions_are_compared_over_the_whole_volume(tmp_path):
    first, second, back = sessions(tmp_path)
    lesion, outside = run_sessions(SessionResidualItem(first, second, back, MASKS)).rows[
        "residuals"
    ]
    assert (lesion.region, lesion.pixels) == ("lesion", 3 * 10 * 14)
    assert outside.pixels == 10 * 64 * 72 - 420
    assert lesion.mad_after == outside.mad_after == pytest.approx(0, abs=1e-3)
    assert outside.ncc_before < 0.9 < outside.ncc_after
    assert (lesion.t, lesion.fixed_z, lesion.moving_z) == (None, None, None)
    assert (lesion.fixed_session, lesion.moving_session) == ("t0", "t1")


def test_refused_sessions_are_compared_as_they_lie(tmp_path):
    first, second, _ = sessions(tmp_path)
    lesion, outside = run_sessions(SessionResidualItem(first, second, None, MASKS)).rows[
        "residuals"
    ]
    assert lesion.pixels > 0
    assert outside.mad_before > 10
    assert lesion.mad_after is outside.ncc_after is None


def test_memory_does_not_grow_with_the_scan(tmp_path):
    peaks = []
    shape = (64, 72)
    for depth in (30, 70):  # more than a slab each
        first, second, back = sessions(tmp_path / str(depth), depth, shape)
        rows = pairs(*((z, shift(0.5, 0.0)) for z in range(depth - 1)))
        between = SessionResidualItem(first, second, back, MASKS)
        within = SliceResidualItem(first, 0, rows[:20], MASKS)
        for run, item in ((run_sessions, between), (run_slices, within)):
            if depth == 30:
                run(item)  # what is imported or compiled on the way does not count
            tracemalloc.start()
            run(item)
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
    plane = 4 * 64 * 72
    assert peaks[2] < 1.1 * peaks[0] + 300_000  # bytes of what storage holds for a moment
    assert peaks[3] < 1.1 * peaks[1] + 300_000
    for peak, needs in zip(peaks[2:], (needs_sessions, needs_slices), strict=True):
        assert peak < needs(plane).memory_bytes - needs(0).memory_bytes
