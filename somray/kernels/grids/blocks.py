"""A volume brought onto another grid piece by piece, from a few of its slices at a time.

However the two grids are turned against each other, a slice of the result is cut until each piece needs no
more slices of the source than may be held.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from somray.domain.geometry import Geometry
from somray.kernels.grids.resample import sample, sample_labels

__all__ = ["Piece", "index_map", "pieces"]

Matrix = NDArray[np.float64]


def index_map(fixed: Geometry, moving: Geometry, matrix: Matrix) -> Matrix:
    """Return (4, 4) from fixed indices (z, y, x, 1) to moving ones.

    Args:
        fixed: grid of the result.
        moving: grid of the source.
        matrix: (4, 4) moving to fixed in LPS mm.
    """
    xyz = np.linalg.inv(moving.matrix) @ np.linalg.inv(matrix) @ fixed.matrix
    flip = np.eye(4)[[2, 1, 0, 3]]
    return np.asarray(flip @ xyz @ flip, dtype=np.float64)


@dataclass(frozen=True, eq=False)
class Piece:
    """Part of one slice of the result, and the source slices that it is read from.

    Args:
        rows: of the result's slice.
        columns: of the result's slice.
        source: slices of the source; it shows nothing beyond them here.
        chain: (4, 4) indices of the result (z, y, x, 1) to those of the source.
        z: slice of the result.
    """

    rows: slice
    columns: slice
    source: slice
    chain: Matrix
    z: int

    def sample(self, block: NDArray[np.floating]) -> NDArray[np.float32]:
        """Read the piece from its source slices (z, y, x), linear; NaN where they show nothing."""
        return sample(block, self._coordinates(), order=1)

    def sample_labels(self, block: NDArray[np.integer[Any]]) -> NDArray[np.integer[Any]]:
        """Read the piece from its source slices (z, y, x) of labels, nearest; 0 outside."""
        return sample_labels(block, self._coordinates())

    def _coordinates(self) -> NDArray[np.float64]:
        y, x = np.mgrid[self.rows, self.columns].astype(np.float64)
        at = [r[0] * self.z + r[1] * y + r[2] * x + r[3] for r in self.chain[:3]]
        at[0] = at[0] - self.source.start
        return np.stack(at)


def pieces(
    chain: Matrix, result: tuple[int, int, int], source: tuple[int, int, int], most: int
) -> Iterator[Piece]:
    """Cut one slice of the result into pieces.

    Args:
        chain: (4, 4) indices of the result (z, y, x, 1) to those of the source; see `index_map`.
        result: the slice's z, its rows and its columns.
        source: shape of the source volume.
        most: source slices that a piece may need, at least 3.

    Yields:
        Pieces that do not overlap; where the source shows nothing there is none.
    """
    z, rows, columns = result
    waiting = [(slice(0, rows), slice(0, columns))]
    while waiting:
        tall, wide = waiting.pop()
        corners = np.array(
            [
                [z, y, x, 1.0]
                for y in (tall.start, tall.stop - 1)
                for x in (wide.start, wide.stop - 1)
            ]
        )
        depths = corners @ chain[0]
        # one more on either side: the result must not depend on where it was cut
        low, high = int(np.floor(depths.min())) - 1, int(np.ceil(depths.max())) + 2
        low, high = max(low, 0), min(high, source[0])
        if high <= low:
            continue
        height, width = tall.stop - tall.start, wide.stop - wide.start
        if high - low <= most or height * width == 1:
            yield Piece(tall, wide, slice(low, high), chain, z)
        elif abs(chain[0, 1]) * height >= abs(chain[0, 2]) * width and height > 1:
            middle = tall.start + height // 2
            waiting += [(slice(tall.start, middle), wide), (slice(middle, tall.stop), wide)]
        else:
            middle = wide.start + width // 2
            waiting += [(tall, slice(wide.start, middle)), (tall, slice(middle, wide.stop))]
