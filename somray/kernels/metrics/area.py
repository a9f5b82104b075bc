"""How much of a slice a mask covers: what `slices` says of every mask."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from somray.kernels.compiled import compiled

__all__ = ["SURE_STEPS", "area_figures", "count_labels", "target_figures"]

SURE_STEPS = 2**30
"""Steps that a confidence of 1 is counted in: whole numbers add up to the same in any order."""


def target_figures(
    mask: NDArray[np.bool_], pixel_mm2: float
) -> dict[str, Any]:  # Any: the columns' types
    """Return columns of `slices`: a further one is a key of `area_figures` and a field of `SliceRow`.

    Args:
        mask: (y, x) of the target.
        pixel_mm2: area of a pixel.
    """
    return area_figures(int(np.count_nonzero(mask)), mask.size, pixel_mm2)


def area_figures(
    count: int, pixels: int, pixel_mm2: float
) -> dict[str, Any]:  # Any: the columns' types
    """Return columns of `slices` for a target of `count` of a slice's pixels."""
    return {"target_area_mm2": count * pixel_mm2, "target_fraction": count / pixels}


def count_labels(
    labels: NDArray[np.uint8], confidence: NDArray[np.float32], target: int
) -> tuple[NDArray[np.int64], int]:
    """Count the pixels of each label, and add up how sure those of the target are.

    Args:
        labels: (y, x).
        confidence: (y, x) in [0, 1].
        target: its label.

    Returns:
        (256,) pixels by label, and the target's confidence in steps of 1 / `SURE_STEPS`.
    """
    counts = np.zeros((4, 256), dtype=np.int64)
    sure = _count(labels, confidence, target, counts)
    return counts.sum(axis=0), sure


@compiled
def _count(
    labels: NDArray[np.uint8],
    confidence: NDArray[np.float32],
    target: int,
    counts: NDArray[np.int64],
) -> int:
    # Neighbours in turns: four counts of one label need not wait for each other.
    sure = np.int64(0)
    for y in range(labels.shape[0]):
        line, certain = labels[y], confidence[y]
        for x in range(line.size):
            counts[x % 4, line[x]] += 1
            if line[x] == target:
                sure += np.int64(np.rint(np.float64(certain[x]) * SURE_STEPS))
    return int(sure)
