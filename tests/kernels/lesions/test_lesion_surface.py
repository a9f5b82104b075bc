import numpy as np
import pytest
from scipy.stats import special_ortho_group

from somray.domain.geometry import Geometry
from somray.kernels.lesions.surface import SurfaceMeter, sphericity
from tests.kernels.naive_figures import surface
from tests.kernels.naive_lesions import padded

GRIDS = [(1.0, 1.0, 1.0), (2.0, 1.0, 1.0), (3.27, 0.98, 0.98), (5.0, 0.7, 0.7), (1.0, 0.5, 2.0)]
TURN = special_ortho_group.rvs(3, random_state=1)


def measured(labels, spacing, depth=None, grid=None):
    """Surfaces by number of lesions taken some slices at a time."""
    labels = labels.astype(np.int32)
    meter = SurfaceMeter(
        grid or Geometry.from_spacing(labels.shape, spacing), int(labels.max(initial=0))
    )
    block = padded(labels, meter.margin)
    step = depth or len(labels)
    for z in range(0, len(labels), step):
        meter.add_brick(block[z : z + step + 2 * meter.margin[0]])
    return meter.area_mm2


def points(reach_mm, spacing, turn=None):
    """Voxel centres about an odd point of the grid, in mm; (z, y, x, 3)."""
    counts = [int(reach_mm / s) + 2 for s in spacing]
    axes = [
        (np.arange(-n, n + 1) - shift) * s
        for n, s, shift in zip(counts, spacing, (0.3, 0.2, 0.4), strict=True)
    ]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    return grid if turn is None else grid @ turn


@pytest.mark.parametrize("spacing", GRIDS)
@pytest.mark.parametrize("radius", [6.0, 10.0, 20.0])
def test_the_surface_of_a_ball_is_right_within_seven_percent(spacing, radius):
    ball = (points(radius, spacing) ** 2).sum(axis=-1) <= radius**2
    truth = 4 * np.pi * radius**2
    error = abs(float(measured(ball, spacing)[1]) / truth - 1)
    assert error < (0.03 if len(set(spacing)) == 1 else 0.07)


@pytest.mark.parametrize("spacing", GRIDS)
@pytest.mark.parametrize("sides", [(20, 20, 20), (30, 20, 10), (60, 60, 60)])
def test_a_box_loses_no_more_than_the_rounding_of_its_edges(spacing, sides):
    """The normal turns over the smoothing's width about each edge: a fixed loss per mm of edge."""
    counts = [round(side / s) for side, s in zip(sides, spacing, strict=True)]
    a, b, c = (n * s for n, s in zip(counts, spacing, strict=True))
    truth = 2 * (a * b + b * c + a * c)
    found = float(measured(np.ones(counts, dtype=bool), spacing)[1])
    edges = 4 * (a + b + c)
    assert truth - 0.45 * max(spacing) * edges < found < truth
    assert found > 0.9 * truth


@pytest.mark.parametrize("spacing", GRIDS)
def test_a_turned_cube_has_the_surface_of_an_upright_one(spacing):
    cube = (np.abs(points(24.0, spacing, TURN)) <= 12.0).all(axis=-1)
    assert float(measured(cube, spacing)[1]) == pytest.approx(6 * 24**2, rel=0.05)


@pytest.mark.parametrize("spacing", GRIDS)
def test_faces_and_normals_equal_filters_on_the_whole_mask(spacing):
    mask = np.random.default_rng(4).random((6, 9, 10)) < 0.3
    half = np.clip(np.round(max(spacing) / np.array(spacing)), 1, 8).astype(int)
    expected = surface(mask, spacing, half)
    assert float(measured(mask, spacing)[1]) == pytest.approx(expected, rel=1e-12)


def test_a_single_voxel_is_a_box():
    found = measured(np.ones((1, 1, 1)), (3.0, 1.0, 2.0))
    assert float(found[1]) == pytest.approx(2 * (3 + 2 + 6))


def test_slabs_of_any_depth_give_the_same_bits_also_between_touching_lesions():
    rng = np.random.default_rng(9)
    labels = np.where(rng.random((14, 20, 21)) < 0.6, rng.integers(1, 4, (14, 20, 21)), 0)
    labels[5:8] = 0  # planes without a lesion
    spacing = (1.5, 0.8, 0.9)
    whole = measured(labels, spacing)
    for depth in (1, 3, 8):
        assert measured(labels, spacing, depth).tolist() == whole.tolist()
    for lesion in (1, 2, 3):
        assert measured(labels == lesion, spacing)[1] == whole[lesion]


def test_a_turned_grid_changes_no_surface():
    mask = np.random.default_rng(2).random((5, 6, 7)) < 0.5
    matrix = np.eye(4)
    matrix[:3, :3] = TURN @ np.diag([0.7, 1.1, 2.0])
    turned = measured(mask, None, grid=Geometry.from_matrix((5, 6, 7), matrix))
    assert turned[1] == pytest.approx(measured(mask, (2.0, 1.1, 0.7))[1])


def test_no_voxels_have_no_surface():
    assert measured(np.zeros((3, 3, 3)), (1.0, 1.0, 1.0)).tolist() == [0.0]


def test_sphericity_is_one_for_a_ball_and_that_of_a_cube_for_a_cube():
    assert sphericity(4 / 3 * np.pi * 5.0**3, 4 * np.pi * 5.0**2) == pytest.approx(1.0)
    assert sphericity(8.0, 24.0) == pytest.approx((np.pi / 6) ** (1 / 3))
