"""What a feature counts for in the distance between a pixel and a node.

One kind of channel: features are standardised by the reference and weighted by `FEATURE_WEIGHTS`.

PET beside CT: what decides are two levels, density and uptake, each with a limit of its own (urine or soft
tissue, cold or hot). Both count in physical units, whatever else the reference shows: standardised by the
reference's own spread, what a step of uptake counts for against a step of density would change from one
fitting subject to the next, and with it the classes of pixels that the reference did not show
(muscle that is cold, urine that is hot), which fall to the wrong side of the nearest limit.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["FEATURE_WEIGHTS", "feature_weights"]

FEATURE_WEIGHTS = {
    "intensity": 1.0,
    "edge": 1.0,
    "local_contrast": 1.0,
    "thickness": 0.3,
    "mean3": 1.0,
    "mean5": 1.0,
    "anisotropy_p": 0.1,
    "anisotropy_q": 0.1,
    "ratio_row_column": 0.1,
    "ratio_local_global": 0.5,
}
"""What a feature counts for in the distance, standardised; orientation alone is no regime."""

LEVELS = {"intensity": 1, "mean3": 3, "mean5": 5}
"""Features that tell a level, and how many pixels they average along each axis."""

DENSITY_MM = 6.0
"""CT's noise is larger than the step from urine to tissue, so its level is a mean; wider than this it
would miss nodules (bench_lesions, where it is 5 mm; bench_phantom_truth, where 10 mm lose .03 of Dice)."""

UNIT_HU = 10.0
"""Difference in density that counts 1 beside PET."""

LEVEL_HU = 90.0
"""Difference in density that counts as much as one lesion level of uptake (bench_lesions: 70 to 90 are
alike; 35 mixes cold muscle with hot tumour, 140 hot urine with hot tissue)."""

OTHERS_BESIDE_PET = 0.1
"""What every other feature of either channel counts for beside PET, standardised: next to nothing."""


def feature_weights(
    kinds: Sequence[str],
    features: Sequence[str],
    windows: Sequence[tuple[float, float]],
    level: float | None,
    scale: NDArray[np.float32],
    spacing_mm: tuple[float, float] = (1.0, 1.0),
) -> NDArray[np.float32]:
    """Return what each feature of each channel counts for.

    Args:
        kinds: what each channel measures (`domain.channel`).
        features: names of the features of each channel, in stack order; 1 for those without a weight.
        windows: per channel (low, high) in the image's values.
        level: the reference's lesion level of uptake, None without PET.
        scale: (c·f,) what standardising divides by.
        spacing_mm: (y, x) distance of pixel centres that features are computed at.

    Returns:
        (c·f,) float32, to be multiplied with standardised features.
    """
    if level is None or not {"CT", "PET"} <= set(kinds):
        return np.array([FEATURE_WEIGHTS.get(n, 1.0) for _ in kinds for n in features], np.float32)
    unit = {"CT": UNIT_HU, "PET": level * UNIT_HU / LEVEL_HU}
    weights = np.full(len(scale), OTHERS_BESIDE_PET)
    for channel, (kind, (low, high)) in enumerate(zip(kinds, windows, strict=True)):
        levels = _levels(kind, features, max(spacing_mm))
        for number, name in enumerate(features):
            if name in LEVELS:
                column = channel * len(features) + number
                share = 1.0 / len(levels) if name in levels else 0.0
                weights[column] = (high - low) / unit[kind] * np.sqrt(share) * float(scale[column])
    return weights.astype(np.float32)


def _levels(kind: str, features: Sequence[str], step_mm: float) -> tuple[str, ...]:
    """Return the features that tell a channel's level: on CT the widest mean that is not too wide."""
    chosen = tuple(name for name in LEVELS if name in features)
    if kind != "CT":
        return chosen
    narrow = [n for n in chosen if LEVELS[n] * step_mm <= DENSITY_MM]
    return tuple(narrow[-1:]) or chosen[:1]
