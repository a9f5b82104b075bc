"""The slice with a reflected border and its holes filled, ready for filters of reach `REACH`."""

import numpy as np
from numpy.typing import NDArray

from somray.kernels.compiled import compiled

__all__ = ["REACH", "pad_slice"]

Slice = NDArray[np.float32]
Padded = NDArray[np.float64]
Holes = NDArray[np.bool_]

REACH = 3
"""Pixels that the widest feature (gradient 3×3, then tensor smoothing 5×5) looks to each side."""


@compiled
def _fold(index: int, size: int) -> int:
    """Reflect an index into [0, size), repeating the edge pixel; works for any size from 1."""
    period = 2 * size
    index = index % period
    return index if index < size else period - 1 - index


@compiled
def _copy_windowed(
    image: Slice, low: float, scale: float, top: float, padded: Padded, holes: Holes
) -> tuple[int, int]:
    """Write (value - low)·scale clipped to [0, top] inside the border; count NaN and infinities."""
    rows, columns = image.shape
    missing = 0
    infinite = 0
    for y in range(rows):
        for x in range(columns):
            value = float(image[y, x])
            scaled = (value - low) * scale
            if top > 0.0:
                scaled = min(max(scaled, 0.0), top) if value == value else scaled
            padded[y + REACH, x + REACH] = scaled
            if not np.isfinite(scaled):
                missing += 1
                infinite += value == value
                holes[y, x] = True
    return missing, infinite


@compiled
def _reflect_border(padded: Padded, rows: int, columns: int) -> None:
    """Fill the border of `padded` from its inside."""
    for y in range(rows):
        for x in range(-REACH, 0):
            padded[y + REACH, x + REACH] = padded[y + REACH, _fold(x, columns) + REACH]
        for x in range(columns, columns + REACH):
            padded[y + REACH, x + REACH] = padded[y + REACH, _fold(x, columns) + REACH]
    for y in range(-REACH, 0):
        padded[y + REACH] = padded[_fold(y, rows) + REACH]
    for y in range(rows, rows + REACH):
        padded[y + REACH] = padded[_fold(y, rows) + REACH]


@compiled
def _fill_holes(padded: Padded, holes: Holes) -> None:
    """Give each hole the mean of its nearest pixels with data, at most `REACH` rows or columns off.

    A hole further from all data is never seen by a pixel that has data, so it may hold anything.
    """
    rows, columns = holes.shape
    for y in range(rows):
        for x in range(columns):
            if not holes[y, x]:
                continue
            nearest, total, count = 99, 0.0, 0
            for v in range(max(0, y - REACH), min(rows, y + REACH + 1)):
                for u in range(max(0, x - REACH), min(columns, x + REACH + 1)):
                    if holes[v, u]:
                        continue
                    distance = (v - y) ** 2 + (u - x) ** 2
                    if distance < nearest:
                        nearest, total, count = distance, 0.0, 0
                    if distance == nearest:
                        total += padded[v + REACH, u + REACH]
                        count += 1
            padded[y + REACH, x + REACH] = total / count if count else 0.0


def pad_slice(
    image: NDArray[np.float32], window: tuple[float, float] | None
) -> tuple[NDArray[np.float64], NDArray[np.bool_], int]:
    """Window a slice, fill its holes and continue it over its border by reflection.

    Args:
        image: (y, x), NaN where there is no data.
        window: (low, high) to clip at and scale to [0, 1], or None to leave values as they are.

    Returns:
        The padded slice (y + 2·REACH, x + 2·REACH) float64, the holes (y, x), how many holes and
        infinite values there are. Infinite values count as infinite, not as holes: (-1 if any).
    """
    rows, columns = image.shape
    padded = np.empty((rows + 2 * REACH, columns + 2 * REACH))
    holes = np.zeros((rows, columns), dtype=np.bool_)
    low, high = window if window is not None else (0.0, 1.0)
    top = 1.0 if window is not None else 0.0
    missing, infinite = _copy_windowed(image, low, 1.0 / (high - low), top, padded, holes)
    if infinite:
        return padded, holes, -1
    if missing:
        _fill_holes(padded, holes)
    _reflect_border(padded, rows, columns)
    return padded, holes, missing
