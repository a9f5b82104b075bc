"""How far a student's probabilities may be believed: a temperature fitted on pixels held out of training.

Logits divided by one number keep their order and their side of one half, so masks stay as they are;
what changes is how sure the student says it is, and with it which pixels become labels of the next
round. Source: Guo et al., "On calibration of modern neural networks", 2017.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Calibration", "calibrated", "calibration_error", "fit_calibration"]

LOG_BOUND = math.log(8.0)
"""Temperatures from an eighth to eight; beyond, the pixels held out tell too little to go by."""
SECTIONS = 40
"""Golden sections of the search: the interval ends at 4e-9 of its length."""
LEAST_PIXELS = 32
"""Pixels of either side without which no temperature is fitted."""
SMALLEST, LARGEST = 1e-30, 1 - 6e-8
"""Probabilities beyond these are taken for them: float32 resolves no more beside 1."""
BINS = 15
"""Bins of the reliability table."""
GOLDEN = (math.sqrt(5.0) - 1) / 2

Chances = NDArray[np.float32]


@dataclass(frozen=True)
class Calibration:
    """How a student's probabilities are corrected.

    Args:
        temperature: what logits are divided by; above 1 the student was too sure.
        pixels: number of pixels that it was fitted on; 0 where too few could be held out, so that
            the temperature is 1.
        error_before: expected calibration error of the raw probabilities there, None without pixels.
        error_after: the same of the corrected ones.
    """

    temperature: float = 1.0
    pixels: int = 0
    error_before: float | None = None
    error_after: float | None = None


def fit_calibration(chance: Chances, target: NDArray[np.bool_]) -> Calibration:
    """Fit the temperature that makes held-out labels most likely; all sums are exact.

    A bias beside it, and Platt's smoothed labels, were tried on PET/CT (STS_001, STS_002): smoothing
    asked for temperatures so high that two of three target pixels were no label any more, and a bias
    moved masks without better probabilities on the next slices.

    Args:
        chance: (n,) probabilities of pixels that nothing was learned from.
        target: (n,) what they are.

    Returns:
        The calibration. Its temperature is 1 where either side has fewer than 32 pixels, and where no
        pixel lies on the wrong side of one half: that is no reason to be surer still.
    """
    inside = int(target.sum())
    if min(inside, len(target) - inside) < LEAST_PIXELS:
        return Calibration()
    if np.array_equal(chance >= 0.5, target):
        error = calibration_error(chance, target)
        return Calibration(1.0, len(target), error, error)
    logit = _logit(chance)

    def cost(log_temperature: float) -> float:
        scaled = logit * math.exp(-log_temperature)
        return math.fsum(np.logaddexp(0.0, scaled) - target * scaled)

    temperature = math.exp(_least(cost))
    return Calibration(
        temperature=temperature,
        pixels=len(target),
        error_before=calibration_error(chance, target),
        error_after=calibration_error(calibrated(chance, temperature), target),
    )


def calibrated(chance: Chances, temperature: float) -> Chances:
    """Divide the logits of probabilities by a temperature; the side of one half stays.

    Args:
        chance: probabilities of any shape; 0, which stands for no data, stays 0.
        temperature: from `fit_calibration`.
    """
    if temperature == 1.0:
        return chance
    found = 1 / (1 + np.exp(-_logit(chance) / temperature))
    found[chance == 0] = 0.0
    return found.astype(np.float32)


def calibration_error(chance: Chances, target: NDArray[np.bool_]) -> float:
    """Return the expected calibration error of a target's probabilities.

    The mean over pixels of |mean probability - share of target| within their bin, 15 equal bins.
    Source: Naeini et al., "Obtaining well calibrated probabilities using Bayesian binning", 2015.
    """
    place = np.minimum((chance.astype(np.float64) * BINS).astype(np.int64), BINS - 1)
    said = np.bincount(place, chance.astype(np.float64), BINS)
    found = np.bincount(place, target, BINS)
    return float(math.fsum(np.abs(said - found)) / len(chance))


def _logit(chance: Chances) -> NDArray[np.float64]:
    safe = np.clip(chance.astype(np.float64), SMALLEST, LARGEST)
    return np.asarray(np.log(safe) - np.log1p(-safe))


def _least(cost: Callable[[float], float]) -> float:
    """Search the least of a function with one valley between the bounds by golden sections."""
    left, right = -LOG_BOUND, LOG_BOUND
    inner = [right - GOLDEN * (right - left), left + GOLDEN * (right - left)]
    costs = [cost(place) for place in inner]
    for _ in range(SECTIONS):
        if costs[0] <= costs[1]:
            right, inner[1], costs[1] = inner[1], inner[0], costs[0]
            inner[0] = right - GOLDEN * (right - left)
            costs[0] = cost(inner[0])
        else:
            left, inner[0], costs[0] = inner[0], inner[1], costs[1]
            inner[1] = left + GOLDEN * (right - left)
            costs[1] = cost(inner[1])
    return (left + right) / 2
