"""Exact Euclidean distances of a grid's points to a mask, in mm, within four bytes a point.

One pass per axis lowers a grid of squared distances in place, line by line, by the lower envelope of
parabolas. scipy's transform gives the same distances, but holds some fifty bytes a point while it works,
which no task can afford on a whole body.
"""

import numpy as np
from numpy.typing import NDArray

from somray.errors import ShapeError
from somray.kernels.compiled import compiled

__all__ = ["check_spacing", "distances_mm"]


def check_spacing(mask: NDArray[np.bool_], spacing_mm: tuple[float, ...]) -> None:
    """Make sure that a spacing is one of this mask.

    Raises:
        ShapeError: it has another number of axes, or is not positive.
    """
    if len(spacing_mm) != mask.ndim:
        raise ShapeError(f"spacing_mm needs {mask.ndim} numbers, got {spacing_mm}")
    if not all(np.isfinite(step) and step > 0 for step in spacing_mm):
        raise ShapeError(f"spacing_mm must be positive, got {spacing_mm}")


def distances_mm(
    mask: NDArray[np.bool_], spacing_mm: tuple[float, ...], within: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """Measure how far some points of a grid lie from the nearest point inside a mask.

    Args:
        mask: bool, any number of axes.
        spacing_mm: distance of neighbouring points along each axis, in the array's order.
        within: bool of the same shape: the points that are asked for.

    Returns:
        (n,) mm, in the array's order of `within`; inf where the mask is empty.

    Raises:
        ShapeError: if shapes differ, or `spacing_mm` does not fit or is not positive.

    Cost: O(points x axes) time; four bytes a point.
    Source: Felzenszwalb and Huttenlocher, "Distance transforms of sampled functions", 2012.
    """
    if mask.shape != within.shape:
        raise ShapeError(f"within must have the mask's shape {mask.shape}, got {within.shape}")
    check_spacing(mask, spacing_mm)
    squared = np.full(mask.shape, np.inf, dtype=np.float32)
    squared[mask] = 0.0
    for axis, step in enumerate(spacing_mm):
        inner = int(np.prod(mask.shape[axis + 1 :], dtype=np.int64))
        _lower(squared.reshape(-1, mask.shape[axis], inner), float(step))
    found = squared[within]
    return np.sqrt(found, out=found)


@compiled
def _lower(squared: NDArray[np.float32], step: float) -> None:
    """Take, along the middle axis, the least of every point's own value and all others' parabolas."""
    outer, length, inner = squared.shape
    line = np.empty(length, dtype=np.float64)
    vertex = np.empty(length, dtype=np.int64)
    start = np.empty(length + 1, dtype=np.float64)  # from where on a parabola is the lowest
    for o in range(outer):
        for i in range(inner):
            count = 0
            for q in range(length):
                line[q] = squared[o, q, i]
                if line[q] == np.inf:
                    continue
                place = -np.inf
                while count > 0:
                    p = vertex[count - 1]
                    # Where the parabolas of p and q cross, in points.
                    rise = (line[q] - line[p]) / (step * step)
                    place = (rise / (q - p) + q + p) / 2.0
                    if place > start[count - 1]:
                        break
                    count -= 1
                    place = -np.inf
                vertex[count] = q
                start[count] = place
                count += 1
            lowest = 0
            for q in range(length if count else 0):
                while lowest + 1 < count and start[lowest + 1] < q:
                    lowest += 1
                away = step * (q - vertex[lowest])
                squared[o, q, i] = away * away + line[vertex[lowest]]
