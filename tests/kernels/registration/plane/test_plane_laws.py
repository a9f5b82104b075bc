"""What must hold for any two slices: inverses, invariances, and odd input."""

import cv2
import numpy as np
import pytest
from scipy import ndimage
from test_slices import texture

from somray.kernels.registration import register
from somray.kernels.registration.plane.padding import padding
from tests.kernels.registration import scans
from tests.kernels.registration.known_motion import error_px, move_slice, similarity


def field(shape, seed):
    """Blobs from rim to rim: nothing that two of them share."""
    noise = np.random.default_rng(seed).normal(size=shape)
    return ndimage.gaussian_filter(noise, 2.0).astype(np.float32)


@pytest.mark.parametrize("z", [12, 20, 30])
def test_swapping_the_slices_inverts_the_motion(real_data, z):
    volume = scans.abdomen(real_data)
    fixed = volume[z]
    moving = move_slice(volume[z + 1], similarity(fixed.shape, 17, 1.07, (20, -14)))
    there, back = register(fixed, moving), register(moving, fixed)
    assert there.status == back.status == "ok"
    assert error_px(there.matrix @ back.matrix, np.eye(3), fixed.shape) < 0.3


def test_gain_and_offset_change_nothing(real_data):
    volume = scans.aorta(real_data)
    fixed, moving = volume[70], move_slice(volume[71], similarity(volume[70].shape, 21))
    plain = register(fixed, moving)
    changed = register(3.0 * fixed + 700.0, 0.25 * moving - 40.0)
    assert (plain.status, plain.model) == (changed.status, changed.model)
    assert error_px(changed.matrix @ np.linalg.inv(plain.matrix), np.eye(3), fixed.shape) < 0.01


@pytest.mark.parametrize("shift", [(3, 0), (-11, 7), (24, -19)])
def test_whole_pixels_are_found_exactly(real_data, shift):
    whole = scans.abdomen(real_data)[20]
    x, y = shift
    fixed = whole[40:-40, 40:-40]
    moving = whole[40 + y : whole.shape[0] - 40 + y, 40 + x : whole.shape[1] - 40 + x]
    found = register(fixed, moving)
    true = np.array([[1, 0, x], [0, 1, y], [0, 0, 1.0]])
    assert error_px(found.matrix, true, fixed.shape) < 0.05


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_beyond_the_promised_turns_the_answer_is_right_or_none(real_data, turns):
    fixed = scans.aorta(real_data)[60][:120, :120]
    found = register(fixed, np.rot90(fixed, turns))
    if found.matrix is not None:
        assert error_px(found.matrix, similarity(fixed.shape, 90 * turns), fixed.shape) < 1 or (
            error_px(found.matrix, similarity(fixed.shape, -90 * turns), fixed.shape) < 1
        )


@pytest.mark.parametrize("cut", ["left half without data", "lower half filled with zeros"])
def test_a_missing_half_neither_pulls_nor_invents(real_data, cut):
    volume = scans.abdomen(real_data)
    fixed, matrix = volume[17], similarity(volume[17].shape, 14, 1.05, (18, -12))
    for moving, flipped in ((volume[18], False), (volume[18], True)):
        moved = move_slice(moving, matrix)
        moved = moved[:, ::-1].copy() if flipped else moved
        if cut.startswith("left"):
            moved[:, : moved.shape[1] // 2] = np.nan
        else:
            moved[moved.shape[0] // 2 :] = 0.0
        found = register(fixed, moved)
        if flipped:
            assert found.status == "refused"
        else:
            assert error_px(found.matrix, matrix, fixed.shape) < 2.0


def test_padding_is_what_reaches_the_rim_with_one_value():
    image = texture((90, 80))
    image += np.random.default_rng(0).normal(0, 5, image.shape).astype(np.float32)
    assert padding(image) is None
    image[60:] = 0.0
    image[20:40, 20:40] = 7.0  # one value inside the slice: a homogeneous thing, not padding
    filled = padding(image)
    assert filled[61:].all()
    assert not filled[:58].any()
    assert padding(np.zeros((90, 80), dtype=np.float32)) is None


def test_a_fill_of_the_moving_slice_does_not_matter():
    image = texture()
    image += np.random.default_rng(0).normal(0, 20, image.shape).astype(np.float32)
    matrix = similarity(image.shape, 20, 1.0, (20, 10))
    for fill in (-3000.0, 900.0):
        moving = move_slice(image, matrix)
        moving[moving == image.min()] = fill
        assert error_px(register(image, moving).matrix, matrix, image.shape) < 0.1


@pytest.mark.parametrize("shapes", [((161, 143), (512, 512)), ((512, 512), (161, 143)), ((32, 32), (32, 32)),
                                    ((40, 300), (300, 40)), ((64, 64), (2000, 30))])  # fmt: skip
def test_odd_shapes_come_back_with_a_verdict(shapes):
    one, other = (field(shape, seed) for seed, shape in enumerate(shapes))
    assert register(one, other).status == "refused"


def test_a_mirror_image_turned_by_a_right_angle_is_refused(real_data):
    volume = scans.three_slices(real_data)
    turned = volume[0][::-1, ::-1].T
    assert register(volume[1], turned).status == "refused"


def test_a_crop_is_found_in_its_slice(real_data):
    whole = scans.three_slices(real_data)
    found = register(whole[0], whole[1][150:380, 120:360])
    assert found.status != "refused", found.reason
    true = np.array([[1, 0, 120], [0, 1, 150], [0, 0, 1.0]])
    assert np.abs(found.matrix[:2, 2] - true[:2, 2]).max() < 8


def test_a_tenth_of_a_slice_is_enough_or_refused(real_data):
    volume = scans.abdomen(real_data)
    sparse = np.full_like(volume[20], np.nan)
    rows, columns = (int(n * 0.32) for n in sparse.shape)
    sparse[100 : 100 + rows, 120 : 120 + columns] = volume[21][
        100 : 100 + rows, 120 : 120 + columns
    ]
    found = register(volume[20], sparse)
    if found.matrix is not None:
        assert error_px(found.matrix, np.eye(3), volume[20].shape) < 5
    nothing = np.full_like(volume[20], np.nan)
    nothing[:3, :3] = 1.0
    assert register(volume[20], nothing).status == "refused"


def test_opencv_threads_do_not_change_a_bit(real_data):
    volume = scans.aorta(real_data)
    moving = move_slice(volume[81], similarity(volume[80].shape, 33, 0.9, (8, 5)))
    before, results = cv2.getNumThreads(), []
    for threads in (1, 2):
        cv2.setNumThreads(threads)
        results.append(register(volume[80], moving).matrix.tobytes())
    cv2.setNumThreads(before)
    assert results[0] == results[1]
