"""Connected parts of masks and labels that arrive plane by plane along z; memory is two planes and a number a part.

Two voxels belong to one part where they share a face, an edge or a corner (26-connected) and hold the same value;
0 is outside all. So the parts of a mask are found with 0 and 1, and those of all labels at once with the labels.
"""

import numpy as np
from numpy.typing import NDArray

from somray.errors import ShapeError
from somray.kernels.compiled import compiled

__all__ = ["PartStream"]

Plane = NDArray[np.int32]


class PartStream:
    """Numbers parts while planes come by; numbers are provisional until all have come.

    The same planes in the same order get the same numbers, so that a second pass needs `roots` of the first alone.
    """

    def __init__(self) -> None:
        self._above: tuple[Plane, Plane] | None = None  # values and numbers of the plane before
        self._parent = np.zeros(1024, dtype=np.int32)
        self._sizes = np.zeros(1024, dtype=np.int64)
        self.used = 0

    def add(self, values: NDArray[np.generic]) -> Plane:
        """Take the next plane.

        Args:
            values: (y, x) bool or integers; 0 is outside.

        Returns:
            (y, x) int32: the provisional number of each pixel's part, 0 outside.

        Raises:
            ShapeError: the plane has another shape than those before.
        """
        own = np.ascontiguousarray(values, dtype=np.int32)
        above = self._above or (np.zeros_like(own), np.zeros_like(own))
        if own.ndim != 2 or above[0].shape != own.shape:
            raise ShapeError(f"planes must be (y, x) of one shape, got {own.shape}")
        self._make_room(own.size + 1)
        numbers = np.zeros_like(own)
        self.used = _number((own, numbers), above, self._parent, self._sizes, self.used)
        self._above = own, numbers
        return numbers

    def roots(self) -> NDArray[np.int32]:
        """Return for each provisional number the smallest one of its part, (used + 1,)."""
        _flatten(self._parent, self.used)
        return self._parent[: self.used + 1].copy()

    def sizes(self) -> NDArray[np.int64]:
        """Return the voxels of each part at its smallest number, 0 at its others, (used + 1,)."""
        sizes = np.zeros(self.used + 1, dtype=np.int64)
        np.add.at(sizes, self.roots(), self._sizes[: self.used + 1])
        return sizes

    def _make_room(self, more: int) -> None:
        wanted = self.used + more + 1
        if wanted > len(self._parent):
            grown = max(wanted, 3 * self.used // 2)
            parent, sizes = np.zeros(grown, dtype=np.int32), np.zeros(grown, dtype=np.int64)
            parent[: self.used + 1] = self._parent[: self.used + 1]
            sizes[: self.used + 1] = self._sizes[: self.used + 1]
            self._parent, self._sizes = parent, sizes


@compiled
def _root(parent: Plane, number: int) -> int:
    while parent[number] != number:
        parent[number] = parent[parent[number]]
        number = parent[number]
    return number


@compiled
def _joined(parent: Plane, one: int, other: int) -> int:
    """Unite two parts under the smaller root; 0 stands for none yet."""
    second = _root(parent, other)
    if one == 0:
        return second
    first = _root(parent, one)
    low, high = min(first, second), max(first, second)
    parent[high] = low
    return low


@compiled
def _number(
    plane: tuple[Plane, Plane],
    above: tuple[Plane, Plane],
    parent: Plane,
    sizes: NDArray[np.int64],
    used: int,
) -> int:
    """Number one plane below another; returns how many numbers are in use then."""
    values, numbers = plane
    before, known = above
    rows, columns = values.shape
    for y in range(rows):
        for x in range(columns):
            value = values[y, x]
            if value == 0:
                continue
            own = 0
            if before[y, x] == value:  # it touches all that was met before and touches this voxel
                own = known[y, x]
            else:
                for j in range(max(y - 1, 0), min(y + 2, rows)):
                    for i in range(max(x - 1, 0), min(x + 2, columns)):
                        if before[j, i] == value:
                            own = _joined(parent, own, known[j, i])
                        if (j < y or (j == y and i < x)) and values[j, i] == value:
                            own = _joined(parent, own, numbers[j, i])
            if own == 0:
                used += 1
                parent[used] = used
                own = used
            numbers[y, x] = own
            sizes[own] += 1
    return used


@compiled
def _flatten(parent: Plane, used: int) -> None:
    """Let every number point at its root."""
    for number in range(1, used + 1):
        parent[number] = parent[parent[number]]  # roots are smaller, so already flat
