import numpy as np
import pytest
from scipy.spatial import ConvexHull

from somray.domain.geometry import Geometry
from somray.kernels.lesions.axial import _furthest, _perpendicular, hull_corners
from somray.kernels.lesions.extent import ExtremePoints
from tests.kernels.naive_figures import axial, widest_chord
from tests.kernels.naive_lesions import measure

SPACING = (2.0, 1.0, 0.5)


def one(mask, spacing=SPACING):
    grid = Geometry.from_spacing(mask.shape, spacing)
    (found,) = measure(mask.astype(np.int32), np.zeros(mask.shape), grid)
    return found


def disc(radius_y, radius_x, size=81):
    y, x = np.indices((size, size)) - size // 2
    return ((y / radius_y) ** 2 + (x / radius_x) ** 2 <= 1.0)[None]


@pytest.mark.parametrize("seed", range(6))
def test_corners_are_those_of_qhull_and_no_others(seed):
    points = np.argwhere(np.random.default_rng(seed).random((12, 17)) < 0.3)
    assert {tuple(p) for p in hull_corners(points)} == {
        tuple(p) for p in points[ConvexHull(points).vertices]
    }


def test_corners_of_a_line_are_its_ends():
    line = np.array([[k, 2 * k] for k in range(7)])
    assert hull_corners(line).tolist() == [[0, 0], [6, 12]]
    assert hull_corners(line[:1]).tolist() == [[0, 0]]


@pytest.mark.parametrize("seed", range(4))
def test_the_axial_axis_equals_all_pairs_of_every_slice(seed):
    mask = np.random.default_rng(seed).random((4, 9, 8)) < 0.25
    assert one(mask).axial_axis_mm == pytest.approx(axial(mask, SPACING)[0])


def test_the_axis_in_a_slice_is_shorter_than_the_one_in_space():
    mask = np.zeros((9, 9, 9), dtype=bool)
    mask[1:8, 4, 4] = mask[4, 4, 2:7] = True
    found = one(mask)
    assert (found.axial_axis_mm, found.longest_axis_mm) == (2.0, 12.0)


@pytest.mark.parametrize("seed", range(4))
def test_the_perpendicular_equals_many_cuts_of_the_hull(seed):
    plane = np.random.default_rng(seed).random((13, 11)) < 0.3
    corners = hull_corners(np.argwhere(plane)) * np.array([1.0, 0.7])
    squared, first, second = _furthest(corners)
    along = (corners[second] - corners[first]) / np.sqrt(squared)
    found = _perpendicular(corners, first, second, np.sqrt(squared))
    assert found == pytest.approx(widest_chord(corners, along), rel=1e-3)


def test_an_ellipse_has_its_two_axes():
    found = one(disc(12, 30), (1.0, 1.0, 1.0))
    assert found.axial_axis_mm == pytest.approx(60.0)
    assert found.axial_perpendicular_mm == pytest.approx(24.0)
    flat = one(disc(12, 30), (1.0, 1.0, 0.5))
    assert flat.axial_axis_mm == pytest.approx(30.0)
    assert flat.axial_perpendicular_mm == pytest.approx(24.0)


def test_a_rectangle_is_cut_across_its_diagonal():
    mask = np.ones((1, 4, 5), dtype=bool)  # 3 × 4 between centres
    found = one(mask, (1.0, 1.0, 1.0))
    assert found.axial_axis_mm == pytest.approx(5.0)
    assert found.axial_perpendicular_mm == pytest.approx(3.75)  # from a corner: 3 · 5 / 4


def test_a_line_and_a_voxel_have_no_perpendicular():
    line = np.zeros((1, 3, 6), dtype=bool)
    line[0, 1, 1:5] = True
    assert (one(line).axial_axis_mm, one(line).axial_perpendicular_mm) == (1.5, 0.0)
    voxel = np.ones((1, 1, 1), dtype=bool)
    assert (one(voxel).axial_axis_mm, one(voxel).axial_perpendicular_mm) == (0.0, 0.0)


def test_a_turned_grid_changes_no_axis():
    mask = np.random.default_rng(7).random((3, 8, 9)) < 0.4
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    turn *= np.sign(np.linalg.det(turn))
    matrix = np.eye(4)
    matrix[:3, :3] = turn @ np.diag([SPACING[2], SPACING[1], SPACING[0]])
    grid = Geometry.from_matrix(mask.shape, matrix)
    (found,) = measure(mask.astype(np.int32), np.zeros(mask.shape), grid)
    straight = one(mask)
    assert found.axial_axis_mm == pytest.approx(straight.axial_axis_mm)
    assert found.axial_perpendicular_mm == pytest.approx(straight.axial_perpendicular_mm)


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (2, 0, 1), (1, 2, 0), (2, 1, 0)])
@pytest.mark.parametrize("spacing", [SPACING, (1.2, 1.0, 0.7), (0.4, 1.0, 1.0)])
def test_the_order_that_axes_are_stored_in_changes_no_axis(order, spacing):
    labels = (np.random.default_rng(3).random((5, 8, 9)) < 0.5).astype(np.int32)
    labels[3:] *= 2
    grid = Geometry.from_spacing(labels.shape, spacing)
    straight = measure(labels, np.zeros(labels.shape), grid)
    matrix = grid.matrix
    matrix[:3, :3] = matrix[:3, [2 - axis for axis in reversed(order)]]
    stored = np.ascontiguousarray(labels.transpose(order))
    found = measure(stored, np.zeros(stored.shape), Geometry.from_matrix(stored.shape, matrix))
    for name in ("axial_axis_mm", "axial_perpendicular_mm", "longest_axis_mm"):
        one, other = ([getattr(lesion, name) for lesion in some] for some in (straight, found))
        assert one == pytest.approx(other)
    planes = [labels == 1, labels == 2]
    assert [lesion.axial_axis_mm for lesion in found] == pytest.approx(
        [axial(plane, spacing)[0] for plane in planes]
    )


@pytest.mark.parametrize("normal", [1, 2])
def test_slices_that_run_through_slabs_and_tiles_are_measured_whole(normal):
    labels = (np.random.default_rng(5).random((6, 7, 9)) < 0.4).astype(np.int32)
    labels[4:] *= 2
    spacing = np.full(3, 1.0)
    spacing[normal] = 3.0
    grid = Geometry.from_spacing(labels.shape, tuple(spacing))
    last = np.array([-1, 3, 5])
    whole, cut = ExtremePoints(grid, last), ExtremePoints(grid, last)
    whole.add_brick(labels, (0, 0, 0))
    whole.close_slab(6)
    for z in (0, 2, 4):
        for y, x in ((0, 0), (0, 5), (4, 0), (4, 5)):
            tile = labels[z : z + 2, y : y + 4 if y == 0 else 7, x : x + 5 if x == 0 else 9]
            cut.add_brick(np.ascontiguousarray(tile), (z, y, x))
        cut.close_slab(z + 2)
    assert (whole.axial_mm[1:] > 0).all()
    np.testing.assert_array_equal(cut.axial_mm, whole.axial_mm)
    np.testing.assert_array_equal(cut.across_mm, whole.across_mm)


def test_the_furthest_voxels_may_belong_to_two_lesions():
    labels = np.zeros((3, 30, 8), dtype=np.int32)
    extremes = ExtremePoints(Geometry.from_spacing(labels.shape, (1.0, 1.0, 1.0)), np.full(3, 1))
    assert extremes.furthest_mm() is None
    labels[1, 2:6, 4], labels[1, 20:23, 4] = 1, 2
    extremes.add_brick(labels, (0, 0, 0))
    extremes.close_slab(3)
    assert extremes.furthest_mm() == pytest.approx(20.0)
