"""What a scanner can measure of a square slice: the circle inside it."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["outside_circle"]

SLACK = 0.95  # of the radius; a GE series in the test data is padded from 0.957 on


def outside_circle(known: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Mark the pixels outside the ellipse inscribed in the box of known pixels.

    Args:
        known: (y, x), True where the slice has a value at all; a slice on a larger canvas has its own box.

    Returns:
        (y, x), True in the corners beyond the ellipse; all True where nothing is known.
    """
    inside = np.zeros(known.shape, dtype=bool)
    rows, columns = np.flatnonzero(known.any(axis=1)), np.flatnonzero(known.any(axis=0))
    if rows.size:
        box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        height, width = rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1
        y = (2 * np.arange(height)[:, None] + 1) / height - 1  # -1 to 1 over the box
        x = (2 * np.arange(width)[None, :] + 1) / width - 1
        inside[box] = y * y + x * x <= SLACK * SLACK
    return ~inside
