"""A map's nodes as a picture, one cell each; odd rows of a hexagonal map stand half a cell further."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["node_picture"]

CELL = 16


def node_picture(
    colours: NDArray[np.uint8], grid: tuple[int, int], topology: str
) -> NDArray[np.uint8]:
    """Draw nodes.

    `colours` (k, 3) are RGB of each node, row by row of the grid.

    Returns:
        (y, x, 3) RGB on white.
    """
    rows, columns = grid
    is_shifted = topology == "hexagonal" and rows > 1
    wide = columns * CELL + (CELL // 2 if is_shifted else 0)
    out = np.full((rows * CELL, wide, 3), 255, dtype=np.uint8)
    for node, colour in enumerate(colours):
        row, column = divmod(node, columns)
        left = column * CELL + (CELL // 2 if is_shifted and row % 2 else 0)
        out[row * CELL : (row + 1) * CELL - 1, left : left + CELL - 1] = colour
    return out
