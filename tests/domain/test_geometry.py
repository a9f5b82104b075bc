"""The grid: what is refused, and when two grids are one, whatever the unit."""

import numpy as np
import pytest

from somray.domain.geometry import Geometry
from somray.errors import ShapeError

SHAPE = (5, 6, 7)


def turned(scale=1.0, moved=(0.0, 0.0, 0.0)):
    """Make an oblique grid whose every length is scaled, moved by parts of a voxel of edge 1."""
    c, s = np.cos(0.3), np.sin(0.3)
    matrix = np.eye(4)
    matrix[:3, :3] = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) * [1.0, 1.5, 4.0]
    matrix[:3, 3] = np.array([10.0, -20.0, 30.0]) + moved
    matrix[:3] *= scale
    return Geometry.from_matrix(SHAPE, matrix)


@pytest.mark.parametrize("scale", [1.0, 0.0005, 1000.0])
def test_grids_are_one_within_a_part_of_a_voxel_in_any_unit(scale):
    grid = turned(scale)
    assert grid.is_same_grid(turned(scale, moved=(0.0, 0.02, 0.0)))
    assert not grid.is_same_grid(turned(scale, moved=(0.0, 0.2, 0.0)))
    assert grid.distance_voxels(turned(scale, moved=(0.0, 3.0, 4.0))) == pytest.approx(5.0)


def test_a_small_turn_counts_at_the_far_corner():
    grid = turned()
    turn = np.eye(4)
    turn[0, 1] = 0.01
    other = Geometry.from_matrix(SHAPE, grid.matrix @ turn)
    assert grid.distance_voxels(other) == pytest.approx(0.01 * (SHAPE[1] - 1))


def test_grids_of_two_shapes_are_never_one():
    other = Geometry.from_matrix((5, 6, 8), turned().matrix)
    assert not turned().is_same_grid(other)


def test_skew_is_the_cosine_between_axes():
    assert turned().skew == pytest.approx(0.0, abs=1e-12)
    sheared = np.eye(4)
    sheared[0, 1] = 1.0  # 45 degrees
    assert Geometry.from_matrix(SHAPE, sheared).skew == pytest.approx(np.sqrt(0.5))


def test_world_and_index_are_inverse():
    index = np.array([[0.0, 0.0, 0.0], [4.0, 5.0, 6.0], [1.5, 2.0, 0.25]])
    np.testing.assert_allclose(turned().to_index(turned().to_world(index)), index, atol=1e-12)
    assert turned().spacing_mm == pytest.approx((4.0, 1.5, 1.0))
    assert turned().voxel_mm3 == pytest.approx(6.0)


@pytest.mark.parametrize(
    ("shape", "matrix"),
    [
        ((0, 2, 2), np.eye(4)),
        ((2, 2), np.eye(4)),
        (SHAPE, np.diag([1.0, 1.0, 0.0, 1.0])),
        (SHAPE, np.full((4, 4), np.nan)),
        (SHAPE, np.eye(3)),
    ],
)
def test_what_spans_no_space_is_refused(shape, matrix):
    with pytest.raises(ShapeError):
        Geometry.from_matrix(shape, matrix)


def test_spacing_makes_an_upright_grid():
    grid = Geometry.from_spacing(SHAPE, (3.0, 2.0, 1.0))
    np.testing.assert_array_equal(grid.matrix, np.diag([1.0, 2.0, 3.0, 1.0]))


@pytest.mark.parametrize(
    ("columns", "axes"), [("xyz", (1, 2)), ("yzx", (0, 2)), ("zyx", (0, 1)), ("xzy", (0, 2))]
)
def test_the_axial_plane_is_the_patients(columns, axes):
    matrix = turned().matrix
    matrix[:3, :3] = -matrix[:3, ["xyz".index(name) for name in columns]]
    assert Geometry.from_matrix(SHAPE, matrix).axial_axes == axes
