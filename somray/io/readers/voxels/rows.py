"""A box of one plane out of voxels that lie one after another: its rows, a few at a time."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from somray.domain.brick import Brick

__all__ = ["StoredPlane"]

_READ_BYTES = 1 << 22  # at once


@dataclass(frozen=True)
class StoredPlane:
    """One plane in a file.

    Args:
        start: position of its first voxel.
        columns: of the plane.
        dtype: of one value.
        together: values that lie together at each voxel.
        read: (position, count) to that many bytes.
    """

    start: int
    columns: int
    dtype: np.dtype[Any]
    together: int
    read: Callable[[int, int], bytes]

    def rows(self, box: Brick) -> Iterator[tuple[slice, NDArray[Any]]]:
        """Give the box's rows, counted from its first, with their stored values (rows, columns, together)."""
        voxel = self.dtype.itemsize * self.together
        row, wide = self.columns * voxel, (box.x1 - box.x0) * voxel
        seeks = 4 * wide < row  # else columns that nobody asked for cost less than a seek
        begin, length = (box.x0 * voxel, wide) if seeks else (0, row)
        step = 1 if seeks else max(1, _READ_BYTES // row)
        columns = slice(None) if seeks else slice(box.x0, box.x1)
        for y in range(box.y0, box.y1, step):
            count = min(step, box.y1 - y)
            data = self.read(self.start + y * row + begin, count * length)
            stored = np.frombuffer(data, dtype=self.dtype).reshape(count, -1, self.together)
            yield slice(y - box.y0, y - box.y0 + count), stored[:, columns]
