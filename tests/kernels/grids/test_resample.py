import numpy as np
import pytest

from somray.domain.geometry import Geometry
from somray.kernels.grids.slabs import overlaps, resample_slab


def turned(shape, spacing, origin, degrees=20.0):
    """Make a grid turned about x."""
    a = np.radians(degrees)
    matrix = np.eye(4)
    turn = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    matrix[:3, :3], matrix[:3, 3] = turn * np.array(spacing[::-1]), origin
    return Geometry.from_matrix(shape, matrix)


def field(geometry):
    index = np.argwhere(np.ones(geometry.shape, bool)).astype(float)
    values = geometry.to_world(index) @ np.array([1.0, -2.0, 0.5]) + 7
    return values.reshape(geometry.shape).astype(np.float32)


def reader(volume, seen=None):
    def read(first, last):
        assert 0 <= first < last <= len(volume)
        if seen is not None:
            seen.append(last - first)
        return volume[first:last]

    return read


def test_a_linear_field_stays_itself_between_turned_grids():
    source = turned((30, 32, 34), (2.0, 2.5, 3.0), (-40.0, -45.0, -20.0))
    target = Geometry.from_spacing((20, 24, 28), (1.0, 1.0, 1.0))
    found = resample_slab(reader(field(source)), source, target, 3, 9)
    wanted = field(target)[3:9]
    index = source.to_index(target.to_world(np.argwhere(np.ones(target.shape, bool)).astype(float)))
    inner = ((index >= 0) & (index <= np.array(source.shape) - 1)).all(axis=1).reshape(target.shape)
    assert inner[3:9].mean() > 0.5
    np.testing.assert_allclose(found[inner[3:9]], wanted[inner[3:9]], atol=1e-3)


def test_slab_by_slab_equals_the_whole():
    source = turned((12, 13, 14), (3.0, 2.0, 2.0), (-3.0, 2.0, -6.0))
    target = Geometry.from_spacing((17, 20, 20), (1.5, 1.0, 1.0))
    volume = np.random.default_rng(0).normal(size=source.shape).astype(np.float32)
    whole = resample_slab(reader(volume), source, target, 0, 17)
    parts = [
        resample_slab(reader(volume), source, target, z, min(z + 4, 17)) for z in range(0, 17, 4)
    ]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_edges_hold_for_half_a_voxel_and_beyond_is_no_data():
    source = Geometry.from_spacing((1, 1, 4), (1.0, 1.0, 2.0))
    target = Geometry.from_matrix((1, 1, 40), np.array(
        [[0.25, 0, 0, -2.0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]]))  # fmt: skip
    volume = np.array([[[10.0, 20.0, 30.0, 40.0]]], np.float32)
    found = resample_slab(reader(volume), source, target, 0, 1)[0, 0]
    x = np.arange(40) * 0.25 - 2.0
    wanted = np.where((x < -1) | (x > 7), np.nan, 10 + np.clip(x, 0, 6) * 5)
    np.testing.assert_allclose(found, wanted, atol=1e-4)


def test_equal_grids_give_equal_values_and_no_data_spreads_no_further_than_a_voxel():
    grid = Geometry.from_spacing((6, 7, 8), (1.0, 1.0, 1.0))
    volume = np.random.default_rng(0).normal(size=grid.shape).astype(np.float32)
    np.testing.assert_array_equal(resample_slab(reader(volume), grid, grid, 1, 5), volume[1:5])


def test_only_the_slices_that_a_slab_needs_are_read():
    source = Geometry.from_spacing((100, 4, 4), (1.0, 1.0, 1.0))
    seen = []
    volume = np.zeros(source.shape, np.float32)
    resample_slab(reader(volume, seen), source, source, 40, 44)
    assert seen
    assert max(seen) <= 8


def test_grids_that_share_no_space_do_not_overlap():
    one = Geometry.from_spacing((10, 10, 10), (1.0, 1.0, 1.0))
    matrix = np.eye(4)
    matrix[:3, 3] = (0, 0, 30.0)
    far = Geometry.from_matrix((10, 10, 10), matrix)
    assert overlaps(one, one)
    assert not overlaps(one, far)
    found = resample_slab(reader(np.ones(far.shape, np.float32)), far, one, 0, 10)
    assert np.isnan(found).all()


@pytest.mark.parametrize("flip", [0, 1, 2])
def test_flipped_grids_meet_in_the_world(flip):
    grid = Geometry.from_spacing((5, 6, 7), (1.0, 2.0, 3.0))
    axis = 2 - flip  # numpy axis of world axis `flip`
    matrix = grid.matrix
    step = matrix[:3, flip].copy()
    matrix[:3, 3] += step * (grid.shape[axis] - 1)
    matrix[:3, flip] = -step
    other = Geometry.from_matrix(grid.shape, matrix)
    volume = np.random.default_rng(0).normal(size=grid.shape).astype(np.float32)
    found = resample_slab(reader(np.flip(volume, axis)), other, grid, 0, 5)
    np.testing.assert_allclose(found, volume, atol=1e-5)
