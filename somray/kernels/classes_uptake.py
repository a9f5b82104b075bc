"""How hot is hot in this subject: the level of uptake above which PET shows a lesion.

Absolute SUV differs between subjects, scanners and lesions. Each subject has its own scale between the
body's background (median) and its hottest tissue (99.9th percentile); a lesion is what lies above the
middle of the two *on a logarithmic scale*, i.e. above their geometric mean, as uptake multiplies.

A histogram of integers is all that is kept of a scan: parts of a scan are counted apart and added, in
any order, with the same result.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from somray.errors import ShapeError

__all__ = ["Uptake", "uptake_histogram", "uptake_of"]

FIRST_OCTAVE, OCTAVES, BINS_PER_OCTAVE = -12, 40, 64
"""Bins from 2^-12 to 2^28 of any unit (SUV, Bq/ml, counts), 1.1 % wide."""

BODY_HU = -300.0
"""Denser than this is body, not air or lung."""

SOFT_TISSUE_HU = (10.0, 100.0)
"""Between water or urine (0 to 10) and bone or contrast; muscle and solid tumours lie in it."""

PEAK_FRACTION = 0.999
LEAST_CONTRAST = 1.5
"""A lesion takes up at least this many times the background, however even the subject is."""


@dataclass(frozen=True)
class Uptake:
    """A subject's scale of uptake, in the PET channel's values.

    Args:
        background: median over the body.
        peak: 99.9th percentile over the body.
        lesion: level above which uptake is called a lesion's.
    """

    background: float
    peak: float
    lesion: float


def uptake_histogram(
    pet: NDArray[np.float32], ct: NDArray[np.float32] | None = None
) -> NDArray[np.int64]:
    """Count PET values on a logarithmic scale.

    Args:
        pet: any shape, uptake; NaN where there is no data.
        ct: same shape, HU; where given, only the body is counted.

    Returns:
        (2560,) int64 counts; add those of further parts of the same scan.
    """
    keep = np.isfinite(pet)
    if ct is not None:
        if ct.shape != pet.shape:
            raise ShapeError(f"CT {ct.shape} and PET {pet.shape} have different shapes")
        keep &= ct > BODY_HU
    bins = OCTAVES * BINS_PER_OCTAVE
    values = np.maximum(pet[keep].astype(np.float64), 2.0**FIRST_OCTAVE)
    index = np.floor((np.log2(values) - FIRST_OCTAVE) * BINS_PER_OCTAVE).astype(np.int64)
    return np.bincount(np.minimum(index, bins - 1), minlength=bins).astype(np.int64)


def _quantile(counts: NDArray[np.int64], fraction: float) -> float:
    """Return the value below which a share of the counts lies, in log2, between bins linearly."""
    total = np.cumsum(counts)
    wanted = fraction * total[-1]
    bin_ = int(np.searchsorted(total, wanted))
    before = total[bin_ - 1] if bin_ else 0
    inside = (wanted - before) / max(int(counts[bin_]), 1)
    return FIRST_OCTAVE + (bin_ + float(np.clip(inside, 0.0, 1.0))) / BINS_PER_OCTAVE


def _body(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Keep what is body in a histogram that may hold air: the upper class of Otsu's threshold.

    The scale is taken from a thousandth of the peak upwards; below is air for certain.
    """
    peak = int((_quantile(counts, PEAK_FRACTION) - FIRST_OCTAVE) * BINS_PER_OCTAVE)
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


def uptake_of(counts: NDArray[np.int64], has_air: bool = True) -> Uptake:
    """Read a subject's scale of uptake from its histogram.

    Args:
        counts: from `uptake_histogram`, added over the scan.
        has_air: whether air may have been counted (no CT told the body).

    Raises:
        ShapeError: if nothing was counted.
    """
    if counts.sum() == 0:
        raise ShapeError("no pixel with PET data lies in the body: there is no uptake to scale by")
    body = _body(counts) if has_air else counts
    if body.sum() == 0:
        body = counts
    background, peak = _quantile(body, 0.5), _quantile(body, PEAK_FRACTION)
    lesion = max(0.5 * (background + peak), background + float(np.log2(LEAST_CONTRAST)))
    return Uptake(float(2.0**background), float(2.0**peak), float(2.0**lesion))
