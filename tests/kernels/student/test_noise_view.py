"""How noisy a slice is, and what it looks like smoothed."""

import numpy as np
import pytest
from scipy import ndimage

from somray.errors import ShapeError
from somray.kernels.student.inputs import Look, can_be_noisy, noise_reference, student_inputs
from somray.kernels.student.noise_view import (
    FLOOR,
    GAUSS,
    LARGEST,
    QUIET,
    SMOOTHINGS,
    noise_of,
    noise_scale,
    smoothed,
)

WINDOWS = ((-150.0, 250.0), (0.0, 10.0))
WIDTH = 400.0


def _white(sigma, shape=(256, 256), seed=0):
    return (50 + sigma * np.random.default_rng(seed).normal(size=shape)).astype(np.float32)


def _scan(noise=(10.0, 0.2), shape=(120, 130), seed=0):
    """Shapes in CT and PET, and noise on both."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    rng = np.random.default_rng(seed)
    ct = np.where(np.hypot(y - 60, x - 50) < 30, 80.0, 20.0) + noise[0] * rng.normal(size=shape)
    pet = 3 + 2 * np.sin(y / 15) * np.cos(x / 11) + noise[1] * rng.normal(size=shape)
    return np.stack([ct, pet]).astype(np.float32)


@pytest.mark.parametrize("sigma", [5.0, 20.0, 60.0])
def test_white_noise_is_measured_in_shares_of_the_window(sigma):
    found = noise_scale(_white(sigma), WINDOWS[0])
    expected = [np.hypot(FLOOR, sigma / WIDTH)] * 3 + [np.hypot(FLOOR, sigma / 2 / WIDTH)] * 3
    np.testing.assert_allclose(found, expected, rtol=0.06)


def test_edges_are_not_taken_for_noise():
    clean = _scan((0.0, 0.0))[0]
    np.testing.assert_array_equal(noise_scale(clean, WINDOWS[0]), FLOOR)


def test_values_beyond_the_window_and_pixels_without_data_do_not_count():
    plane = _white(20.0)
    changed = np.concatenate([plane, -1000 + 300 * _white(1.0), np.full((64, 256), np.nan)])
    found = noise_scale(changed.astype(np.float32), WINDOWS[0])
    np.testing.assert_allclose(found, noise_scale(plane, WINDOWS[0]), rtol=0.05)


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (3, 2)])
def test_a_slice_too_small_to_tell_is_without_noise(shape):
    found = noise_scale(np.full(shape, np.nan, np.float32), WINDOWS[0])
    np.testing.assert_array_equal(found, FLOOR)


def test_the_labelled_slice_is_as_noisy_as_itself():
    image = _scan()[:1]
    own = noise_reference(image, WINDOWS[:1], ("CT",))
    found = noise_of(image, WINDOWS[:1], own)
    np.testing.assert_allclose(found.excess, 0, atol=1e-6)
    np.testing.assert_allclose(found.sigma, 0, atol=1e-6)


def test_the_excess_rises_with_the_noise_and_falls_below_nothing_without():
    own = noise_reference(_scan()[:1], WINDOWS[:1], ("CT",))
    found = [
        float(noise_of(_scan((sigma, 0.2), seed=1)[:1], WINDOWS[:1], own).excess[0])
        for sigma in (0, 10, 15, 20, 40, 80)
    ]
    assert found == sorted(found)
    assert found[0] < -0.5
    assert abs(found[1]) < QUIET < found[2]
    assert found[4] - found[3] == pytest.approx(1, abs=0.2)  # an octave is twice the noise


@pytest.mark.parametrize("sigma", [15.0, 40.0])
def test_what_came_on_top_is_told_in_the_channels_own_values(sigma):
    own = noise_reference(_white(10.0)[None], WINDOWS[:1], ("CT",))
    worse = _white(10.0)[None] + _white(sigma, seed=1)[None] - 50
    found = noise_of(worse, WINDOWS[:1], own).sigma
    np.testing.assert_allclose(found, sigma, rtol=0.1)


def test_uptake_beside_ct_is_always_quiet():
    own = noise_reference(_scan(), WINDOWS, ("CT", "PET"))
    found = noise_of(_scan((10.0, 3.0), seed=1), WINDOWS, own)
    assert found.excess[1] == -LARGEST
    assert found.sigma[1] == 0
    assert can_be_noisy(("CT", "PET")).tolist() == [True, False]
    assert can_be_noisy(("PET",)).tolist() == [True]


def test_uptake_alone_can_be_noisy():
    own = noise_reference(_scan()[1:], WINDOWS[1:], ("PET",))
    assert noise_of(_scan((0.0, 0.6), seed=1)[1:], WINDOWS[1:], own).excess[0] > 1


def test_a_reference_needs_a_window_for_every_channel():
    with pytest.raises(ShapeError, match="1 windows of 2 channels"):
        noise_reference(_scan(), WINDOWS[:1], ("CT", "PET"))


@pytest.mark.parametrize("shape", [(40, 33), (3, 7), (1, 5), (1, 1)])
def test_smoothings_are_those_of_scipy(shape):
    plane = _white(30.0, shape, seed=3)
    found = dict(zip(SMOOTHINGS, smoothed(plane, 30.0), strict=True))
    median = ndimage.median_filter(plane, 3, mode="reflect")
    np.testing.assert_array_equal(found["median"], median)
    for name, before in (("gauss", plane), ("wide", median)):
        sigma = GAUSS[name]
        radius = int(np.ceil(3 * sigma))
        expected = ndimage.gaussian_filter(before, sigma, mode="reflect", radius=radius)
        np.testing.assert_allclose(found[name], expected, atol=1e-3)


def test_pixels_near_holes_stay_as_they_are():
    plane = _white(30.0, (60, 50))
    holed = plane.copy()
    holed[20:23, 30:32] = np.nan
    near = ndimage.binary_dilation(np.isnan(holed), np.ones((3, 3)))
    reach = 1 + int(np.ceil(3 * max(GAUSS.values())))
    far = ~ndimage.binary_dilation(np.isnan(holed), np.ones((3, 3)), iterations=reach)
    for found, whole in zip(smoothed(holed, 30.0), smoothed(plane, 30.0), strict=True):
        np.testing.assert_array_equal(found[near], holed[near])
        np.testing.assert_array_equal(found[far], whole[far])
        np.testing.assert_array_equal(np.isnan(found), np.isnan(holed))


def test_a_noisy_slice_is_seen_in_every_way_and_a_quiet_one_once():
    names, channels = ("intensity", "edge"), ("CT", "PET")
    look = Look(WINDOWS, names, (1.0, 1.0), None, noise_reference(_scan(), WINDOWS, channels))
    quiet = student_inputs(_scan(seed=1), look)
    assert len(quiet) == 4
    image = _scan((40.0, 0.2), seed=1)
    image[1, :5] = np.nan
    around = np.stack([_scan(seed=2), _scan(seed=3)])
    noisy = student_inputs(image, look, around)
    views = 1 + len(SMOOTHINGS)
    assert len(noisy) == views * 4 + 2 + 2 * 2
    assert np.isnan(noisy[:, :5]).all()
    noisy = noisy[:, 5:]
    seen, rest = noisy[: views * 4], noisy[views * 4 :]
    seen = seen.reshape(views, 4, *noisy.shape[1:])
    np.testing.assert_array_equal(seen[0], look.features(image)[:, 5:])
    noise = look.noise_of(image)
    calmer = smoothed(image[0], float(noise.sigma[0]))
    for view, calm in zip(seen[1:], calmer, strict=True):
        np.testing.assert_array_equal(view[2:], seen[0][2:])  # uptake is as it was
        np.testing.assert_array_equal(view[:2], look.features(calm[None], 0)[:, 5:])
    np.testing.assert_array_equal(rest[0], noise.excess[0])
    np.testing.assert_array_equal(rest[1], -LARGEST)
    np.testing.assert_allclose(rest[2], np.clip((around[0, 0, 5:] + 150) / WIDTH, 0, 1))
