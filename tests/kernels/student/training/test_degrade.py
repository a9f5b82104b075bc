"""Patches made worse: by nothing at strength 0, as counts do where uptake is measured, never in place."""

import numpy as np
import pytest

from somray.kernels.student.training import degrade as module
from somray.kernels.student.training.degrade import Degrader

KINDS = ("CT", "PET", "MR")
WINDOWS = ((-1000.0, 400.0), (0.0, 1.7), (20.0, 900.0))


def patch(shape=(40, 36), seed=0):
    rng = np.random.default_rng(seed)
    parts = [rng.normal(0, 100, shape), rng.gamma(2, 1, shape), rng.uniform(0, 900, shape)]
    return np.stack(parts).astype(np.float32)


def single(kind, strength=1.0):
    number = KINDS.index(kind)
    return Degrader((kind,), (WINDOWS[number],), strength)


@pytest.mark.parametrize("shape", [(40, 36), (9, 10, 11)])
def test_at_strength_zero_patches_stay_as_they_are(shape):
    values = patch(shape)
    for seed in range(40):
        found = Degrader(KINDS, WINDOWS, 0.0).draw(values, np.random.default_rng(seed))
        np.testing.assert_allclose(found, values, rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("shape", [(40, 36), (9, 10, 11)])
def test_the_generator_alone_decides_and_the_patch_is_left_alone(shape):
    values, degrader = patch(shape), Degrader(KINDS, WINDOWS)
    before = values.copy()
    first, second, other = (degrader.draw(values, np.random.default_rng(n)) for n in (3, 3, 4))
    np.testing.assert_array_equal(values, before)
    np.testing.assert_array_equal(first, second)
    assert first.dtype == np.float32
    assert first.shape == values.shape
    assert not np.array_equal(first, other)


def test_a_patch_without_data_keeps_its_holes_and_no_others():
    values = patch()
    values[:, 5:9, 7:20] = np.nan
    for seed in range(40):
        found = Degrader(KINDS, WINDOWS).draw(values, np.random.default_rng(seed))
        np.testing.assert_array_equal(np.isnan(found), np.isnan(values))


def test_noise_of_uptake_grows_with_its_square_root():
    values = np.ones((1, 128, 256), dtype=np.float32)
    values[..., 128:] = 9.0
    ratios = []
    for seed in range(40):
        found = single("PET").draw(values, np.random.default_rng(seed))[0]
        faint, strong = found[:, 8:120].std(), found[:, 136:248].std()
        if faint > 1e-3:
            ratios.append(strong / faint)
    assert 10 < len(ratios) < 40  # some patches are only scaled
    assert np.median(ratios) == pytest.approx(3.0, rel=0.1)


def test_where_no_uptake_is_no_noise_is():
    for seed in range(10):
        found = single("PET").draw(np.zeros((1, 9, 9), np.float32), np.random.default_rng(seed))
        assert not found.any()


def test_the_level_of_uptake_moves_by_a_factor_and_both_ways():
    values = np.full((1, 40, 40, 40), 3.0, dtype=np.float32)
    means = [single("PET").draw(values, np.random.default_rng(n)).mean() / 3 for n in range(60)]
    octaves = np.log2(means)
    assert octaves.min() < -0.3 * module.UPTAKE_SCALE
    assert octaves.max() > 0.3 * module.UPTAKE_SCALE
    assert np.abs(octaves).max() < 1.1 * module.UPTAKE_SCALE


@pytest.mark.parametrize("kind", ["CT", "MR"])
def test_noise_of_density_is_stated_in_hu_and_in_thousandths_of_other_windows(kind):
    low, high = WINDOWS[KINDS.index(kind)]
    unit = 1.0 if kind == "CT" else (high - low) / 1000
    values = np.full((1, 64, 64), (low + high) / 2, dtype=np.float32)
    spread = [single(kind).draw(values, np.random.default_rng(n)).std() / unit for n in range(200)]
    clean = np.mean([value < 1e-2 for value in spread])
    assert clean == pytest.approx(module.CLEAN_SLICES, abs=0.12)
    noisy = [value for value in spread if value >= 1e-2]
    most = 1.1 * module.SLICE_NOISE_HU
    assert 0.15 * module.SLICE_NOISE_HU < np.mean(noisy) < max(noisy) < most


def test_blocks_have_less_noise_than_slices():
    values = np.zeros((1, 16, 16, 16), dtype=np.float32)
    spread = [single("CT").draw(values, np.random.default_rng(n)).std() for n in range(60)]
    assert 0.5 * module.BLOCK_NOISE_HU < max(spread) < 1.1 * module.BLOCK_NOISE_HU


def test_half_the_strength_is_about_half_the_noise():
    values = np.zeros((1, 64, 64), dtype=np.float32)
    whole, half = (
        np.mean([single("CT", k).draw(values, np.random.default_rng(n)).std() for n in range(60)])
        for k in (1.0, 0.5)
    )
    assert half == pytest.approx(whole / 2, rel=0.1)


def test_noise_of_projections_has_no_mean_and_rises_with_frequency():
    found = module._projected((128, 128), np.random.default_rng(0), None)
    assert found.std() == pytest.approx(1.0, rel=1e-4)
    assert abs(found.mean()) < 1e-4
    power = np.abs(np.fft.rfft2(found)) ** 2
    frequency = np.hypot(np.fft.fftfreq(128)[:, None], np.fft.rfftfreq(128)[None])
    rings = [power[(frequency > a) & (frequency <= a + 0.03)].mean() for a in (0.01, 0.05, 0.1)]
    assert rings == sorted(rings)


def test_streaks_run_in_one_direction():
    found = module._projected((64, 64), np.random.default_rng(1), 0.05)
    steps = [
        np.abs(found[10:50, 10:50] - found[10 + dy : 50 + dy, 10 + dx : 50 + dx]).mean()
        for dy in range(-8, 9)
        for dx in range(-8, 9)
        if max(abs(dy), abs(dx)) > 6
    ]
    assert min(steps) < 0.5 * max(steps)
