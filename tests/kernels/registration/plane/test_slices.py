import numpy as np
import pytest
from scipy import ndimage

from somray.errors import ShapeError
from somray.kernels.registration import (
    DETECTORS,
    MODELS,
    ROBUST,
    PlaneOptions,
    describe,
    register,
    register_described,
)
from tests.kernels.registration import scans
from tests.kernels.registration.known_motion import error_px, move_slice, similarity


def texture(shape=(160, 176), seed=0, sigma=3.0):
    """Blobs of several sizes inside a body, in HU."""
    rng = np.random.default_rng(seed)
    fine = ndimage.gaussian_filter(rng.normal(size=shape), sigma)
    coarse = ndimage.gaussian_filter(rng.normal(size=shape), 3 * sigma)
    y, x = np.indices(shape)
    body = ((y - shape[0] / 2) / (0.42 * shape[0])) ** 2 + (
        (x - shape[1] / 2) / (0.3 * shape[1])
    ) ** 2
    image = 400 * fine / fine.std() + 300 * coarse / coarse.std()
    sharp = np.where(body < 1, image * 0.25, -1000).astype(np.float32)
    return ndimage.gaussian_filter(sharp, 0.8)  # no scanner shows edges sharper than its pixels


MOTIONS = {
    "shift": (0, 1.0, (9.0, -6.0)),
    "turn": (25, 1.0, (0.0, 0.0)),
    "all": (-40, 1.15, (14.0, 10.0)),
    "smaller": (12, 0.82, (-8.0, 5.0)),
}


@pytest.mark.parametrize("motion", MOTIONS.values(), ids=MOTIONS)
def test_a_known_motion_is_recovered(motion):
    image = texture()
    matrix = similarity(image.shape, *motion)
    found = register(image, move_slice(image, matrix))
    assert found.status == "ok"
    assert found.model == "similarity"
    assert error_px(found.matrix, matrix, image.shape) < 0.2


def test_nothing_moved_means_the_identity():
    image = texture()
    found = register(image, image)
    assert np.abs(found.matrix - np.eye(3)).max() < 1e-3
    assert found.mad_after < 1e-3
    assert found.ncc_before == pytest.approx(1)


@pytest.mark.parametrize(("noise", "bound"), [(40.0, 0.5), (80.0, 1.0)])
def test_noise_costs_little(noise, bound):
    image = texture()
    matrix = similarity(image.shape, 20, 1.1, (8, -6))
    found = register(
        image + np.random.default_rng(9).normal(0, noise, image.shape),
        move_slice(image, matrix, noise),
    )
    assert error_px(found.matrix, matrix, image.shape) < bound


def test_a_described_slice_serves_both_neighbours_and_gives_the_same_bits():
    image = texture()
    middle = describe(image)
    first = middle.keypoints("orb")
    for moving in (move_slice(image, similarity(image.shape, 9)), texture(seed=4)):
        for model in ("auto", "similarity"):
            direct = register(image, moving, "orb", model)
            kept = register_described(middle, describe(moving), PlaneOptions("orb", model))
            assert (direct.status, direct.reason) == (kept.status, kept.reason)
            assert (direct.matrix is None) == (kept.matrix is None)
            if direct.matrix is not None:
                assert direct.matrix.tobytes() == kept.matrix.tobytes()
    assert middle.keypoints("orb") is first
    assert describe(np.zeros((40, 40))) is None


@pytest.mark.parametrize("robust", ROBUST)
@pytest.mark.parametrize("model", ["similarity", "affine", "homography"])
def test_both_robust_fits_survive_wrong_matches(model, robust):
    image = texture((256, 240), sigma=2.0)
    matrix = similarity(image.shape, -20, 0.93, (-12, 7))
    moving = move_slice(image, matrix, noise=20)
    found, again = (register(image, moving, "sift", model, robust=robust) for _ in range(2))
    assert found.status == "ok", found.reason
    assert found.inliers < found.matches
    assert error_px(found.matrix, matrix, image.shape) < 0.6
    assert found.matrix.tobytes() == again.matrix.tobytes()


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("detector", DETECTORS)
def test_every_detector_aligns_with_every_model(detector, model):
    image = texture((256, 240), sigma=2.0)
    matrix = similarity(image.shape, 14, 1.05, (10, 6))
    found = register(image, move_slice(image, matrix), detector, model)
    assert found.status == "ok", found.reason
    assert error_px(found.matrix, matrix, image.shape) < 1.0
    assert np.linalg.det(found.matrix) > 0
    if model != "auto":
        assert found.model == model
        assert 12 <= found.inliers <= found.matches <= found.keypoints_moving
        assert found.inlier_fraction == pytest.approx(found.inliers / found.matches)
        assert found.fixed_points.shape == found.moving_points.shape == (found.inliers, 2)
        ones = np.ones((found.inliers, 1))
        there = np.hstack([found.moving_points, ones]) @ found.matrix.T
        apart = there[:, :2] / there[:, 2:] - found.fixed_points
        assert np.sqrt((apart**2).sum(axis=1).mean()) == pytest.approx(found.rmse_px, abs=1e-3)


def test_auto_believes_an_affine_motion_where_only_that_explains_it():
    image = texture()
    matrix = similarity(image.shape, 5) @ np.array([[1.07, 0.04, -4], [0, 0.94, 4], [0, 0, 1.0]])
    found = register(image, move_slice(image, matrix))
    assert (found.status, found.model) == ("ok", "affine")
    assert error_px(found.matrix, matrix, image.shape) < 0.3


@pytest.mark.parametrize("model", MODELS)
def test_blank_slices_are_refused_with_a_reason(model):
    image = texture()
    for fixed, moving, word in (
        (np.zeros_like(image), image, "fixed"),
        (image, np.full(image.shape, -1000, dtype=np.int16), "moving"),
        (image, np.full(image.shape, np.nan), "moving"),
        (np.ones((8, 8)), np.ones((9, 9)), "both"),
    ):
        found = register(fixed, moving, model=model)
        assert (found.status, found.matrix) == ("refused", None)
        assert word in found.reason
        with pytest.raises(ShapeError, match="refused"):
            found.warp(moving)


@pytest.mark.parametrize("model", ["auto", "similarity", "homography"])
def test_mirrored_and_unrelated_slices_are_refused(model):
    image, other = texture(seed=1), texture(seed=2)
    for moving in (image[:, ::-1], image[::-1], other):
        found = register(image, moving, model=model)
        assert (found.status, found.matrix) == ("refused", None), found
        assert found.reason


def test_pure_noise_is_refused():
    rng = np.random.default_rng(0)
    assert register(rng.normal(size=(90, 80)), rng.normal(size=(90, 80))).status == "refused"


@pytest.mark.parametrize("shape", [(1, 1), (3, 200), (12, 12), (30, 27), (100, 100)])
def test_small_slices_never_raise(shape):
    image = texture((220, 220))[60 : 60 + shape[0], 10 : 10 + shape[1]]
    for model in MODELS:
        found = register(image, image + 1, model=model)
        assert found.status in {"ok", "weak", "refused"}
        if found.matrix is not None:
            assert error_px(found.matrix, np.eye(3), shape) < 1


@pytest.mark.parametrize("convert", [lambda a: (a * 4 + 9000).astype(np.uint16), lambda a: a * 1e-20,
                                     lambda a: a.astype(np.float64) * 1e30 + 3e31])  # fmt: skip
def test_unit_and_range_do_not_matter(convert):
    image = texture()
    matrix = similarity(image.shape, 10, 1.0, (5, 4))
    found = register(convert(image), convert(move_slice(image, matrix)))
    assert error_px(found.matrix, matrix, image.shape) < 0.1


def test_missing_data_does_not_pull_the_result():
    image = texture()
    matrix = similarity(image.shape, 8, 1.0, (6, -4))
    moving = move_slice(image, matrix)
    fixed = image.copy()
    fixed[:40, :60] = np.nan
    moving[100:130, 90:150] = np.nan
    found = register(fixed, moving)
    assert error_px(found.matrix, matrix, image.shape) < 0.15
    warped = found.warp(moving)
    assert np.isnan(warped).sum() > 30 * 60


def test_slices_of_different_shape_are_aligned():
    image = texture()
    found = register(image, image[10:150, 20:170])
    assert found.matrix[:2, 2] == pytest.approx((20, 10), abs=0.1)
    assert found.warp(image[10:150, 20:170]).shape == image.shape


def test_warp_is_linear_and_nan_outside():
    image = np.arange(20, dtype=np.float32).reshape(4, 5)
    big = texture()
    matrix = similarity(big.shape, 0, 1.0, (7, 0))
    found = register(big, move_slice(big, matrix))
    shifted = found.warp(move_slice(big, matrix))
    inside = np.isfinite(shifted)
    assert not inside[:, :6].any()
    assert np.abs(shifted - big)[inside].mean() < 8
    with pytest.raises(ShapeError, match="one slice"):
        found.warp(image[None])


def test_the_same_slices_give_the_same_bits():
    image = texture()
    moving = move_slice(image, similarity(image.shape, 14, 1.05, (10, 6)))
    for model in ("auto", "similarity", "homography"):
        one, other = (register(image, moving, model=model) for _ in range(2))
        assert np.array_equal(one.matrix, other.matrix)
        assert one.ncc_after == other.ncc_after


def test_unknown_names_and_wrong_shapes_are_errors():
    image = texture()
    with pytest.raises(ShapeError, match="detector must be one of kaze"):
        register(image, image, detector="surf")
    with pytest.raises(ShapeError, match="robust must be one of ransac, magsac, got 'lmeds'"):
        register(image, image, robust="lmeds")
    with pytest.raises(ShapeError, match="model must be one of auto"):
        register(image, image, model="rigid")
    with pytest.raises(ShapeError, match="moving must be one slice"):
        register(image, image[None])


REAL = {
    "three slices": (scans.three_slices, 0, (18, 1.1, (40, -30))),
    "abdomen": (scans.abdomen, 17, (-25, 0.95, (20, 30))),
    "aorta": (scans.aorta, 60, (35, 1.1, (-10, 12))),
    "thigh": (lambda f: sarcoma_ct(f), 30, (-15, 0.9, (12, 5))),
}


def sarcoma_ct(folder):
    return scans.sarcoma(folder, "022")


@pytest.mark.parametrize("case", REAL.values(), ids=REAL)
def test_real_neighbours_and_the_control_are_aligned(real_data, case):
    load, z, motion = case
    volume = load(real_data)
    shape = volume[z].shape
    matrix = similarity(shape, *motion)
    neighbour = register(volume[z], move_slice(volume[z + 1], matrix))
    assert neighbour.status == "ok", neighbour.reason
    assert error_px(neighbour.matrix, matrix, shape) < 2.0
    control = register(volume[z], move_slice(volume[z], matrix))
    assert error_px(control.matrix, matrix, shape) < 0.3
    assert register(volume[z], move_slice(volume[z + 1], matrix)[:, ::-1]).status == "refused"


def test_neighbouring_slices_of_the_cohort_are_never_refused(real_data):
    for subject in ("003", "022"):
        for channel in ("CT", "PET"):
            volume = scans.sarcoma(real_data, subject, channel)
            for z in range(4, len(volume) - 5, 9):
                found = register(volume[z], volume[z + 1])
                assert found.status != "refused", (subject, channel, z, found.reason)
                assert error_px(found.matrix, np.eye(3), volume[z].shape) < 0.06 * max(
                    volume[z].shape
                )


def test_healing_bone_is_aligned_a_week_later(real_data):
    week2, week3 = scans.bone(real_data, 2), scans.bone(real_data, 3)
    found = register(week2, week3)
    assert found.status in {"ok", "weak"}
    assert found.ncc_after > 0.6 > 0.25 > found.ncc_before
