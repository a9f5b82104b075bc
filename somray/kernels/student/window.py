"""Which part of a large slice a student learns from: one that shows the target, what surrounds it, and other tissue.

Lessons are held in memory and looked at over and over; beyond a million pixels a slice has nothing to teach that
a part of it has not.
"""

import numpy as np
from numpy.typing import NDArray

__all__ = ["MOST_PIXELS", "Window", "lesson_window", "window_parts", "window_worth"]

MOST_PIXELS = 1024 * 1024
"""Of a lesson on a slice; smaller slices are lessons as they are."""
SIDE = 1024  # of a window, on both axes
STEP = 256  # between the windows that are compared
ENOUGH = 0.1  # of a window; more target than that makes it no better

Window = tuple[slice, slice]


def lesson_window(mask: NDArray[np.bool_], valid: NDArray[np.bool_]) -> Window:
    """Choose a part of a slice.

    Args:
        mask: (y, x) of the target.
        valid: (y, x) of the pixels that count.

    Returns:
        The whole slice where it has at most `MOST_PIXELS`; else the window with most target (up to a tenth of
        it), then most pixels that count; the first of equals by rows.
    """
    rows, columns = mask.shape
    if rows * columns <= MOST_PIXELS:
        return slice(0, rows), slice(0, columns)
    target, known = _sums(mask & valid), _sums(valid)
    best, chosen = (-1.0, -1), (slice(0, 0), slice(0, 0))
    for y in _starts(rows):
        for x in _starts(columns):
            window = slice(y, min(y + SIDE, rows)), slice(x, min(x + SIDE, columns))
            worth = window_worth(_within(target, window), _within(known, window))
            if worth > best:
                best, chosen = worth, window
    return chosen


def window_parts(shape: tuple[int, int]) -> list[Window]:
    """List the parts of a slice (rows, columns), without overlap; one where it has at most `MOST_PIXELS`."""
    rows, columns = shape
    side = max(shape) if rows * columns <= MOST_PIXELS else SIDE
    return [
        (slice(y, min(y + side, rows)), slice(x, min(x + side, columns)))
        for y in range(0, rows, side)
        for x in range(0, columns, side)
    ]


def window_worth(target: int, known: int) -> tuple[float, int]:
    """Tell what a window is worth by its pixels of target and those that count; more is better."""
    return min(target / SIDE**2, ENOUGH), known


def _starts(size: int) -> list[int]:
    """List where windows begin along an axis; the last ends where it ends."""
    last = max(0, size - SIDE)
    return sorted({*range(0, last, STEP), last})


def _sums(mask: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Count from the first corner to each pixel's, (y + 1, x + 1); slices that are held have fewer than 2³¹."""
    counts = np.zeros((mask.shape[0] + 1, mask.shape[1] + 1), dtype=np.int32)
    np.cumsum(mask, axis=0, dtype=np.int32, out=counts[1:, 1:])
    np.cumsum(counts[1:, 1:], axis=1, out=counts[1:, 1:])
    return counts


def _within(sums: NDArray[np.int32], window: Window) -> int:
    (y0, y1), (x0, x1) = ((part.start, part.stop) for part in window)
    return int(sums[y1, x1] - sums[y0, x1] - sums[y1, x0] + sums[y0, x0])
