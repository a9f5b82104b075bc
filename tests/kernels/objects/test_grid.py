"""The grid that objects are found on: means, turns, places and drawing back."""

from dataclasses import replace

import numpy as np
import pytest

from somray.domain.geometry import Geometry
from somray.errors import ShapeError
from somray.kernels.objects.grid import BlockMeans, object_grid


def geometry(shape, spacing, flips=(1, 1, 1)):
    matrix = np.diag([*np.multiply(spacing[::-1], flips), 1.0])
    matrix[:3, 3] = (7.0, -3.0, 11.0)
    return Geometry.from_matrix(shape, matrix)


def test_blocks_hold_the_mean_of_their_voxels_and_ignore_missing_ones():
    grid = object_grid(geometry((5, 6, 7), (2.0, 1.0, 1.0)), 2.0, False)
    image = np.random.default_rng(1).normal(size=(2, 5, 6, 7)).astype(np.float32)
    image[0, 2, 0:2, 0:2] = np.nan
    image[1, 0, 0, 0] = np.nan
    means = BlockMeans(grid, 2)
    means.add(image, 0)
    found = means.finish()
    assert grid.factors == (1, 2, 2)
    assert found.shape == (2, 5, 3, 4)
    assert np.isnan(found[0, 2, 0, 0])
    assert found[1, 0, 0, 0] == pytest.approx(np.nanmean(image[1, 0, :2, :2]), rel=1e-6)
    assert found[1, 3, 2, 3] == pytest.approx(image[1, 3, 4:, 6:].mean(), rel=1e-6)


@pytest.mark.parametrize("cut", [1, 3, 4])
def test_means_are_the_same_bits_however_slabs_are_cut(cut):
    grid = object_grid(geometry((9, 8, 8), (1.0, 1.0, 1.0)), 3.0, True)
    image = np.random.default_rng(2).normal(size=(1, 9, 8, 8)).astype(np.float32)
    whole, parts = BlockMeans(grid, 1), BlockMeans(grid, 1)
    whole.add(image, 0)
    for z in range(0, 9, cut):
        parts.add(image[:, z : z + cut], z)
    assert np.array_equal(whole.finish(), parts.finish())


@pytest.mark.parametrize("flips", [(1, 1, 1), (-1, 1, 1), (1, -1, -1)])
def test_an_oriented_grid_runs_to_superior_posterior_and_left(flips):
    own = geometry((4, 5, 6), (1.0, 1.0, 1.0), flips)
    grid = object_grid(own, 1.0, True)
    corners = grid.to_world(np.array([[0.0, 0, 0], [3, 0, 0], [0, 4, 0], [0, 0, 5]]))
    assert np.allclose(corners[1:] - corners[0], [[0, 0, 3], [0, 4, 0], [5, 0, 0]])


def test_turning_a_sagittal_scan_finds_its_axes():
    matrix = np.zeros((4, 4))
    matrix[1, 0], matrix[2, 1], matrix[0, 2], matrix[3, 3] = 1.0, -1.0, 2.0, 1.0  # x→A-P, y→-S, z→L
    own = Geometry.from_matrix((3, 4, 5), matrix)
    grid = object_grid(own, 1.0, True)
    assert grid.axes == (1, 2, 0)
    assert grid.shape == (4, 5, 3)
    index = np.array([[2.0, 3.0, 1.0]])
    z, y, x = 1, 4 - 1 - 2, 3  # the scan's voxel: its y runs against superior
    assert np.allclose(grid.to_world(index), own.to_world(np.array([[z, y, x]], dtype=float)))


def test_turned_blocks_come_back_as_they_were():
    own = geometry((4, 5, 6), (1.0, 1.0, 1.0), (-1, 1, -1))
    grid = object_grid(own, 1.0, True)
    blocks = np.arange(120).reshape(4, 5, 6)
    assert np.array_equal(grid.unturned(grid.turned(blocks)), blocks)
    assert not np.array_equal(grid.turned(blocks), blocks)


def test_drawing_on_blocks_of_one_voxel_gives_the_labels_back():
    grid = object_grid(geometry((5, 6, 7), (4.0, 4.0, 4.0), (-1, 1, 1)), 4.0, True)
    labels = np.random.default_rng(3).integers(0, 3, (5, 6, 7)).astype(np.int32)
    drawn = grid.draw(labels, 0, 5)
    assert np.array_equal(drawn, grid.unturned(labels))


def test_a_ball_keeps_its_volume_and_place_when_drawn_finer():
    own = geometry((60, 60, 60), (1.0, 1.0, 1.0))
    grid = object_grid(own, 4.0, True)
    z, y, x = np.ogrid[:15, :15, :15]
    ball = ((z - 7) ** 2 + (y - 7) ** 2 + (x - 7) ** 2 <= 5**2).astype(np.int32)
    drawn = grid.draw(ball, 0, 60)
    assert drawn.sum() == pytest.approx(ball.sum() * 64, rel=0.05)
    assert np.allclose(np.argwhere(drawn).mean(axis=0), 7 * 4 + 1.5, atol=0.01)


@pytest.mark.parametrize("cut", [1, 7])
def test_slabs_draw_what_the_whole_draws(cut):
    own = geometry((30, 24, 24), (1.0, 2.0, 2.0))
    grid = object_grid(own, 4.0, True)
    labels = np.zeros(grid.shape, dtype=np.int32)
    labels[1:4, 2:6, 2:6], labels[4:7, 2:6, 5:9] = 1, 2
    whole = grid.draw(labels, 0, 30)
    parts = [grid.draw(labels, z, min(z + cut, 30)) for z in range(0, 30, cut)]
    assert np.array_equal(np.concatenate(parts), whole)
    assert set(np.unique(whole)) == {0, 1, 2}


def test_nearest_gives_every_voxel_its_block():
    own = geometry((4, 4, 4), (1.0, 1.0, 1.0), (-1, 1, 1))
    grid = object_grid(own, 2.0, True)
    labels = np.arange(8, dtype=np.int32).reshape(2, 2, 2)
    assert np.array_equal(
        grid.nearest(labels, 1, 3)[0], np.repeat(np.repeat(labels[0, :, ::-1], 2, 0), 2, 1)
    )


def test_a_size_must_be_positive():
    with pytest.raises(ShapeError, match="size_mm must be positive"):
        object_grid(geometry((2, 2, 2), (1.0, 1.0, 1.0)), 0.0, True)


@pytest.mark.parametrize("side", [1, 2, 3, 5, 8, 9, 12])
def test_blocks_are_summed_in_the_order_of_reduceat_bit_for_bit(side):
    rng = np.random.default_rng(side)
    image = rng.normal(size=(1, 2, 25, 26)) * 10.0 ** rng.integers(-12, 12, size=(1, 2, 25, 26))
    grid = object_grid(geometry((2, 25, 26), (2.0, 1.0, 1.0)), 2.0, False)
    grid = replace(grid, factors=(2, side, side))
    means = BlockMeans(grid, 1)
    means.add(image, 0)
    starts = [np.arange(0, n, side) for n in (25, 26)]
    sums = np.zeros(grid.block_shape)
    for plane in image[0]:
        rows = plane if side == 1 else np.add.reduceat(plane, starts[0], axis=0)
        sums[0] += rows if side == 1 else np.add.reduceat(rows, starts[1], axis=1)
    sizes = np.outer(*(np.diff([*at, n]) for at, n in zip(starts, (25, 26), strict=True)))
    assert np.array_equal(means.finish()[0, 0], (sums[0] / (2 * sizes)).astype(np.float32))
