"""Mean, spread and extremes of the values under numbered lesions, taken in one pass.

Spread is merged from each plane's own mean, which loses nothing to the size of the values. Sums run plane by
plane in order of z, so the figures do not depend on how slabs of whole slices were cut. NaN is no data and left out.
"""

import numpy as np
from numpy.typing import NDArray

from somray.kernels.compiled import compiled

__all__ = ["ValueMeter"]


class ValueMeter:
    """Sums of one channel, per lesion.

    Source: Chan, Golub, LeVeque, "Updating formulae and a pairwise algorithm for computing sample
    variances", 1979.
    """

    def __init__(self) -> None:
        self._sum = np.zeros(0, dtype=np.float64)
        self._valid = np.zeros(0, dtype=np.int64)
        self._spread = np.zeros(0, dtype=np.float64)  # sums of squared distances from the mean
        self._max = np.zeros(0, dtype=np.float64)
        self._min = np.zeros(0, dtype=np.float64)

    def add_slab(self, labels: NDArray[np.integer], image: NDArray[np.floating]) -> None:
        """Take a slab plane by plane: lesions (z, y, x), 0 outside, and their values (z, y, x)."""
        self._grow(int(labels.max(initial=0)))
        sums = self._sum, self._valid, self._spread, self._max, self._min
        _add_planes(labels, image, *sums)

    def mean(self, lesion: int) -> float:
        """Return the mean; NaN where no value was known."""
        valid = int(self._valid[lesion])
        return float(self._sum[lesion]) / valid if valid else float("nan")

    def std(self, lesion: int) -> float:
        """Return the standard deviation of all its values (not of a sample); NaN as for the mean."""
        valid = int(self._valid[lesion])
        return float(np.sqrt(self._spread[lesion] / valid)) if valid else float("nan")

    def max(self, lesion: int) -> float:
        """Return the maximum; NaN where no value was known."""
        return float(self._max[lesion]) if self._valid[lesion] else float("nan")

    def min(self, lesion: int) -> float:
        """Return the minimum; NaN where no value was known."""
        return float(self._min[lesion]) if self._valid[lesion] else float("nan")

    def _grow(self, largest: int) -> None:
        more = largest + 1 - len(self._sum)
        if more > 0:
            self._valid = np.pad(self._valid, (0, more))
            self._sum = np.pad(self._sum, (0, more))
            self._spread = np.pad(self._spread, (0, more))
            self._max = np.pad(self._max, (0, more), constant_values=-np.inf)
            self._min = np.pad(self._min, (0, more), constant_values=np.inf)


@compiled
def _add_planes(
    labels: NDArray[np.integer],
    image: NDArray[np.floating],
    sums: NDArray[np.float64],
    valid: NDArray[np.int64],
    spread: NDArray[np.float64],
    most: NDArray[np.float64],
    least: NDArray[np.float64],
) -> None:
    """Add every plane's own sums in scan order, then merge them."""
    count, met = np.zeros(len(sums), dtype=np.int64), np.zeros(len(sums), dtype=np.int64)
    total, apart = np.zeros(len(sums)), np.zeros(len(sums))
    for z in range(len(labels)):
        lesions = _sum_plane(labels[z], image[z], count, met, total, most, least)
        if lesions == 0:
            continue
        _spread_plane(labels[z], image[z], count, total, apart)
        for n in met[:lesions]:
            off = sums[n] / max(valid[n], 1) - total[n] / count[n]
            spread[n] += apart[n]
            spread[n] += off * off * (valid[n] * count[n] / (valid[n] + count[n]))
            valid[n] += count[n]
            sums[n] += total[n]
            count[n], total[n], apart[n] = 0, 0.0, 0.0


@compiled
def _sum_plane(
    labels: NDArray[np.integer],
    image: NDArray[np.floating],
    count: NDArray[np.int64],
    met: NDArray[np.int64],
    total: NDArray[np.float64],
    most: NDArray[np.float64],
    least: NDArray[np.float64],
) -> int:
    """Sum a plane (y, x) up by lesion; list the lesions in `met` and return how many there are."""
    lesions = 0
    for y in range(labels.shape[0]):
        for x in range(labels.shape[1]):
            n = labels[y, x]
            if n > 0 and not np.isnan(image[y, x]):
                if count[n] == 0:
                    met[lesions] = n
                    lesions += 1
                value = np.float64(image[y, x])
                count[n] += 1
                total[n] += value
                most[n], least[n] = max(most[n], value), min(least[n], value)
    return lesions


@compiled
def _spread_plane(
    labels: NDArray[np.integer],
    image: NDArray[np.floating],
    count: NDArray[np.int64],
    total: NDArray[np.float64],
    apart: NDArray[np.float64],
) -> None:
    """Sum squared distances from a plane's own means."""
    for y in range(labels.shape[0]):
        for x in range(labels.shape[1]):
            n = labels[y, x]
            if n > 0 and not np.isnan(image[y, x]):
                off = np.float64(image[y, x]) - total[n] / count[n]
                apart[n] += off * off
