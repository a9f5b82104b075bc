"""What registration leaves, and volumes warped piece by piece."""

import numpy as np
import pytest

from somray.domain.geometry import Geometry
from somray.kernels.grids.blocks import index_map, pieces
from somray.kernels.grids.resample import (
    sample_labels,
    warp_label_slice,
    warp_volume_slice,
)
from somray.kernels.registration.residual import ResidualSums, regions_of
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
    regions = regions_of(target, moved)
    for rows in (slice(0, 7), slice(7, 20)):
        part = {region: mask[rows] for region, mask in regions.items()}
        sums.add(fixed[rows], before[rows], after[rows], part)
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
    sums.add(flat, flat + 3, None, regions_of(nothing, nothing))
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
    chain = index_map(fixed, moving, matrix)
    for z in (0, 5, 13):
        found = np.full((22, 26), np.nan, dtype=np.float32)
        marked = np.zeros((22, 26), dtype=np.uint16)
        for piece in pieces(chain, (z, 22, 26), moving.shape, most):
            assert piece.source.stop - piece.source.start <= most
            found[piece.rows, piece.columns] = piece.sample(volume[piece.source])
            marked[piece.rows, piece.columns] = piece.sample_labels(labels[piece.source])
        whole = warp_volume_slice(volume, moving, fixed, matrix, z)
        assert np.allclose(found, whole, atol=1e-3, equal_nan=True)
        nearest = warp_volume_slice(labels.astype(np.float32), moving, fixed, matrix, z, order=0)
        assert (marked == np.nan_to_num(nearest)).all()


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
