"""How far pixels lie from their nearest nodes, as counts on a logarithmic scale.

Counts of parts add up in any order with the same result, so that a reference spread over a cohort has the
same percentiles as one in memory.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from somray.errors import ShapeError

__all__ = ["Distances", "distances_of", "merge_distances"]

FIRST_OCTAVE, OCTAVES, BINS_PER_OCTAVE = -20, 40, 64
"""Bins from 2^-20 to 2^20 standard deviations, 1.1 % wide."""


@dataclass(frozen=True, eq=False)
class Distances:
    """Distances of some pixels.

    Args:
        total: all distances added up.
        bins: (2560,) int64, pixels per bin.
    """

    total: float
    bins: NDArray[np.int64]

    @property
    def count(self) -> int:
        """Number of pixels."""
        return int(self.bins.sum())

    @property
    def mean(self) -> float:
        """Mean distance.

        Raises:
            ShapeError: there is no pixel.
        """
        if not self.count:
            raise ShapeError("no pixel has a distance")
        return self.total / self.count

    def percentile(self, percent: float) -> float:
        """Return the distance that a share of the pixels does not exceed, to the bin's upper end."""
        at = int(np.searchsorted(np.cumsum(self.bins), percent / 100.0 * self.count))
        return float(2.0 ** (FIRST_OCTAVE + (at + 1) / BINS_PER_OCTAVE))


def distances_of(distances: NDArray[np.floating]) -> Distances:
    """Count distances (n,), 0 or more."""
    values = distances.astype(np.float64)
    place = np.log2(np.maximum(values, 2.0**FIRST_OCTAVE)) - FIRST_OCTAVE
    index = np.minimum(np.floor(place * BINS_PER_OCTAVE), OCTAVES * BINS_PER_OCTAVE - 1)
    bins = np.bincount(index.astype(np.int64), minlength=OCTAVES * BINS_PER_OCTAVE)
    return Distances(float(values.sum()), bins.astype(np.int64))


def merge_distances(parts: Sequence[Distances]) -> Distances:
    """Join counts in item order (the order decides the last bits of the total)."""
    if not parts:
        raise ShapeError("there are no distances to merge")
    total, bins = parts[0].total, parts[0].bins.copy()
    for part in parts[1:]:
        total += part.total
        bins += part.bins
    return Distances(total, bins)
