"""What is known of numbered parts from counting alone: sizes, sums of indices, boxes, first voxels.

All of it is whole numbers, so bricks may come in any order and parts may be put together later: the same bits.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from somray.kernels.compiled import compiled

__all__ = ["FactSums", "PartFacts"]

_FAR = np.iinfo(np.int64).max


@dataclass(frozen=True, eq=False)
class PartFacts:
    """Facts of some parts; arrays run over `numbers`.

    Args:
        numbers: (m,) int64 ascending, from 1.
        voxels: (m,) int64.
        sums: (m, 3) int64 of voxel indices, in z, y, x.
        low: (m, 3) int64 smallest index.
        high: (m, 3) int64 largest index.
        first: (m,) int64 linear index of the first voxel in scan order.
    """

    numbers: NDArray[np.int64]
    voxels: NDArray[np.int64]
    sums: NDArray[np.int64]
    low: NDArray[np.int64]
    high: NDArray[np.int64]
    first: NDArray[np.int64]

    @property
    def centre(self) -> NDArray[np.float64]:
        """Mean voxel index (m, 3) in z, y, x."""
        return np.asarray(self.sums / self.voxels[:, None])

    def renamed(self, lookup: NDArray[np.integer]) -> "PartFacts":
        """Give parts other numbers; those that become one are put together, 0 leaves out.

        Args:
            lookup: new number by old number.
        """
        new = np.asarray(lookup, dtype=np.int64)[self.numbers]
        kept = new > 0
        numbers, slot = np.unique(new[kept], return_inverse=True)
        sums = FactSums(len(numbers))
        for target, source, merge in zip(sums.arrays, self._arrays, _MERGES, strict=True):
            merge.at(target, slot + 1, source[kept])
        return sums.finish(numbers)

    @property
    def _arrays(self) -> tuple[NDArray[np.int64], ...]:
        return self.voxels, self.sums, self.low, self.high, self.first


_MERGES = (np.add, np.add, np.minimum, np.maximum, np.minimum)


class FactSums:
    """Facts by number, growing as bricks are taken."""

    def __init__(self, largest: int = 0) -> None:
        self._size = largest + 1  # numbers in use and 0
        self.arrays = _blank(self._size)

    def grow(self, largest: int) -> None:
        """Make room for numbers up to the largest; doubling, so that growing costs no more than filling."""
        self._size = max(self._size, largest + 1)
        have = len(self.arrays[0])
        if self._size > have:
            more = _blank(max(self._size, 2 * have) - have)
            both = zip(self.arrays, more, strict=True)
            self.arrays = tuple(np.concatenate(pair) for pair in both)

    def add(
        self,
        labels: NDArray[np.integer],
        corner: tuple[int, int, int],
        plane: tuple[int, int],
        offset: int = 0,
    ) -> None:
        """Take one brick.

        Args:
            labels: (z, y, x) numbers, 0 outside.
            corner: of the brick in the volume, in z, y, x.
            plane: (y, x) of the whole volume.
            offset: what numbers are more than labels.
        """
        self.grow(offset + int(labels.max(initial=0)))
        _gather(labels, np.array(corner), plane, offset, *self.arrays)

    def finish(self, numbers: NDArray[np.int64] | None = None) -> PartFacts:
        """Return the facts of what has voxels, under numbers of its own or others in the same order."""
        met = np.flatnonzero(self.arrays[0][: self._size])
        found = (array[met] for array in self.arrays)
        return PartFacts(met.astype(np.int64) if numbers is None else numbers, *found)


def _blank(size: int) -> tuple[NDArray[np.int64], ...]:
    return (
        np.zeros(size, dtype=np.int64),
        np.zeros((size, 3), dtype=np.int64),
        np.full((size, 3), _FAR, dtype=np.int64),
        np.full((size, 3), -1, dtype=np.int64),
        np.full(size, _FAR, dtype=np.int64),
    )


@compiled
def _gather(
    labels: NDArray[np.integer],
    corner: NDArray[np.int64],
    plane: tuple[int, int],
    offset: int,
    voxels: NDArray[np.int64],
    sums: NDArray[np.int64],
    low: NDArray[np.int64],
    high: NDArray[np.int64],
    first: NDArray[np.int64],
) -> None:
    """Add a brick's voxels up, in scan order."""
    for z in range(labels.shape[0]):
        for y in range(labels.shape[1]):
            row = ((corner[0] + z) * plane[0] + corner[1] + y) * plane[1] + corner[2]
            for x in range(labels.shape[2]):
                if labels[z, y, x] > 0:
                    n = labels[z, y, x] + offset
                    voxels[n] += 1
                    first[n] = min(first[n], row + x)
                    for axis, place in enumerate((corner[0] + z, corner[1] + y, corner[2] + x)):
                        sums[n, axis] += place
                        low[n, axis] = min(low[n, axis], place)
                        high[n, axis] = max(high[n, axis], place)
