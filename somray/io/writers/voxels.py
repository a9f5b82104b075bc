"""What a writer is given: voxels on a grid, read piece by piece, and what the values of a mask mean."""

import gzip
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from somray.domain.brick import Brick
from somray.domain.geometry import Geometry

__all__ = ["LabelMap", "Segment", "Voxels"]

PIECE_VOXELS = 1 << 21  # at once; in a run they take up to four bytes each, whatever is written
LEVEL = 5  # of gzip
SLICE_BYTES = 128 * 1024 * 1024  # of the largest slice that is not written row by row


@dataclass(frozen=True)
class Voxels:
    """Numbers on a grid.

    Args:
        geometry: grid of one time point.
        times: time points.
        dtype: numpy's name of the type they are written as.
        read: a box to its voxels (z, y, x); asked for whole slices, or for whole rows of one.
    """

    geometry: Geometry
    times: int
    dtype: str
    read: Callable[[Brick], NDArray[Any]]

    def pieces(self) -> Iterator[bytes]:
        """Give all voxels as little-endian bytes, x fastest, then y, z, t.

        At most 2 million or one slice at once, and of slices above 128 MiB so many rows.
        """
        depth, rows, columns = self.geometry.shape
        kind = np.dtype(self.dtype).newbyteorder("<")
        step = max(1, PIECE_VOXELS // (rows * columns))
        high = max(1, min(rows, SLICE_BYTES // (columns * kind.itemsize)))
        for t in range(self.times):
            for z0 in range(0, depth, step):
                for y0 in range(0, rows, high):
                    ends = min(depth, z0 + step), y0, min(rows, y0 + high)
                    block = self.read(Brick(t, z0, *ends, 0, columns))
                    yield np.ascontiguousarray(block, dtype=kind).tobytes()

    def pack(self, file: BinaryIO, head: bytes = b"") -> None:
        """Write all voxels as gzip, behind a head.

        Neither a name nor a time is in the stream: the same voxels give the same bytes.
        """
        stream = gzip.GzipFile("", "wb", compresslevel=LEVEL, fileobj=file, mtime=0)
        with stream as packed:
            packed.write(head)
            for piece in self.pieces():
                packed.write(piece)


@dataclass(frozen=True)
class Segment:
    """What one value of a mask means.

    Args:
        value: in the voxels, above 0.
        name: for people.
        color: red, green, blue, alpha, 0 to 255.
        is_finding: a lesion or the target, not a tissue.
        tracking: the same for one lesion in all sessions and no other; None where it is not followed.
    """

    value: int
    name: str
    color: tuple[int, int, int, int]
    is_finding: bool
    tracking: str | None = None


@dataclass(frozen=True)
class LabelMap:
    """A mask: 0 where nothing is, else the value of a segment; every value of the voxels stands among these."""

    voxels: Voxels
    segments: tuple[Segment, ...]

    @property
    def geometry(self) -> Geometry:
        """Grid of one time point."""
        return self.voxels.geometry
