import itertools

import numpy as np
import pytest

from somray.domain.geometry import Geometry
from somray.kernels.lesions.nearest import NearestMeter
from somray.kernels.lesions.rim import pieces_of
from tests.kernels.naive_figures import nearest
from tests.kernels.naive_lesions import measure

SPACING = (3.0, 1.0, 0.7)


def shapes(labels):
    labels = labels.astype(np.int32)
    return measure(labels, np.zeros(labels.shape), Geometry.from_spacing(labels.shape, SPACING))


def nearest_mm(labels, size=(99, 99, 99), geometry=None):
    """Distances of all lesions by number, from bricks of some size."""
    grid = geometry or Geometry.from_spacing(labels.shape, SPACING)
    meter, block = NearestMeter(grid, int(labels.max())), np.pad(labels, 1).astype(np.int32)
    bricks = []
    for corner in itertools.product(*map(range, (0, 0, 0), labels.shape, size)):
        outer = tuple(slice(c, c + s + 2) for c, s in zip(corner, size, strict=True))
        pieces = pieces_of(np.ascontiguousarray(block[outer]), corner)
        if len(pieces.points):
            bricks.append(pieces)
            meter.add_brick(pieces)
    search = meter.search()
    for number in search.bricks:
        search.add_brick(number, bricks[number])
    return search.nearest_mm[1:].tolist()


@pytest.mark.parametrize("lesions", [2, 3, 5, 8])
def test_the_nearest_other_lesion_is_the_nearest_of_all_voxels(lesions):
    rng = np.random.default_rng(lesions)
    labels = np.zeros((10, 30, 30), dtype=int)
    for number in range(1, lesions + 1):
        z, y, x = (int(rng.integers(0, n - 4)) for n in labels.shape)
        labels[z : z + 3, y : y + 4, x : x + 4] = number
    kept = [number for number in range(1, lesions + 1) if (labels == number).any()]
    labels = np.searchsorted([0, *kept], labels) * (labels > 0)
    expected = nearest([labels == n + 1 for n in range(len(kept))], SPACING)
    assert nearest_mm(labels) == pytest.approx(expected)


def test_specks_among_large_lesions_that_wind_about_each_other_find_their_nearest():
    labels = np.zeros((12, 40, 44), dtype=int)
    labels[2:5, 4:30, 4:8] = labels[2:5, 4:8, 4:30] = 1  # two angles, one inside the other's box
    labels[2:5, 12:36, 30:34] = labels[2:5, 32:36, 12:34] = 2
    rng = np.random.default_rng(0)
    for number in range(3, 40):
        free = np.argwhere(labels == 0)
        labels[tuple(free[rng.integers(len(free))])] = number
    expected = nearest([labels == n for n in range(1, 40)], SPACING)
    assert nearest_mm(labels) == pytest.approx(expected)


def test_a_lone_lesion_is_near_nothing():
    labels = np.zeros((5, 5, 5), dtype=int)
    labels[2, 2, 2] = 1
    assert np.isnan(nearest_mm(labels)).all()
    assert nearest_mm(np.zeros((5, 5, 5), dtype=int)) == []


def test_lesions_that_touch_are_a_voxel_apart():
    labels = np.zeros((4, 8, 8), dtype=int)
    labels[1:3, 2:6, 1:4], labels[1:3, 2:6, 4:7] = 1, 2
    assert nearest_mm(labels) == pytest.approx([0.7, 0.7])


@pytest.mark.parametrize("size", [(4, 99, 99), (5, 16, 11)])
def test_distances_are_the_same_bits_however_bricks_are_cut(size):
    rng = np.random.default_rng(1)
    labels = np.zeros((40, 70, 70), dtype=int)
    for number in range(1, 40):
        z, y, x = (int(rng.integers(0, n - 3)) for n in labels.shape)
        d, r, c = rng.integers(1, 6, 3)
        labels[z : z + d, y : y + r, x : x + c] = number
    labels[:, 30:33] = 40  # one wall among them all
    turn = np.eye(4)
    turn[:3, :3] = np.linalg.qr(rng.normal(size=(3, 3)))[0] @ np.diag([0.7, 1.0, 3.0])
    for grid in (None, Geometry.from_matrix(labels.shape, turn)):
        whole, cut = nearest_mm(labels, geometry=grid), nearest_mm(labels, size, grid)
        assert np.array_equal(whole, cut, equal_nan=True)


def test_two_large_lesions_far_apart_find_each_other():
    labels = np.zeros((90, 80, 80), dtype=int)
    labels[:30], labels[70:, :5] = 1, 2
    assert nearest_mm(labels, (32, 99, 99)) == pytest.approx([41 * 3.0] * 2)


def test_volume_and_surface_make_the_sphericity():
    z, y, x = np.indices((11, 41, 57)) - np.array([5, 20, 28])[:, None, None, None]
    ball = (SPACING[0] * z) ** 2 + (SPACING[1] * y) ** 2 + (SPACING[2] * x) ** 2 <= 14.0**2
    (shape,) = shapes(ball.astype(int))
    volume = ball.sum() * np.prod(SPACING)
    assert shape.sphericity == pytest.approx(
        (36 * np.pi * volume**2) ** (1 / 3) / shape.surface_mm2
    )
    assert 0.9 < shape.sphericity < 1.03


def test_a_rod_is_less_of_a_ball_than_a_ball():
    labels = np.zeros((5, 5, 60), dtype=int)
    labels[2, 1:4, 2:58] = 1
    assert shapes(labels)[0].sphericity < 0.65
