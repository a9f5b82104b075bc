"""Near-symmetric bodies: registered where the sides are known, in doubt where they are not, never flipped."""

import numpy as np
import pytest
from scipy import ndimage

from somray.domain.geometry import Geometry
from somray.kernels.registration import SpaceOptions, register, register_volumes
from somray.kernels.registration.plane import starts
from somray.kernels.registration.plane.verdict import is_other
from somray.kernels.registration.space.starts import wide_turns
from tests.kernels.registration.known_motion import (
    error_px,
    error_voxels,
    move_slice,
    move_volume,
    rigid,
    similarity,
)


def head(share=1.0, shape=(176, 160), seed=0):
    """Blobs in an ellipse; `share` of what lies left lies mirrored right, too."""
    rng = np.random.default_rng(seed)
    fine = ndimage.gaussian_filter(rng.normal(size=shape), 2.5)
    slow = ndimage.gaussian_filter(rng.normal(size=shape), 8.0)
    both = fine / fine.std() + slow / slow.std()
    both = (1 - share / 2) * both + share / 2 * both[:, ::-1]
    y, x = np.indices(shape)
    inside = ((y - 87.5) / 78) ** 2 + ((x - 79.5) / 62) ** 2 < 1
    return ndimage.gaussian_filter(np.where(inside, 300 + 90 * both, 0), 0.8).astype(np.float32)


def noisy(image, seed, sigma=40.0):
    return image + np.random.default_rng(seed).normal(0, sigma, image.shape).astype(np.float32)


@pytest.mark.parametrize("degrees", [-30, -17, 17, 30])
def test_a_symmetric_slice_that_is_turned_registers_where_its_sides_are_known(degrees):
    image = head()
    matrix = similarity(image.shape, degrees, 1.0, (5, -4))
    pair = noisy(image, 1), noisy(move_slice(image, matrix), 2)
    found = register(*pair, oriented=True)
    assert found.status == "ok", found.reason
    assert error_px(found.matrix, matrix, image.shape) < 0.5


def test_a_motion_that_its_mirror_image_only_equals_is_weak_where_keypoints_agree():
    image = head()
    matrix = similarity(image.shape, 17, 1.0, (5, -4))
    found = register(noisy(image, 1, 15), noisy(move_slice(image, matrix), 2, 15))
    assert found.status == "weak"
    assert "mirror" in found.reason
    assert "keypoints agree" in found.reason
    assert error_px(found.matrix, matrix, image.shape) < 0.5


@pytest.mark.parametrize("oriented", [False, True])
@pytest.mark.parametrize("model", ["auto", "similarity", "affine", "homography"])
def test_flipped_slices_are_refused_whether_the_sides_are_known_or_not(model, oriented):
    image = head(0.7)
    for degrees in (0, 17):
        moved = move_slice(image, similarity(image.shape, degrees, 1.0, (3, 2)))
        found = register(noisy(image, 3, 15), noisy(moved[:, ::-1], 4, 15), "kaze", model,
                         oriented=oriented)  # fmt: skip
        assert (found.status, found.matrix) == ("refused", None)


def test_other_heads_stay_refused_where_the_sides_are_known():
    for seed in (5, 6, 7):
        found = register(noisy(head(), 1), noisy(head(seed=seed), 2), oriented=True)
        assert (found.status, found.matrix) == ("refused", None)


def test_a_wrong_turn_that_is_led_back_to_the_motion_is_no_rival():
    one, near, far = (similarity((50, 60), d, 1.2) for d in (10, 25, 80))
    mirrored = one @ starts.posed(starts.MIRRORS[0], (50, 60))
    assert not is_other(one, near)
    assert is_other(one, far)
    assert is_other(one, mirrored)


@pytest.mark.parametrize("pose", [*starts.MIRRORS, *starts.WRONG_TURNS])
def test_a_pose_lays_a_slice_about_its_middle_and_only_mirror_images_change_hands(pose):
    matrix = starts.posed(pose, (41, 61))
    assert matrix @ (30, 20, 1) == pytest.approx((30, 20, 1))
    assert round(np.linalg.det(matrix)) == (-1 if pose in starts.MIRRORS else 1)


def test_no_turn_up_to_thirty_degrees_lies_far_from_one_that_is_tried():
    rng = np.random.default_rng(0)
    axes = rng.normal(size=(500, 3))
    turns = np.deg2rad(rng.uniform(8, 30, (500, 1))) * axes / np.linalg.norm(axes, axis=1)[:, None]
    apart = np.linalg.norm(turns[:, None] - np.array(wide_turns())[None], axis=2).min(axis=1)
    assert np.rad2deg(apart.max()) < 15


SPACING = (3.0, 2.0, 2.0)
GRID = Geometry.from_spacing((28, 64, 56), SPACING)


def skull(share=1.0, seed=0):
    """A textured ellipsoid, of which `share` lies mirrored on the other side."""
    rng = np.random.default_rng(seed)
    texture = ndimage.gaussian_filter(rng.normal(size=GRID.shape), (1.3, 1.8, 1.8))
    texture /= texture.std()
    texture = (1 - share / 2) * texture + share / 2 * texture[:, :, ::-1]
    axes = [(np.arange(n) - (n - 1) / 2) / n for n in GRID.shape]
    z, y, x = np.meshgrid(*axes, indexing="ij")
    inside = z**2 / 0.2 + y**2 / 0.17 + x**2 / 0.14 < 1
    return ndimage.gaussian_filter(np.where(inside, 300 + 90 * texture, 0), 0.7).astype(np.float32)


def test_a_symmetric_volume_registers_where_its_sides_are_known_and_else_is_in_doubt():
    fixed, matrix = skull(), rigid(GRID, (6, -9, 14), (6.0, -4.0, 5.0))
    moving = move_volume(fixed, GRID, matrix, GRID, noise=20)
    known = register_volumes(fixed, moving, GRID, GRID, SpaceOptions(oriented=True))
    assert known.status == "ok", known.reason
    assert error_voxels(known.matrix, matrix, GRID) < 0.3
    unknown = register_volumes(fixed, moving, GRID, GRID)
    assert unknown.status in {"weak", "refused"}
    assert "mirror" in unknown.reason


def test_a_flipped_volume_is_refused_though_its_sides_are_said_to_be_known():
    fixed = skull(0.7)
    moving = move_volume(fixed, GRID, rigid(GRID, (1, 2, -1), (3.0, 2.0, 3.0)), GRID, noise=10)
    flipped = np.ascontiguousarray(moving[:, :, ::-1])
    found = register_volumes(fixed, flipped, GRID, GRID, SpaceOptions(oriented=True))
    assert (found.status, found.matrix) == ("refused", None)
