import numpy as np
import pytest

from somray.domain.geometry import Geometry
from somray.kernels.lesions.nearest import nearest_mm
from somray.kernels.lesions.shape import shapes_of
from tests.kernels.naive_figures import nearest

SPACING = (3.0, 1.0, 0.7)


def shapes(labels):
    index = np.argwhere(labels)
    owner = labels[tuple(index.T)] - 1
    return shapes_of(index, owner, Geometry.from_spacing(labels.shape, SPACING))


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
    assert [s.nearest_mm for s in shapes(labels)] == pytest.approx(expected)


def test_specks_among_large_lesions_that_wind_about_each_other_find_their_nearest():
    labels = np.zeros((12, 40, 44), dtype=int)
    labels[2:5, 4:30, 4:8] = labels[2:5, 4:8, 4:30] = 1  # two angles, one inside the other's box
    labels[2:5, 12:36, 30:34] = labels[2:5, 32:36, 12:34] = 2
    rng = np.random.default_rng(0)
    for number in range(3, 40):
        free = np.argwhere(labels == 0)
        labels[tuple(free[rng.integers(len(free))])] = number
    expected = nearest([labels == n for n in range(1, 40)], SPACING)
    assert [s.nearest_mm for s in shapes(labels)] == pytest.approx(expected)


def test_a_lone_lesion_is_near_nothing():
    labels = np.zeros((5, 5, 5), dtype=int)
    labels[2, 2, 2] = 1
    (shape,) = shapes(labels)
    assert np.isnan(shape.nearest_mm)
    assert np.isnan(nearest_mm(np.zeros((2, 3)), np.zeros(2, dtype=int), 1)).all()


def test_lesions_that_touch_are_a_voxel_apart():
    labels = np.zeros((4, 8, 8), dtype=int)
    labels[1:3, 2:6, 1:4], labels[1:3, 2:6, 4:7] = 1, 2
    assert [s.nearest_mm for s in shapes(labels)] == pytest.approx([0.7, 0.7])


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
