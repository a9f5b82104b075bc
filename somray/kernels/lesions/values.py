"""Mean, spread and extremes of the values under numbered lesions, taken in one pass.

Spread is merged from each call's own mean, which loses nothing to the size of the values. Called plane by
plane in order of z, the figures do not depend on how slabs were cut. NaN is no data and left out.
"""

import numpy as np
from numpy.typing import NDArray

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

    def add(self, ids: NDArray[np.int64], values: NDArray[np.float64]) -> None:
        """Take the values (n,) of one plane and the lesion (n,) that each lies in, from 1."""
        self._grow(int(ids.max(initial=0)))
        known = ~np.isnan(values)
        ids, values, size = ids[known], values[known], len(self._sum)
        count = np.bincount(ids, minlength=size)
        total = np.bincount(ids, weights=values, minlength=size)
        mean = total / np.maximum(count, 1)
        apart = self._sum / np.maximum(self._valid, 1) - mean
        share = self._valid * count / np.maximum(self._valid + count, 1)
        self._spread += np.bincount(ids, weights=(values - mean[ids]) ** 2, minlength=size)
        self._spread += apart**2 * share
        self._valid += count
        self._sum += total
        np.maximum.at(self._max, ids, values)
        np.minimum.at(self._min, ids, values)

    def add_slab(self, labels: NDArray[np.integer], image: NDArray[np.floating]) -> None:
        """Take a slab plane by plane: lesions (z, y, x), 0 outside, and their values (z, y, x)."""
        for plane, values in zip(labels, image, strict=True):
            inside = plane > 0
            if inside.any():
                self.add(plane[inside].astype(np.int64), values[inside].astype(np.float64))

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
