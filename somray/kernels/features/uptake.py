"""How hot is hot in this subject: the level of uptake above which PET shows a lesion.

Absolute SUV differs between subjects, scanners and lesions. Each subject has its own scale, from the
background (the median of what is not hot) to its hot tissue (the mean of what is), on a logarithmic
axis, as uptake multiplies. The lesion level lies at a fixed share of the way, and it is what parts hot
from cold: the highest level that says so of itself. That is T. Ridler & S. Calvard's iterated selection of a
threshold (1978), with a share other than one half, on logarithms, and from the hot end.

Neither end hangs on how much of the body a scan shows, as a percentile of the body or Otsu's threshold
do: a lesion is found at nearly the same level when the image is cut down around it.

A histogram of integers is all that is kept of a scan: parts of a scan are counted apart and added, in
any order, with the same result.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import minimum_filter, uniform_filter

from somray.errors import ShapeError

__all__ = [
    "BINS",
    "BODY_HU",
    "LEAST_CONTRAST",
    "SOFT_TISSUE_HU",
    "Uptake",
    "body_counts",
    "is_soft_tissue",
    "lies_in_soft_tissue",
    "quantile_of",
    "uptake_histogram",
    "uptake_of",
]

BODY_HU = -300.0
"""Denser than this is body, not air or lung."""

SOFT_TISSUE_HU = (10.0, 100.0)
"""Between water or urine (0 to 10) and bone or contrast; muscle and solid tumours lie in it."""

AIR_HU = -1000.0

FIRST_OCTAVE, OCTAVES, BINS_PER_OCTAVE = -12, 40, 64
"""Bins from 2^-12 to 2^28 of any unit (SUV, Bq/ml, counts), 1.1 % wide."""

BINS = OCTAVES * BINS_PER_OCTAVE

HOT_SHARE = 0.72
"""How far the lesion level lies from background to hot, in logarithms (bench_lesions: of .60 to .80 on
the four subjects that it was developed on, .68 to .76 are alike)."""

TOP_FRACTION = 0.999
"""The search begins at this percentile: the very hottest pixels may be one vessel, or noise."""

LEAST_CONTRAST = 1.5
"""A lesion takes up at least this many times the background, however even the subject is."""


@dataclass(frozen=True)
class Uptake:
    """A subject's scale of uptake, in the PET channel's values.

    Args:
        background: median of what lies below the lesion level.
        hot: geometric mean of what lies above it.
        lesion: level above which uptake is called a lesion's.
    """

    background: float
    hot: float
    lesion: float


def uptake_histogram(
    pet: NDArray[np.float32], among: NDArray[np.bool_] | None = None
) -> NDArray[np.int64]:
    """Count PET values on a logarithmic scale.

    Args:
        pet: any shape, uptake; NaN where there is no data.
        among: same shape, which pixels to count; all with data where left out.

    Returns:
        (2560,) int64 counts; add those of further parts of the same scan.

    Raises:
        ShapeError: the shapes differ.
    """
    keep = np.isfinite(pet)
    if among is not None:
        if among.shape != pet.shape:
            raise ShapeError(f"mask {among.shape} and PET {pet.shape} have different shapes")
        keep &= among
    values = np.maximum(pet[keep].astype(np.float64), 2.0**FIRST_OCTAVE)
    index = np.floor((np.log2(values) - FIRST_OCTAVE) * BINS_PER_OCTAVE).astype(np.int64)
    return np.bincount(np.minimum(index, BINS - 1), minlength=BINS).astype(np.int64)


def _positions() -> NDArray[np.float64]:
    """Return the lower ends of the bins, in log2."""
    return FIRST_OCTAVE + np.arange(BINS, dtype=np.float64) / BINS_PER_OCTAVE


def quantile_of(counts: NDArray[np.int64], fraction: float) -> float:
    """Return the value below which a share of the counts lies, in log2, between bins linearly."""
    total = np.cumsum(counts)
    wanted = fraction * total[-1]
    bin_ = int(np.searchsorted(total, wanted))
    before = total[bin_ - 1] if bin_ else 0
    inside = (wanted - before) / max(int(counts[bin_]), 1)
    return FIRST_OCTAVE + (bin_ + float(np.clip(inside, 0.0, 1.0))) / BINS_PER_OCTAVE


def body_counts(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Keep what is body in a histogram that may hold air: the upper class of Otsu's threshold.

    The scale is taken from a thousandth of the peak upwards; below is air for certain.
    """
    peak = int((quantile_of(counts, TOP_FRACTION) - FIRST_OCTAVE) * BINS_PER_OCTAVE)
    low = max(0, peak - 10 * BINS_PER_OCTAVE)
    part = counts[low : peak + 1].astype(np.float64)
    position = np.arange(len(part), dtype=np.float64)
    weight, moment = np.cumsum(part), np.cumsum(part * position)
    other = weight[-1] - weight
    gain = (moment[-1] * weight / max(weight[-1], 1.0) - moment) ** 2
    gain /= np.maximum(weight * other, 1.0)
    kept = counts.copy()
    kept[: low + int(np.argmax(gain))] = 0
    return kept


def _levels(counts: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return for a cut at each bin's lower end what lies on either side, in log2.

    Returns:
        (2560,) median of the bins below, and mean of the bin and those above; NaN where there are none.
    """
    total = np.cumsum(counts)
    below = total - counts
    middle = np.searchsorted(total, 0.5 * below)
    inside = (0.5 * below - (total[middle] - counts[middle])) / np.maximum(counts[middle], 1)
    position = _positions()
    cold = position[middle] + np.clip(inside, 0.0, 1.0) / BINS_PER_OCTAVE
    centre = position + 0.5 / BINS_PER_OCTAVE
    above = np.cumsum(counts[::-1])[::-1]
    weight = np.cumsum((counts * centre)[::-1])[::-1]
    hot = np.where(above > 0, weight / np.maximum(above, 1), np.nan)
    return np.where(below > 0, cold, np.nan), hot


def _own_level(counts: NDArray[np.int64]) -> float:
    """Return the highest cut that lies at `HOT_SHARE` between what it parts, in log2.

    From the hot end down a cut lies above its own share at first; where it no longer does is the level.
    """
    position = _positions()
    cold, hot = _levels(counts)
    over = (1.0 - HOT_SHARE) * cold + HOT_SHARE * hot - position
    start = int(np.searchsorted(position, quantile_of(counts, TOP_FRACTION), side="right")) - 1
    fits = np.flatnonzero(over[: start + 1] >= 0.0)
    if not len(fits):
        return float(position[start])
    last = int(fits[-1])
    if last == start:
        return float(position[start])
    step = over[last] - over[last + 1]
    return float(position[last] + over[last] / step / BINS_PER_OCTAVE)


def uptake_of(counts: NDArray[np.int64], has_air: bool = True) -> Uptake:
    """Read a subject's scale of uptake from its histogram.

    Args:
        counts: (2560,) from `uptake_histogram`, added over the scan.
        has_air: whether air may have been counted (no CT told the body).

    Raises:
        ShapeError: if nothing was counted.
    """
    if counts.sum() == 0:
        raise ShapeError("no pixel with PET data lies in the body: there is no uptake to scale by")
    body = body_counts(counts) if has_air else counts
    if body.sum() == 0:
        body = counts
    level = _own_level(body)
    cut = min(max(round((level - FIRST_OCTAVE) * BINS_PER_OCTAVE), 0), BINS - 1)
    cold, hot = (float(side[cut]) for side in _levels(body))
    if np.isnan(cold):
        cold = quantile_of(body, 0.5)
    level = max(level, cold + float(np.log2(LEAST_CONTRAST)))
    return Uptake(float(2.0**cold), float(2.0 ** max(hot, level)), float(2.0**level))


def is_soft_tissue(ct: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Tell where CT is soft tissue: denser than water or urine, softer than bone.

    Means over 5×5 pixels of a slice, since one pixel's noise is larger than the difference.

    Args:
        ct: (y, x) or (n, y, x) HU; NaN counts as air.
    """
    filled = np.where(np.isfinite(ct), ct, AIR_HU).astype(np.float64)
    mean = uniform_filter(filled, size=(1,) * (ct.ndim - 2) + (5, 5))
    return np.asarray((mean > SOFT_TISSUE_HU[0]) & (mean < SOFT_TISSUE_HU[1]))


def lies_in_soft_tissue(ct: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Tell where CT is soft tissue all around, 5×5 pixels: what lies beside urine shows urine's uptake.

    Args:
        ct: (y, x) or (n, y, x) HU; NaN counts as air.
    """
    return np.asarray(minimum_filter(is_soft_tissue(ct), size=(1,) * (ct.ndim - 2) + (5, 5)))
