import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.measure import regionprops

from somray.domain.geometry import Geometry
from somray.errors import ShapeError
from somray.kernels.lesions.ellipsoid import EllipsoidMeter

SPACING = (2.0, 0.8, 1.1)


def measured(labels, geometry=None):
    meter = EllipsoidMeter(geometry or Geometry.from_spacing(labels.shape, SPACING))
    meter.add(labels)
    return meter.finish()


def turned(shape, spacing_mm, seed):
    """Return an oblique grid with its own rotation, drawn by seed, about the volume's middle."""
    rotation, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    matrix = np.eye(4)
    matrix[:3, :3] = rotation * np.array(spacing_mm)[::-1]
    middle = (np.array(shape)[::-1] - 1) / 2
    matrix[:3, 3] = -matrix[:3, :3] @ middle
    return Geometry.from_matrix(shape, matrix)


def solid(geometry, semi_axes, directions):
    """Draw an ellipsoid about LPS 0; directions are rows, unit vectors at right angles."""
    index = np.argwhere(np.ones(geometry.shape, bool)).astype(float)
    along = geometry.to_world(index) @ np.array(directions).T / np.array(semi_axes)
    return ((along**2).sum(axis=1) <= 1).reshape(geometry.shape).astype(np.int32)


@pytest.mark.parametrize("seed", range(3))
def test_an_ellipsoid_on_an_oblique_flat_grid_has_its_axes_and_its_direction(seed):
    geometry = turned((40, 70, 60), (1.5, 0.7, 0.9), seed)
    directions, _ = np.linalg.qr(np.random.default_rng(seed + 9).normal(size=(3, 3)))
    (found,) = measured(solid(geometry, (20.0, 13.0, 9.0), directions.T), geometry)
    axes = (found.ellipsoid_major_mm, found.ellipsoid_middle_mm, found.ellipsoid_minor_mm)
    assert axes == pytest.approx((40.0, 26.0, 18.0), rel=0.015)
    assert found.elongation == pytest.approx(40 / 26, rel=0.02)
    assert found.flatness == pytest.approx(26 / 18, rel=0.02)
    assert found.equivalent_diameter_mm == pytest.approx(2 * (20 * 13 * 9) ** (1 / 3), rel=0.01)
    vector = np.array([found.orientation_x, found.orientation_y, found.orientation_z])
    assert abs(vector @ directions[:, 0]) > 0.999
    assert vector[2] > 0
    assert found.polar_angle_deg == pytest.approx(np.degrees(np.arccos(vector[2])))


def test_figures_agree_with_scikit_image():
    rng = np.random.default_rng(1)
    labels = np.zeros((30, 34, 38), np.int32)
    for number in range(1, 9):
        z, y, x = (int(rng.integers(0, n - 10)) for n in labels.shape)
        blob = labels[z : z + 8, y : y + 10, x : x + 6]
        blob[rng.random(blob.shape) < 0.7] = number
    regions = regionprops(labels, spacing=SPACING)
    assert len(regions) == 8
    for region, found in zip(regions, measured(labels), strict=True):
        assert found.equivalent_diameter_mm == pytest.approx(region.equivalent_diameter_area)
        # scikit-image takes voxels for points: each brings a twelfth of its own edge here.
        tensor = region.inertia_tensor
        moments = np.trace(tensor) / 2 * np.eye(3) - tensor
        own = np.diag(np.square(SPACING)) / 12
        axes = np.sqrt(20 * np.linalg.eigvalsh(moments + own))
        expected = (found.ellipsoid_minor_mm, found.ellipsoid_middle_mm, found.ellipsoid_major_mm)
        assert expected == pytest.approx(axes.tolist())


def test_a_box_and_a_single_voxel_have_the_moments_of_solids():
    labels = np.zeros((12, 20, 20), np.int32)
    labels[2:5, 3:13, 4:9] = 1  # 6 × 8 × 5.5 mm
    labels[8, 8, 8] = 3
    box, voxel = measured(labels)
    per_edge = np.sqrt(20 / 12)  # of a box edge: λ = L²/12
    assert box.ellipsoid_major_mm == pytest.approx(8.0 * per_edge)
    assert box.ellipsoid_minor_mm == pytest.approx(5.5 * per_edge)
    assert (box.orientation_x, box.orientation_y, box.orientation_z) == (0.0, 1.0, 0.0)
    assert box.polar_angle_deg == pytest.approx(90.0)
    assert voxel.ellipsoid_major_mm == pytest.approx(2.0 * per_edge)
    assert voxel.elongation == pytest.approx(2.0 / 1.1)
    assert voxel.orientation_z == 1.0
    assert voxel.polar_angle_deg == 0.0


def test_balls_have_no_direction_wherever_they_lie_between_voxels():
    rng = np.random.default_rng(2)
    z, y, x = np.indices((13, 13, 13)) - 6.0
    for _ in range(40):
        radius, (a, b, c) = rng.uniform(3.3, 5.4), rng.uniform(-0.5, 0.5, 3)
        ball = (z - a) ** 2 + (y - b) ** 2 + (x - c) ** 2 <= radius**2
        (found,) = measured(ball.astype(np.int32), Geometry.from_spacing(ball.shape, (1, 1, 1)))
        assert 1.0 <= found.elongation < 1.1
        assert found.orientation_x is found.orientation_z is found.polar_angle_deg is None


def test_only_lesions_against_a_face_of_the_volume_touch_its_border():
    labels = np.zeros((8, 9, 10), np.int32)
    labels[1, 1, 1], labels[0, 4, 4], labels[4, 8, 4], labels[4, 4, 9], labels[6, 7, 8] = range(
        1, 6
    )
    assert [f.touches_border for f in measured(labels)] == [False, True, True, True, False]
    assert [f.touches_border for f in measured(labels[1:2] * (labels[1:2] == 1))] == [False]


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), cut_z=st.integers(0, 9), cut_x=st.integers(0, 8))
def test_boxes_in_any_order_and_merged_meters_give_the_same_bits(seed, cut_z, cut_x):
    rng = np.random.default_rng(seed)
    labels = (rng.integers(0, 6, (9, 7, 8)) * (rng.random((9, 7, 8)) < 0.5)).astype(np.int32)
    geometry = turned(labels.shape, SPACING, seed)
    one, other = EllipsoidMeter(geometry), EllipsoidMeter(geometry)
    one.add(labels[cut_z:, :, cut_x:], (cut_z, 0, cut_x))
    one.add(labels[:cut_z, :, :cut_x])
    other.add(labels[:cut_z, :, cut_x:], (0, 0, cut_x))
    other.add(labels[cut_z:, :, :cut_x], (cut_z, 0, 0))
    one.merge(other)
    assert one.finish() == measured(labels, geometry)


def test_sums_that_leave_64_bits_give_the_same_figures():
    labels = np.zeros((3, 5, 4), np.int32)
    labels[:, 1:4, 2] = 1
    far = 2**30
    geometry = Geometry.from_spacing((far, far, far), SPACING)
    near, distant = EllipsoidMeter(geometry), EllipsoidMeter(geometry)
    for _ in range(3):  # three of them: their squares pass 2^63
        near.add(labels, (1, 1, 1))
        distant.add(labels, (far - 9,) * 3)
    assert int(distant._sums[1, 4]) != 9 * 3 * (far - 8) ** 2  # it did wrap
    (one,), (other,) = near.finish(), distant.finish()
    assert one == other


def test_nothing_gives_nothing_and_planes_are_refused():
    assert measured(np.zeros((3, 4, 5), np.int32)) == []
    with pytest.raises(ShapeError, match=r"\(4, 5\)"):
        measured(np.zeros((4, 5), np.int32), Geometry.from_spacing((1, 4, 5), SPACING))
