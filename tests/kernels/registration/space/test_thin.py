import numpy as np
import pytest

from somray.domain.geometry import Geometry
from somray.kernels.registration import PlaneOptions
from somray.kernels.registration.space.few_slices import Stack, lifted, match_planes
from tests.kernels.registration import scans
from tests.kernels.registration.known_motion import error_px, move_slice, similarity

SPACING = (3.27, 0.977, 0.977)
GRID = np.diag([SPACING[2], SPACING[1], SPACING[0], 1.0])
OPTIONS = PlaneOptions()


def stack(volume, matrix=GRID):
    return Stack(volume.__getitem__, Geometry.from_matrix(volume.shape, matrix))


@pytest.fixture(scope="module")
def thigh(real_data):
    return scans.sarcoma(real_data, "022")


@pytest.mark.parametrize("z", [12, 40])
def test_one_slice_is_found_in_a_thick_stack_and_aligned_with_it(thigh, z):
    matrix = similarity(thigh.shape[1:], 8, 1.0, (9, -6))
    moved = move_slice(thigh[z], matrix, noise=10)
    found = match_planes(stack(thigh), stack(moved[None]), OPTIONS)
    assert (found.found.status, found.fixed_z, found.moving_z) == ("ok", z, 0)
    assert error_px(found.matrix, matrix, thigh.shape[1:]) < 0.5
    back = match_planes(stack(moved[None]), stack(thigh), OPTIONS)
    assert (back.fixed_z, back.moving_z) == (0, z)
    assert error_px(np.linalg.inv(back.matrix), matrix, thigh.shape[1:]) < 0.5


def test_two_thin_stacks_meet_where_they_overlap(thigh):
    found = match_planes(stack(thigh[20:23]), stack(thigh[22:25]), OPTIONS)
    assert (found.found.status, found.fixed_z, found.moving_z) == ("ok", 2, 0)
    lift = lifted(found, stack(thigh[20:23]).geometry, stack(thigh[22:25]).geometry)
    shift = np.eye(4)
    shift[2, 3] = 2 * SPACING[0]
    assert lift == pytest.approx(shift, abs=0.05)


def test_other_pixels_other_directions_and_other_steps_are_told_apart_from_motion(thigh):
    one = thigh[30:31]
    coarse = one[:, ::2, ::2][:, :, ::-1]  # every second pixel, x against the patient's
    matrix = GRID @ np.diag([-2.0, 2.0, 1.5, 1.0])
    matrix[0, 3] = 2 * SPACING[2] * (coarse.shape[2] - 1)
    moving = Stack(coarse.__getitem__, Geometry.from_matrix(coarse.shape, matrix))
    found = match_planes(stack(one), moving, OPTIONS)
    assert found.found.status == "ok"
    assert np.linalg.det(found.matrix) < 0  # pixels are mirrored, the patient is not
    lift = lifted(found, stack(one).geometry, moving.geometry)
    middle = np.array([0.5 * SPACING[2] * one.shape[2], 0.5 * SPACING[1] * one.shape[1], 0, 1])
    assert lift @ middle == pytest.approx(middle, abs=0.5)
    assert np.linalg.det(lift) == pytest.approx(1, abs=0.02)


def test_sessions_of_different_planes_blank_ones_and_strangers_are_refused(thigh, real_data):
    sagittal = GRID[:, [2, 1, 0, 3]]
    cases = {
        "different planes": (thigh[20:22], stack(thigh[20:22], sagittal)),
        "blank": (thigh[20:22], stack(np.zeros_like(thigh[20:22]))),
        "": (thigh[20:21], stack(scans.abdomen(real_data)[20:22])),
    }
    for reason, (fixed, moving) in cases.items():
        found = match_planes(stack(fixed), moving, OPTIONS)
        assert (found.found.status, found.matrix) == ("refused", None)
        assert reason in found.found.reason
        assert lifted(found, stack(fixed).geometry, moving.geometry) is None


def test_a_homography_stands_for_no_motion_in_space(thigh):
    one = stack(thigh[20:21])
    moved = move_slice(thigh[20], similarity(thigh.shape[1:], 3, 1.0, (4, -2)), noise=5)
    found = match_planes(one, stack(moved[None]), PlaneOptions(model="homography"))
    assert found.matrix is not None
    assert lifted(found, one.geometry, one.geometry) is None


def test_bone_of_two_weeks_is_one_pair_of_planes(real_data):
    weeks = [stack(scans.bone(real_data, week).astype(np.float32)[None]) for week in (2, 3)]
    found = match_planes(*weeks, OPTIONS)
    assert found.found.status in {"ok", "weak", "refused"}
    assert (found.fixed_z, found.moving_z) == (0, 0)
