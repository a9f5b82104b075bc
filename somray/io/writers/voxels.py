"""What a writer is given: voxels on a grid, read piece by piece, and what the values of a mask mean."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from somray.domain.geometry import Geometry

__all__ = ["LabelMap", "Segment", "Voxels"]

PIECE_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True)
class Voxels:
    """Numbers on a grid.

    Args:
        geometry: grid of one time point.
        times: time points.
        dtype: numpy's name of the type they are written as.
        read: (t, z0, z1) to slices z0 to z1 (excluded) as (z, y, x).
    """

    geometry: Geometry
    times: int
    dtype: str
    read: Callable[[int, int, int], NDArray[Any]]

    def pieces(self) -> Iterator[bytes]:
        """Give all voxels as little-endian bytes, x fastest, then y, z, t; at most 16 MiB or one slice at once."""
        depth, rows, columns = self.geometry.shape
        kind = np.dtype(self.dtype).newbyteorder("<")
        step = max(1, PIECE_BYTES // (rows * columns * kind.itemsize))
        for t in range(self.times):
            for z0 in range(0, depth, step):
                block = self.read(t, z0, min(depth, z0 + step))
                yield np.ascontiguousarray(block, dtype=kind).tobytes()


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
    """A mask: 0 where nothing is, else a segment's value.

    Args:
        voxels: integers.
        segments: by value; every value of the voxels stands here.
    """

    voxels: Voxels
    segments: tuple[Segment, ...]

    @property
    def geometry(self) -> Geometry:
        """Grid of one time point."""
        return self.voxels.geometry
