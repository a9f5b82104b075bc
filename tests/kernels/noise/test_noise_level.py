"""How noisy a slice is, and how much noisier than the reference."""

import numpy as np
import pytest

from somray.kernels.noise.level import (
    DOUBT,
    FLOOR,
    LEAST,
    is_no_noisier,
    noise_excess,
    noise_on_top,
    noise_scale,
)

WINDOW = (-150.0, 250.0)
WIDTH = 400.0


def _white(sigma, shape=(256, 256), seed=0):
    return (50 + sigma * np.random.default_rng(seed).normal(size=shape)).astype(np.float32)


def _disc(noise, seed=0):
    y, x = np.mgrid[:120, :130]
    ct = np.where(np.hypot(y - 60, x - 50) < 30, 80.0, 20.0)
    return (ct + noise * np.random.default_rng(seed).normal(size=ct.shape)).astype(np.float32)


def _sorted(plane, window):
    """Measure as `noise_scale` does, with numpy's own median."""
    found = []
    for _ in range(2):
        rows, columns = (size // 2 * 2 for size in plane.shape)
        a, b = plane[:rows:2, :columns:2], plane[:rows:2, 1:columns:2]
        c, d = plane[1:rows:2, :columns:2], plane[1:rows:2, 1:columns:2]
        plane = (a + b + c + d) / 4
        inside = (plane > window[0]) & (plane < window[1])
        for detail in (a - b - c + d, a + b - c - d, a - b + c - d):
            share = np.median(np.abs(detail[inside])) / (2 * 0.6745 * (window[1] - window[0]))
            found.append(np.hypot(FLOOR, share))
    return np.array(found)


@pytest.mark.parametrize("sigma", [5.0, 20.0, 60.0])
def test_white_noise_is_measured_in_shares_of_the_window(sigma):
    found = noise_scale(_white(sigma), WINDOW).shares
    expected = [np.hypot(FLOOR, sigma / WIDTH)] * 3 + [np.hypot(FLOOR, sigma / 2 / WIDTH)] * 3
    np.testing.assert_allclose(found, expected, rtol=0.06)


@pytest.mark.parametrize("sigma", [2.0, 20.0, 100.0])
@pytest.mark.parametrize("window", [WINDOW, (0.0, 60.0), (-1000, 3000)])
def test_counted_medians_are_those_of_sorted_details(sigma, window):
    plane = _white(sigma, (131, 200))
    np.testing.assert_allclose(noise_scale(plane, window).shares, _sorted(plane, window), rtol=0.02)


def test_edges_are_not_taken_for_noise():
    np.testing.assert_array_equal(noise_scale(_disc(0.0), WINDOW).shares, FLOOR)


def test_values_beyond_the_window_and_pixels_without_data_do_not_count():
    plane = _white(20.0)
    changed = np.concatenate([plane, -1000 + 300 * _white(1.0), np.full((64, 256), np.nan)])
    changed[-1, :4] = np.inf
    found = noise_scale(changed.astype(np.float32), WINDOW).shares
    np.testing.assert_allclose(found, noise_scale(plane, WINDOW).shares, rtol=0.05)


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (3, 2)])
def test_a_slice_too_small_to_tell_is_without_noise(shape):
    found = noise_scale(np.full(shape, np.nan, np.float32), WINDOW).shares
    np.testing.assert_array_equal(found, FLOOR)


def test_a_slice_is_as_noisy_as_itself():
    own = noise_scale(_disc(10.0), WINDOW)
    assert noise_excess(own, own.shares) == 0
    assert noise_on_top(own.shares, own.shares, WINDOW) == 0


def test_the_excess_rises_with_the_noise_and_falls_below_nothing_without():
    own = noise_scale(_disc(10.0), WINDOW).shares
    sigmas = (0, 10, 15, 20, 40, 80)
    found = [noise_excess(noise_scale(_disc(s, seed=1), WINDOW), own) for s in sigmas]
    assert found == sorted(found)
    assert found[0] < -0.5
    assert found[1] == pytest.approx(0, abs=0.25)
    assert found[4] - found[3] == pytest.approx(1, abs=0.2)  # an octave is twice the noise


@pytest.mark.parametrize("sigma", [15.0, 40.0])
def test_what_came_on_top_is_told_in_the_channels_own_values(sigma):
    before, after = _white(10.0), _white(10.0) + _white(sigma, seed=1) - 50
    found = noise_on_top(
        noise_scale(after, WINDOW).shares, noise_scale(before, WINDOW).shares, WINDOW
    )
    assert found == pytest.approx(sigma, rel=0.1)


def test_a_standard_error_is_how_far_equally_noisy_slices_lie_apart():
    own = [noise_scale(_white(30.0, (64, 64), seed), WINDOW) for seed in range(400)]
    apart = [np.log2(a.shares / b.shares) for a, b in zip(own[::2], own[1::2], strict=True)]
    told = DOUBT / np.sqrt(own[0].blocks)
    np.testing.assert_allclose(np.std(apart, axis=0), told, rtol=0.2)
    assert noise_excess(own[0], own[1].shares, 2) < noise_excess(own[0], own[1].shares)


@pytest.mark.parametrize("sigma", [0.0, 3.0, 20.0, 150.0])
@pytest.mark.parametrize("window", [WINDOW, (0.0, 60.0)])
def test_a_plane_is_called_no_noisier_only_where_the_measure_agrees(sigma, window):
    plane = _disc(sigma)
    plane[:3, :40], plane[70, :5] = np.nan, np.inf
    found = noise_scale(plane, window).shares
    for share in (0.3, 0.9, 0.999, 1.0, 1.001, 1.01, 1.5, 9.0):
        for n in range(6):  # one direction decides
            limits = np.where(np.arange(6) == n, share * found, 1e6)
            assert not is_no_noisier(plane, window, limits) or found[n] <= limits[n]
    assert is_no_noisier(plane, window, 1.1 * found + 0.01)


def test_few_blocks_and_planes_without_data_are_left_to_the_measure():
    side = int(2 * LEAST**0.5)
    assert is_no_noisier(_white(5.0, (2 * side, 2 * side)), WINDOW, np.full(6, 1e6))
    assert not is_no_noisier(_white(5.0, (side, side)), WINDOW, np.full(6, 1e6))
    assert not is_no_noisier(np.full((99, 99), np.nan, np.float32), WINDOW, np.full(6, 1e6))


@pytest.mark.parametrize("window", [(0.0, 1e-40), (-3e38, 3e38)])
def test_values_at_the_ends_of_float32_are_counted_within_the_bins(window):
    signs = np.random.default_rng(0).choice(np.float32([-3e38, 0, 3e38]), (64, 64))
    found = noise_scale(signs, window)
    assert np.isfinite(found.shares).all()
    assert noise_scale(np.float32(1e-41) * np.sign(signs), window).blocks[0] <= 32 * 32
