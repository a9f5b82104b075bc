"""What registration leaves, and volumes warped piece by piece."""

import numpy as np
import pytest
from scipy import ndimage

from somray.domain.geometry import Geometry
from somray.kernels.grids.blocks import fill_slice, slice_pieces
from somray.kernels.grids.index_map import index_map
from somray.kernels.grids.resample import (
    sample_labels,
    warp_label_slice,
)
from somray.kernels.registration.residual import ResidualSums
from tests.kernels.registration.known_motion import rigid

RNG = np.random.default_rng(0)


def naive(one, other, region):
    both = np.isfinite(one) & np.isfinite(other) & region
    a, b = one[both].astype(float), other[both].astype(float)
    return both.sum(), np.abs(a - b).mean(), np.corrcoef(a, b)[0, 1]


def image(shape=(20, 30), seed=0):
    values = np.random.default_rng(seed).normal(40, 300, shape).astype(np.float32)
    values[:2] = np.nan
    return values


def test_figures_equal_the_plain_definition_in_each_region_piece_by_piece():
    fixed, before, after = image(seed=1), image(seed=2), image(seed=3)
    after[:, :4] = np.nan
    target = RNG.random((20, 30)) < 0.2
    moved = RNG.random((20, 30)) < 0.2
    sums = ResidualSums(registered=True)
    for rows in (slice(0, 7), slice(7, 20)):
        sums.add(fixed[rows], before[rows], after[rows], (target | moved)[rows])
    for region, found in sums.residuals().items():
        inside = (target | moved) == (region == "lesion")
        count, mad, ncc = naive(fixed, after, inside)
        assert (found.pixels, found.mad_after, found.ncc_after) == pytest.approx((count, mad, ncc))
        _, mad, ncc = naive(fixed, before, inside)
        assert (found.mad_before, found.ncc_before) == pytest.approx((mad, ncc))


def test_a_refused_pair_has_nothing_after_and_flat_images_no_correlation():
    flat = np.full((8, 8), -1000.0, dtype=np.float32)
    sums = ResidualSums(registered=False)
    nothing = np.zeros((8, 8), dtype=bool)
    sums.add(flat, flat + 3, None, nothing)
    found = sums.residuals()
    assert found["lesion"].pixels == 0
    assert vars(found["lesion"]) | {"pixels": None} == dict.fromkeys(vars(found["lesion"]))
    outside = found["outside"]
    assert (outside.pixels, outside.mad_before) == (64, 3.0)
    assert outside.ncc_before is outside.mad_after is outside.ncc_after is None


GRIDS = {
    "small turn": ((3, -2, 4), (2.0, -1.5, 3.0)),
    "quarter turn": ((90, 0, 10), (0.0, 5.0, 0.0)),
}


@pytest.mark.parametrize("motion", GRIDS.values(), ids=GRIDS)
@pytest.mark.parametrize("most", [4, 9, 200])
def test_pieces_together_are_the_whole_slice(motion, most):
    fixed = Geometry.from_spacing((14, 22, 26), (2.0, 1.0, 1.2))
    moving = Geometry.from_spacing((18, 20, 24), (1.5, 1.1, 1.0))
    volume = image((18, 20, 24), seed=4)
    labels = RNG.integers(0, 7, moving.shape).astype(np.uint16)
    matrix = rigid(fixed, *motion)
    index = index_map(moving, fixed, np.linalg.inv(matrix))
    for z in (0, 5, 13):
        found = np.full((22, 26), np.nan, dtype=np.float32)
        marked = np.zeros((22, 26), dtype=np.uint16)
        for piece in slice_pieces(index, (z, 22, 26), moving.shape[0], most):
            assert piece.source.stop - piece.source.start <= most
            found[piece.rows, piece.columns] = piece.sampled(volume[piece.source])
            marked[piece.rows, piece.columns] = piece.sampled(labels[piece.source])
        whole, nearest = naive_slice(volume, labels, index, z, (22, 26))
        assert np.allclose(found, whole, atol=1e-3, equal_nan=True)
        assert (marked == nearest).all()
        empty = np.full((22, 26), np.nan, dtype=np.float32)
        filled = fill_slice(empty, index, z, moving.shape[0], lambda part: volume[part])
        assert np.array_equal(filled, found, equal_nan=True)


def naive_slice(volume, labels, index, z, shape):
    """Pixel by pixel: linear inside the outer centres, the nearest label inside the outer cells."""
    whole = np.full(shape, np.nan, dtype=np.float32)
    nearest = np.zeros(shape, dtype=labels.dtype)
    last = np.array(volume.shape) - 1
    for y, x in np.ndindex(shape):
        at = index[:3] @ (z, y, x, 1.0)
        if ((at >= -0.5) & (at <= last + 0.5)).all():
            nearest[y, x] = labels[tuple(np.floor(np.clip(at, 0, last) + 0.5).astype(int))]
        if ((at >= -1e-6) & (at <= last + 1e-6)).all():
            place = np.clip(at, 0, last)[:, None]
            whole[y, x] = ndimage.map_coordinates(volume, place, order=1, mode="nearest")[0]
    return whole, nearest


def test_labels_keep_their_numbers_and_are_zero_outside():
    labels = RNG.integers(1, 2**31 - 1, (9, 11)).astype(np.int32)
    shift = np.eye(3)
    shift[:2, 2] = (2.4, -1.4)  # nearest: 2 columns, 1 row
    moved = warp_label_slice(labels, shift, (9, 11))
    assert moved.dtype == np.int32
    assert (moved[1:, :9] == labels[:-1, 2:]).all()
    assert (moved[0] == 0).all()
    assert (moved[:, 9:] == 0).all()
    at = np.array([[[0.0]], [[-0.6]]])
    assert sample_labels(labels, at) == 0
