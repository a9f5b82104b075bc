import numpy as np
import pytest

from somray.domain.brick import Brick
from somray.kernels.grids.blocks import fill_slice
from somray.kernels.grids.regions import part_of_plane, part_of_volume
from somray.kernels.grids.resample import warp_label_slice, warp_slice

RNG = np.random.default_rng(0)
PARTS = [(y, x) for y in (0, 16, 32) for x in (0, 20, 40)]


def box(z, y, x):
    return Brick(0, z, z + 1, y, min(y + 16, 40), x, min(x + 20, 50))


@pytest.mark.parametrize("kind", ["float32", "int32"])
def test_a_volume_is_resampled_part_by_part_from_what_each_part_needs(kind):
    source = RNG.integers(0, 50, (12, 60, 70)).astype(kind)
    index = np.array(
        [[0.5, 0.1, 0, 1.037], [0.2, 0.9, 0.2, 3.013], [0, -0.3, 1.1, 9.071], [0, 0, 0, 1.0]]
    )
    nothing = np.full((40, 50), np.nan if kind == "float32" else 0, kind)
    whole = fill_slice(nothing.copy(), index, 4, 12, lambda part: source[part])
    held = []
    for y, x in PARTS:
        part = box(4, y, x)
        rows, columns, at = part_of_volume(index, part, source.shape)
        held.append((rows.stop - rows.start) * (columns.stop - columns.start))
        found = fill_slice(
            nothing[part.box[1:]].copy(), at, 4, 12, lambda z, r=rows, c=columns: source[z, r, c]
        )
        np.testing.assert_allclose(found, whole[part.box[1:]], atol=1e-3)
    assert max(held) < 60 * 70 / 3


@pytest.mark.parametrize("warp", [warp_slice, warp_label_slice])
def test_a_slice_is_warped_part_by_part_and_all_of_it_is_read_at_a_horizon(warp):
    source = RNG.integers(0, 50, (60, 70))
    bent = np.array([[1.1, 0.2, 5], [-0.2, 0.9, 12], [0.001, 0, 1]])
    whole = warp(source, bent, (40, 50))
    for y, x in PARTS:
        part = box(0, y, x)
        rows, columns, at = part_of_plane(bent, part, source.shape)
        assert (rows.stop - rows.start) * (columns.stop - columns.start) < 60 * 70 / 2
        found = warp(source[rows, columns], at, part.shape[1:])
        np.testing.assert_allclose(found, whole[part.box[1:]], atol=1e-3)
    beyond = np.array([[1.0, 0, 0], [0, 1, 0], [-0.1, 0, 1]])
    rows, columns, _ = part_of_plane(beyond, box(0, 0, 0), source.shape)
    assert (rows, columns) == (slice(0, 60), slice(0, 70))


def test_a_part_that_lies_outside_needs_nothing():
    index = np.eye(4)
    index[1, 3] = 500.0
    rows, _, _ = part_of_volume(index, box(0, 0, 0), (5, 60, 70))
    assert rows.start == rows.stop
