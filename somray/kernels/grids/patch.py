"""A part of a plane that a task holds, and where it lies in it."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Box", "Patch", "boxes", "grown_box"]

Box = tuple[int, int, int, int]
"""First row, the one after the last, first column, the one after the last."""


class Patch(NamedTuple):
    """A plane, or a part of one.

    Args:
        pixels: (y, x) float32.
        corner: row and column of the plane that they begin at.
        shape: (y, x) of the whole plane.
    """

    pixels: NDArray[np.float32]
    corner: tuple[int, int]
    shape: tuple[int, int]

    @classmethod
    def whole(cls, plane: NDArray[np.float32]) -> "Patch":
        """Return a plane that is held in full."""
        return cls(plane, (0, 0), (plane.shape[0], plane.shape[1]))

    def holds(self, box: Box) -> bool:
        """Tell whether a box of the plane lies inside."""
        (y, x), (rows, columns) = self.corner, self.pixels.shape
        return y <= box[0] and box[1] <= y + rows and x <= box[2] and box[3] <= x + columns

    def at(self, box: Box) -> NDArray[np.float32]:
        """Return the pixels of a box of the plane."""
        y, x = self.corner
        return self.pixels[box[0] - y : box[1] - y, box[2] - x : box[3] - x]


def boxes(shape: tuple[int, int], size: tuple[int, int]) -> list[Box]:
    """Cut a plane (y, x) into boxes of some size, row by row."""
    return [
        (y, min(y + size[0], shape[0]), x, min(x + size[1], shape[1]))
        for y in range(0, shape[0], size[0])
        for x in range(0, shape[1], size[1])
    ]


def grown_box(box: Box, halo: tuple[int, int], shape: tuple[int, int]) -> Box:
    """Return a box with `halo` pixels more to all sides, as far as a plane of (y, x) `shape` has them."""
    (y0, y1, x0, x1), (rows, columns) = box, halo
    return (
        max(0, y0 - rows), min(shape[0], y1 + rows),
        max(0, x0 - columns), min(shape[1], x1 + columns),
    )  # fmt: skip
