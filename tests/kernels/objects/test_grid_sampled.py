"""Values on a coarse grid drawn finer, and laid on another grid, against scipy's interpolation."""

import numpy as np
import pytest
from scipy import ndimage

from somray.kernels.objects.grid import object_grid
from tests.kernels.objects.test_grid import geometry

TURNS = [(1, 1, 1), (-1, 1, 1), (1, -1, -1)]


def slow(values, shape, factors):
    """Interpolate blocks (z, y, x) at the centres of voxels, the outermost values going on."""
    at = [(np.arange(n) + 0.5) / f - 0.5 for n, f in zip(shape, factors, strict=True)]
    return ndimage.map_coordinates(values, np.meshgrid(*at, indexing="ij"), order=1, mode="nearest")


@pytest.mark.parametrize("signs", TURNS)
@pytest.mark.parametrize(
    ("shape", "spacing"),
    [((20, 24, 21), (1.0, 2.0, 2.0)), ((9, 31, 30), (5.0, 1.0, 1.0)), ((4, 5, 6), (4.0, 4.0, 4.0))],
)
def test_sampling_is_what_scipy_interpolates(shape, spacing, signs):
    grid = object_grid(geometry(shape, spacing, signs), 4.0, True)
    values = np.random.default_rng(0).random(grid.shape).astype(np.float32)
    expected = slow(grid.unturned(values), shape, grid.factors)
    np.testing.assert_allclose(grid.sampled(values, 0, shape[0]), expected, atol=1e-5)


@pytest.mark.parametrize("cut", [1, 3, 7])
def test_slabs_sample_what_the_whole_samples(cut):
    grid = object_grid(geometry((20, 24, 21), (1.0, 2.0, 2.0)), 4.0, True)
    values = np.random.default_rng(0).random(grid.shape).astype(np.float32)
    parts = [grid.sampled(values, z, min(z + cut, 20)) for z in range(0, 20, cut)]
    np.testing.assert_array_equal(np.concatenate(parts), grid.sampled(values, 0, 20))


def test_a_constant_stays_and_the_outermost_values_go_on():
    grid = object_grid(geometry((10, 10, 10), (1.0, 1.0, 1.0)), 4.0, True)
    assert (grid.sampled(np.full(grid.shape, 0.3, np.float32), 0, 10) == np.float32(0.3)).all()


@pytest.mark.parametrize("signs", TURNS)
@pytest.mark.parametrize(("own_mm", "other_mm"), [(6.0, 4.0), (4.0, 6.0), (4.0, 4.0), (2.0, 6.0)])
def test_another_grid_of_the_same_scan_sees_what_scipy_interpolates(own_mm, other_mm, signs):
    scan = geometry((25, 24, 23), (1.0, 2.0, 2.0), signs)
    own, other = (object_grid(scan, size, True) for size in (own_mm, other_mm))
    values = np.random.default_rng(0).random(own.shape).astype(np.float32)
    ratios = np.divide(own.factors, other.factors)
    expected = slow(own.unturned(values), other.block_shape, ratios)
    found = own.onto(values, other)
    assert found.shape == other.shape
    np.testing.assert_allclose(other.unturned(found), expected, atol=1e-5)
