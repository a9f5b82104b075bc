import numpy as np
import pytest
from scipy import ndimage

from somray.domain.geometry import Geometry
from somray.kernels.evolution.changes import LesionChange
from somray.kernels.evolution.common_frame import place_lesions
from somray.kernels.evolution.surroundings import (
    LEAST_POINTS,
    MISALIGNED_BELOW,
    MOST_POINTS,
    Shells,
    correlation,
    doubted,
    values_in_block,
)
from tests.kernels.whole_lesions import session_lesions

GRID = Geometry.from_spacing((24, 64, 64), (2.0, 1.0, 1.0))
TEXTURE = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=GRID.shape), (1.5, 3, 3))
IMAGE = (TEXTURE / TEXTURE.std() * 100).astype(np.float32)


def cube(geometry=GRID, centre=(12, 30, 30), half=3, pose=None):
    z, y, x = np.indices(geometry.shape)
    inside = np.maximum.reduce([abs(z - centre[0]), abs(y - centre[1]), abs(x - centre[2])]) <= half
    found = session_lesions("t0", geometry, inside.astype(int))
    return place_lesions(found, np.eye(4) if pose is None else pose)


def nothing(geometry=GRID, pose=None):
    empty = session_lesions("t1", geometry, np.zeros(geometry.shape, dtype=int))
    return place_lesions(empty, np.eye(4) if pose is None else pose)


def moved(x_mm):
    pose = np.eye(4)
    pose[0, 3] = x_mm
    return pose


def test_the_shell_keeps_clear_of_the_lesion_and_stays_in_its_box():
    here, there = Shells(cube(), nothing()).points([0])[0]
    assert 1000 < len(here) <= MOST_POINTS
    assert np.array_equal(here, there)
    off = np.abs(here - [12, 30, 30])
    assert not (off <= 3).all(axis=1).any()
    along_x = (off[:, 0] <= 3) & (off[:, 1] <= 3)
    assert off[along_x, 2].min() > 3 + 4
    assert (off.max(axis=0) <= [3 + 5, 13, 13]).all()


def test_the_shell_keeps_clear_of_the_other_sessions_lesions_too():
    here, _ = Shells(cube(), cube(centre=(12, 30, 40), half=2)).points([0])[0]
    off = np.abs(here - [12, 30, 40])
    assert not (off <= 2).all(axis=1).any()


def test_the_shell_ends_where_the_other_scan_ends():
    low = Geometry.from_spacing((10, 64, 64), (2.0, 1.0, 1.0))
    here, there = Shells(cube(), nothing(low)).points([0])[0]
    assert 8 <= here[:, 0].max() == there[:, 0].max() <= 9


def test_points_go_to_the_same_place_of_a_session_that_lies_elsewhere():
    fine = Geometry.from_spacing((48, 64, 64), (1.0, 1.0, 1.0))
    here, there = Shells(cube(), nothing(fine, moved(-5.0))).points([0])[0]
    assert there == pytest.approx(here * [2, 1, 1] + [0, 0, 5])


def correlated(shift, noise=0.0):
    rng = np.random.default_rng(3)
    later = np.roll(IMAGE, shift, axis=2) + rng.normal(0, noise, GRID.shape).astype(np.float32)
    here, there = Shells(cube(), nothing()).points([0])[0]
    earlier = IMAGE + rng.normal(0, noise, GRID.shape).astype(np.float32)
    return correlation(values_in_block(earlier, here), values_in_block(later, there))


def test_the_same_surroundings_correlate_and_shifted_ones_do_not():
    assert correlated(0) == pytest.approx(1.0)
    assert correlated(0, noise=40.0) > 0.9
    assert correlated(10, noise=40.0) < MISALIGNED_BELOW


def test_what_lies_inside_the_lesion_does_not_matter():
    changed = IMAGE.copy()
    changed[9:16, 27:34, 27:34] += 1000
    here, there = Shells(cube(), nothing()).points([0])[0]
    one, other = values_in_block(IMAGE, here), values_in_block(changed, there)
    assert correlation(one, other) == pytest.approx(1.0)


def test_noise_alone_tells_nothing():
    assert correlated(0, noise=2000.0) is None
    flat = np.full((2, 500), 7.0, dtype=np.float32)
    assert correlation(flat, flat) is None


def test_too_few_points_with_data_tell_nothing():
    here, there = Shells(cube(), nothing()).points([0])[0]
    one, other = values_in_block(IMAGE, here), values_in_block(IMAGE, there)
    other[:, LEAST_POINTS - 1 :] = np.nan
    assert correlation(one, other) is None


def test_values_are_the_voxels_and_the_means_of_their_slices():
    points = np.array([[3.0, 10.0, 11.0], [7.0, 40.0, 12.0], [20.0, 63.0, 30.0]])
    value, mean = values_in_block(IMAGE, points)
    assert value == pytest.approx([IMAGE[3, 10, 11], IMAGE[7, 40, 12], IMAGE[20, 63, 30]])
    assert mean[:2] == pytest.approx(
        [IMAGE[3, 9:12, 10:13].mean(), IMAGE[7, 39:42, 11:14].mean()], rel=1e-4
    )


def test_values_between_voxels_are_linear_and_need_no_more_than_a_slice_beside_the_block():
    points = np.random.default_rng(5).uniform((4.5, 5, 5), (9.5, 58, 58), (200, 3))
    whole = values_in_block(IMAGE, points)
    part = np.ascontiguousarray(IMAGE[4:11, 3:61, 4:])
    assert np.array_equal(whole, values_in_block(part, points, (4, 3, 4)))
    halfway = values_in_block(IMAGE, np.array([[5.5, 20.0, 20.0]]))[0]
    assert halfway == pytest.approx((IMAGE[5, 20, 20] + IMAGE[6, 20, 20]) / 2, rel=1e-5)


def test_missing_data_spreads_no_further_than_its_own_voxels():
    image = IMAGE.copy()
    image[5, 20, 20] = np.nan
    value, mean = values_in_block(image, np.array([[5.0, 20, 20], [5.0, 20, 21], [5.0, 20, 23]]))
    assert np.isnan([value[0], mean[0]]).all()
    assert np.isfinite([value[2], mean[2]]).all()
    known = image[5, 19:22, 20:23]
    assert mean[1] == pytest.approx(np.nanmean(known), rel=1e-4) or np.isnan(mean[1])


def row(change, lesion=1):
    volumes = {"new": (None, 9.0), "resolved": (9.0, None)}.get(change, (9.0, 9.0))
    return LesionChange(lesion, "t0", "t1", change, *volumes, None, None, (), True)


@pytest.mark.parametrize("change", ["new", "resolved"])
def test_a_jump_among_surroundings_that_do_not_match_is_left_open(change):
    (told,) = doubted([row(change)], {(1, "t1"): 0.1})
    assert (told.change, told.doubt, told.surround_ncc) == (None, "misaligned", 0.1)
    (told,) = doubted([row(change)], {(1, "t1"): 0.9})
    assert (told.change, told.doubt, told.surround_ncc) == (change, None, 0.9)


@pytest.mark.parametrize("change", ["stable", "enlarging", "merged", "split", None])
def test_other_rows_are_told_as_they_are(change):
    (told,) = doubted([row(change)], {(1, "t1"): 0.1})
    assert (told.change, told.doubt, told.surround_ncc) == (change, None, 0.1)


def test_a_jump_without_texture_around_stays():
    assert [r.change for r in doubted([row("new"), row("new", 2)], {(1, "t1"): None})] == [
        "new"
    ] * 2
