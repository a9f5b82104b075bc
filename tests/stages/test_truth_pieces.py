"""A truth compared slab by slab and block by block: the figures of whole volumes."""

import gc
import tracemalloc
from contextlib import closing

import nibabel
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from somray.domain.geometry import Geometry
from somray.io.spool import ArraySpool
from somray.kernels.metrics.surface import blocks as far
from somray.kernels.metrics.surface.blocks import SurfaceBlock, SurfaceSearch
from somray.stages import truth as stage
from somray.stages import truth_surfaces
from somray.stages.reading import truth_mask
from somray.stages.reading.truth_mask import TruthOnGrid
from somray.stages.truth import TruthItem, TruthMethod, run
from tests.kernels.metrics.whole_masks import whole_row
from tests.stages.stored import store

SHAPE = (9, 17, 19)
SPACING = (2.0, 0.8, 0.8)
GRID = Geometry.from_spacing(SHAPE, SPACING)
TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def blobs(seed, share, labels=1):
    """Bodies of a few voxels that touch by corners here and there, and single voxels."""
    rng = np.random.default_rng(seed)
    field = ndimage.gaussian_filter(rng.normal(size=SHAPE), rng.uniform(0.3, 1.2))
    mask = field > np.quantile(field, 1 - share)
    return np.where(mask, rng.integers(1, labels + 1, (1, 1, SHAPE[2])), 0).astype(np.int32)


@pytest.fixture(params=[(1, 1), (1, 4), (3, 2)], ids=["planes", "four", "slabs"])
def small(request, monkeypatch):
    """Slabs of one slice or three, blocks of some voxels, hardly any tree held."""
    slices, depth = request.param
    monkeypatch.setattr(truth_mask, "VOXELS_AT_ONCE", slices * SHAPE[1] * SHAPE[2])
    monkeypatch.setattr(truth_surfaces, "BLOCK_DEPTH", depth)
    monkeypatch.setattr(far, "_SIDE", 5)
    monkeypatch.setattr(far, "_HELD_POINTS", 40)


def figures(tmp_path, prediction, truth):
    place = store(tmp_path / "run", np.zeros(SHAPE, np.float32), labels={"som": prediction})
    path = tmp_path / "truth.nii"
    nibabel.save(nibabel.Nifti1Image(truth.T.astype(np.int16), TO_RAS @ GRID.matrix), path)
    rows = run(TruthItem(place, str(path), (TruthMethod("som", "som", (3,)),))).rows["truth"]
    return {row.label: row for row in rows}


@pytest.mark.parametrize("labels", [1, 3])
@pytest.mark.parametrize("share", [0.02, 0.1, 0.4])
def test_figures_are_those_of_whole_volumes(tmp_path, small, labels, share):
    truth = blobs(1, share, labels) * np.arange(10, 10 + SHAPE[0])[:, None, None]  # many labels
    truth = np.where(truth > 0, 1 + truth % labels, 0).astype(np.int32)
    mask = blobs(2, share) | (blobs(3, 0.03) & 1)
    mask |= (truth > 0) & (np.random.default_rng(0).random(SHAPE) < 0.6)
    rows = figures(tmp_path, 3 * mask, truth)
    assert sorted(rows) == [0, *range(1, labels + 1)]
    for label, row in rows.items():
        expected = whole_row(label, mask > 0, truth, GRID)
        for name, figure in expected.items():
            found = getattr(row, name)
            if name in ("hd95_mm", "surface_dice_2mm"):
                assert found == pytest.approx(figure, rel=3e-7)
            else:
                assert found == figure, (label, name)


def test_more_labels_than_have_rows_are_compared_together(tmp_path, monkeypatch):
    monkeypatch.setattr(stage, "MOST_LABELS", 2)
    truth = blobs(1, 0.1, 3)
    rows = figures(tmp_path, 3 * (truth > 0), truth)
    assert list(rows) == [0]
    assert (rows[0].dice, rows[0].hd95_mm, rows[0].surface_dice_2mm) == (1.0, 0.0, 1.0)


MOVES = {
    "beside": np.array([[1, 0, 0, 2.0], [0, 1, 0, -1.0], [0, 0, 1, 0.5], [0, 0, 0, 1]]),
    "turned": np.array([[0, 0, 1, 0.0], [1, 0, 0, 0.0], [0, 1, 0, 0.0], [0, 0, 0, 1]]),
    "oblique": np.array([[0.9, -0.3, 0.1, 1.0], [0.3, 1.1, 0, -2.0], [0, 0.2, 0.8, 1.0], [0, 0, 0, 1]]),
}  # fmt: skip


@pytest.mark.parametrize("move", MOVES.values(), ids=MOVES)
def test_a_truth_on_another_grid_is_the_nearest_voxel_of_the_whole(tmp_path, small, move):
    truth = blobs(4, 0.3, 3) * 200
    own = Geometry.from_matrix(SHAPE, GRID.matrix @ move)
    path = tmp_path / "truth.nii"
    nibabel.save(nibabel.Nifti1Image(truth.T.astype(np.int16), TO_RAS @ own.matrix), path)
    index = np.linalg.inv(own.matrix) @ GRID.matrix
    index = index[[2, 1, 0, 3]][:, [2, 1, 0, 3]]
    expected = ndimage.affine_transform(
        truth, index[:3, :3], index[:3, 3], order=0, mode="grid-constant", output_shape=SHAPE
    )
    assert expected.any()
    with closing(TruthOnGrid(str(path), GRID)) as opened:
        for _ in range(2):
            found = np.concatenate([block for _, block in opened.labels()])
            np.testing.assert_array_equal(found, expected)
    # programs from outside ask for the whole by this name (shared/cases/36)
    np.testing.assert_array_equal(stage._truth_on(str(path), GRID), expected)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 60), st.sampled_from([1.0, 3.0, np.inf]))
def test_distances_over_blocks_are_those_of_all_pairs(seed, count, reach):
    rng = np.random.default_rng(seed)
    surface = np.unique(rng.integers(0, 30, (count, 3)).astype(np.int32), axis=0)
    points = rng.integers(0, 30, (20, 3)).astype(np.int32)
    order = np.array_split(rng.permutation(len(surface)), min(4, len(surface)))
    held = [
        SurfaceBlock(surface[o].min(axis=0), surface[o].max(axis=0), lambda o=o: surface[o])
        for o in order
    ]
    found = SurfaceSearch(held, SPACING).squared_mm2(points, reach)
    apart = (points[:, None] - surface[None]) * np.array(SPACING)
    expected = (apart**2).sum(axis=2).min(axis=1)
    expected[expected > reach**2] = np.inf
    assert found == pytest.approx(expected)
    assert np.isinf(SurfaceSearch([], SPACING).squared_mm2(points)).all()


def test_arrays_laid_aside_come_back():
    rng = np.random.default_rng(0)
    arrays = [rng.integers(0, 99, (n, 3)).astype(kind) for n, kind in ((5, "int32"), (0, "uint8"))]
    with closing(ArraySpool()) as spool:
        places = [spool.put(array) for array in arrays]
        for place, array in zip(places, arrays, strict=True):
            found = spool.get(place)
            assert found.dtype == array.dtype
            np.testing.assert_array_equal(found, array)


def test_memory_does_not_grow_with_the_scan(tmp_path, monkeypatch):
    monkeypatch.setattr(truth_mask, "VOXELS_AT_ONCE", 8 * 48 * 48)
    monkeypatch.setattr("somray.io.spool._IN_MEMORY", 1 << 16)
    monkeypatch.setattr(far, "_HELD_POINTS", 2_000)
    peaks = []
    for depth in (8, 48, 160):  # the first for what is imported and compiled on the way
        rng = np.random.default_rng(0)
        mask = ndimage.zoom(rng.random((depth // 4, 12, 12)) > 0.95, 4, order=0)
        place = store(
            tmp_path / str(depth), np.zeros(mask.shape, np.float32), labels={"som": 3 * mask}
        )
        path = tmp_path / f"{depth}.nii.gz"
        truth = np.roll(mask, 1, axis=2).astype(np.uint8)
        nibabel.save(nibabel.Nifti1Image(truth.T, np.diag([-0.8, -0.8, 2.0, 1.0])), path)
        gc.collect()
        tracemalloc.start()
        run(TruthItem(place, str(path), (TruthMethod("som", "som", (3,)),)))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    grown = peaks[2] - peaks[1]  # a number per part and a handle per block are meant to
    assert grown < 2 * (160 - 48) * 48 * 48  # whole volumes took 21 bytes a voxel
