"""Units of lengths as people write them, and runs of planes that keep a drawing's marks few."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["MOST_RUNS", "LengthUnit", "length_unit", "runs"]

MOST_RUNS = 200  # points of a line along an axis; a chart is not wider than twice that in pixels
SMALL_MM = 0.1  # from here down lengths are told in µm


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


def runs(count: int, most: int = MOST_RUNS) -> NDArray[np.int64]:
    """Cut 0 … count into at most `most` runs of about one length: (runs + 1,) borders, each once."""
    return np.linspace(0, count, min(count, most) + 1).round().astype(np.int64)
