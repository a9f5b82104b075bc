"""Units of lengths as people write them, logarithmic axes, and runs of planes that keep a drawing's marks few."""

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

__all__ = ["MOST_RUNS", "LengthUnit", "decades", "length_unit", "runs", "volume_unit"]

MOST_RUNS = 200  # points of a line along an axis; a chart is not wider than twice that in pixels
SMALL_MM = 0.1  # from here down lengths are told in µm
SMALL_ML = 1.0  # mm³: from here down volumes are told in mm³, or µm³
SMALL_MM3 = 0.1  # mm³: from here down in µm³, since tables tell one decimal


@dataclass(frozen=True)
class LengthUnit:
    """A unit of length: its name, and how many there are in a millimetre."""

    name: str
    per_mm: float


def length_unit(lengths_mm: NDArray[np.floating], is_assumed: bool = False) -> LengthUnit:
    """Choose mm, or µm where most lengths are small; pixels where 1 mm was only assumed."""
    if is_assumed:
        return LengthUnit("px", 1.0)
    known = np.asarray(lengths_mm)[np.isfinite(lengths_mm)]
    if known.size and float(np.median(known)) < SMALL_MM:
        return LengthUnit("µm", 1000.0)
    return LengthUnit("mm", 1.0)


def volume_unit(largest_mm3: float) -> tuple[str, float]:
    """Choose ml, mm³ or µm³ by the largest of some volumes: its name, and how many there are in a mm³."""
    if largest_mm3 >= SMALL_ML:
        return "ml", 1e-3
    return ("mm³", 1.0) if largest_mm3 >= SMALL_MM3 else ("µm³", 1e9)


def runs(count: int, most: int = MOST_RUNS) -> NDArray[np.int64]:
    """Cut 0 … count into at most `most` runs of about one length: (runs + 1,) borders, each once."""
    return np.linspace(0, count, min(count, most) + 1).round().astype(np.int64)


def decades(axes: Axes, borders: NDArray[np.float64]) -> None:
    """Write an x axis of decimal logarithms, from the first border to the last, as the numbers they are of.

    Matplotlib's own logarithmic axes take twice the time to draw.
    """
    low, high = borders[0], borders[-1]
    steps = (1, 2, 5) if high - low <= 2.5 else (1,)
    exponents = range(int(np.floor(low)), int(np.ceil(high)) + 1)
    ticks = [
        t for t in np.log10([s * 10.0**e for e in exponents for s in steps]) if low <= t <= high
    ]
    ticks = ticks if len(ticks) > 1 else [low, high]
    axes.set_xlim(low, high)
    axes.set_xticks(ticks, [f"{10**t:.3g}" for t in ticks])
    axes.set_axisbelow(True)
