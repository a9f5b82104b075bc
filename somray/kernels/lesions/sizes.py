"""How lesions spread over sizes: classes of equivalent diameter, and D10, D50, D90 by number and by volume.

Classes are of one width on the logarithm of the diameter, since pores span decades, with borders at round
steps of a decade, so that sessions and scans share them. A percentile is the diameter of a lesion that is there:
the smallest up to which at least so much of the number, or of the volume, lies (no interpolation).

Source: ISO 9276-1:1998 and 9276-2:2014, representation of particle size analysis.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["SizeClasses", "size_borders", "size_classes", "size_percentile"]

MOST_CLASSES = 30
_STEPS = (20, 10, 5, 2, 1)  # classes a decade, the first that needs no more than `MOST_CLASSES`


@dataclass(frozen=True, eq=False)
class SizeClasses:
    """Lesions by classes of their equivalent diameter.

    Args:
        borders_mm: (k + 1,) ascending; a class holds its lower border.
        lesions: (k,) how many.
        volume_mm3: (k,) of all of them.
    """

    borders_mm: NDArray[np.float64]
    lesions: NDArray[np.int64]
    volume_mm3: NDArray[np.float64]


def size_borders(diameters_mm: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return borders of classes that hold all of some diameters (n,), positive; two where there is none."""
    known = np.asarray(diameters_mm, dtype=np.float64)
    if not known.size:
        return np.array([1.0, 10.0])
    low, high = np.log10(known.min()), np.log10(known.max())
    fine = [n for n in _STEPS if np.floor(high * n) - np.floor(low * n) < MOST_CLASSES]
    steps = fine[0] if fine else _STEPS[-1]
    first, last = int(np.floor(low * steps)), int(np.floor(high * steps)) + 1
    borders = 10.0 ** (np.arange(first, last + 1) / steps)
    borders[0] = min(borders[0], known.min())  # rounding must not lose the ends
    borders[-1] = max(borders[-1], np.nextafter(known.max(), np.inf))
    return np.asarray(borders)


def size_classes(
    diameters_mm: NDArray[np.floating],
    volumes_mm3: NDArray[np.floating],
    borders_mm: NDArray[np.float64],
) -> SizeClasses:
    """Sort lesions into classes; one beyond the borders counts in none."""
    place = np.searchsorted(borders_mm, diameters_mm, side="right") - 1
    inside = (place >= 0) & (place < len(borders_mm) - 1)
    size = len(borders_mm) - 1
    counts = np.bincount(place[inside], minlength=size)
    weights = np.asarray(volumes_mm3, dtype=np.float64)[inside]
    volume = np.bincount(place[inside], weights=weights, minlength=size)
    return SizeClasses(borders_mm, counts, volume.astype(np.float64))


def size_percentile(
    diameters_mm: NDArray[np.floating], weights: NDArray[np.floating], percent: float
) -> float:
    """Return the smallest diameter up to which at least `percent` of all weights lie.

    Args:
        diameters_mm: (n,), n ≥ 1.
        weights: (n,) 1 for each by number, volumes by volume; their sum is positive.
        percent: 0 to 100.
    """
    order = np.argsort(diameters_mm, kind="stable")
    total = np.cumsum(np.asarray(weights, dtype=np.float64)[order])
    place = np.searchsorted(total, total[-1] * (percent / 100.0) * (1 - 1e-12))
    return float(np.asarray(diameters_mm)[order][min(int(place), len(order) - 1)])
