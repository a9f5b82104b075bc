"""A volume brought onto another grid piece by piece, from a few of its slices at a time.

However the two grids are turned against each other, a slice of the result is cut until each piece needs no
more slices of the source than may be held.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from somray.kernels.grids.index_map import slice_coordinates
from somray.kernels.grids.resample import sample, sample_labels

__all__ = ["MOST_SLICES", "SlicePiece", "fill_slice", "slice_pieces"]

MOST_SLICES = 16
"""Source slices that are held at once, whatever way the source is turned."""

Matrix = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SlicePiece:
    """Part of one slice of the result, and the source slices that it is read from.

    Args:
        rows: of the result's slice.
        columns: of the result's slice.
        source: slices of the source; it shows nothing beyond them here.
        index: (4, 4) indices of the result (z, y, x, 1) to those of the source.
        z: slice of the result.
    """

    rows: slice
    columns: slice
    source: slice
    index: Matrix
    z: int

    def sampled(self, block: NDArray[Any]) -> NDArray[Any]:  # Any: any pixel type
        """Read the piece from its source slices (z, y, x).

        Returns:
            Floats linear, NaN where they show nothing; integers are labels: nearest, 0 there.
        """
        at = slice_coordinates(self.index, self.z, self.rows, self.columns)
        at[0] = at[0] - self.source.start
        return sample(block, at) if block.dtype.kind == "f" else sample_labels(block, at)


def fill_slice(
    empty: NDArray[Any],
    index: Matrix,
    z: int,
    depth: int,
    read: Callable[[slice], NDArray[Any]],  # Any: any pixel type
) -> NDArray[Any]:
    """Fill one slice of the result from the source, a few source slices at a time.

    Args:
        empty: (y, x) what stands where the source shows nothing; filled in place, and returned.
        index: (4, 4) indices of the result to those of the source; see `index_map`.
        z: slice of the result.
        depth: slices of the source.
        read: gives a run of source slices (z, y, x), at most `MOST_SLICES`: floats or labels.
    """
    rows, columns = empty.shape
    for piece in slice_pieces(index, (z, rows, columns), depth, MOST_SLICES):
        empty[piece.rows, piece.columns] = piece.sampled(read(piece.source))
    return empty


def slice_pieces(
    index: Matrix,
    result: tuple[int, int, int],
    depth: int,
    most: int,
    most_pixels: float = float("inf"),
) -> Iterator[SlicePiece]:
    """Cut one slice of the result into pieces.

    Args:
        index: (4, 4) indices of the result (z, y, x, 1) to those of the source; see `index_map`.
        result: the slice's z, its rows and its columns.
        depth: slices of the source volume.
        most: source slices that a piece may need, at least 3.
        most_pixels: pixels of the result that a piece may have.

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
        depths = corners @ index[0]
        # one more on either side: the result must not depend on where it was cut
        low, high = int(np.floor(depths.min())) - 1, int(np.ceil(depths.max())) + 2
        low, high = max(low, 0), min(high, depth)
        if high <= low:
            continue
        height, width = tall.stop - tall.start, wide.stop - wide.start
        fits = high - low <= most and height * width <= most_pixels
        if fits or height * width == 1:
            yield SlicePiece(tall, wide, slice(low, high), index, z)
        elif height > 1 and (
            high - low <= most or abs(index[0, 1]) * height >= abs(index[0, 2]) * width
        ):
            middle = tall.start + height // 2
            waiting += [(slice(tall.start, middle), wide), (slice(middle, tall.stop), wide)]
        else:
            middle = wide.start + width // 2
            waiting += [(tall, slice(wide.start, middle)), (tall, slice(middle, wide.stop))]
