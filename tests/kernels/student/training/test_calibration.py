"""Calibration: probabilities that hold what they promise, and masks that it does not touch."""

import math

import numpy as np
import pytest

from somray.kernels.student.training.calibration import (
    calibrated,
    calibration_error,
    fit_calibration,
)


def _drawn(scale, count=40_000, seed=0):
    """Probabilities whose logits are `scale` times those that the labels were drawn with."""
    rng = np.random.default_rng(seed)
    logit = rng.normal(0, 2.5, count)
    target = rng.random(count) < 1 / (1 + np.exp(-logit))
    return (1 / (1 + np.exp(-scale * logit))).astype(np.float32), target


@pytest.mark.parametrize("scale", [0.4, 1.0, 2.5])
def test_the_temperature_that_was_put_in_is_found(scale):
    found = fit_calibration(*_drawn(scale))
    assert found.temperature == pytest.approx(scale, rel=0.03)
    assert found.pixels == 40_000


@pytest.mark.parametrize("scale", [0.4, 2.5])
def test_calibrated_probabilities_hold_what_they_promise_on_other_pixels(scale):
    found = fit_calibration(*_drawn(scale))
    chance, target = _drawn(scale, seed=1)
    assert calibration_error(chance, target) > 0.05
    assert calibration_error(calibrated(chance, found.temperature), target) < 0.01
    assert found.error_after < 0.01 < found.error_before


def test_the_temperature_is_the_best_of_a_fine_grid():
    chance, target = _drawn(1.7, count=500)
    found = fit_calibration(chance, target)
    odds = chance.astype(np.float64) / (1 - chance.astype(np.float64))

    def cost(temperature):
        told = odds ** (1 / temperature)
        return np.where(target, np.log1p(1 / told), np.log1p(told)).sum()

    grid = np.exp(np.linspace(math.log(0.2), math.log(7), 400))
    assert found.temperature == pytest.approx(grid[np.argmin([cost(t) for t in grid])], rel=0.01)


def test_pixels_without_an_error_are_no_reason_to_be_surer():
    chance = np.array([0.2, 0.8] * 100, dtype=np.float32)
    found = fit_calibration(chance, chance > 0.5)
    assert (found.temperature, found.pixels) == (1.0, 200)
    assert found.error_before == found.error_after == pytest.approx(0.2)


def test_masks_order_and_holes_stay():
    chance = np.linspace(0, 1, 1001).astype(np.float32)
    for temperature in (0.2, 3.0):
        found = calibrated(chance, temperature)
        assert found.dtype == np.float32
        assert found[0] == 0
        assert ((found >= 0.5) == (chance >= 0.5)).all()
        assert (np.diff(found) >= 0).all()
    assert calibrated(chance, 1.0) is chance


def test_too_few_pixels_of_a_side_leave_everything_as_it_is():
    chance = np.full(1000, 0.9, dtype=np.float32)
    target = np.arange(1000) < 31
    found = fit_calibration(chance, target)
    assert (found.temperature, found.pixels, found.error_before) == (1.0, 0, None)


def test_the_calibration_error_is_the_gap_between_promise_and_share():
    chance = np.array([0.1] * 10 + [0.9] * 10, dtype=np.float32)
    target = np.array([True] * 3 + [False] * 7 + [True] * 9 + [False])
    assert calibration_error(chance, target) == pytest.approx(0.1, abs=1e-6)
