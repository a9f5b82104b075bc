"""Connected parts of a mask that arrives in bricks: labelled brick by brick, joined over their borders.

Two voxels belong together when they share a face, an edge or a corner (26-connected). Every brick is labelled by
itself under provisional numbers of its own; what meets over faces, edges and corners of bricks is joined by
union-find, the smaller number leading. So the parts do not depend on the order of the bricks, and final
numbers go by the first voxel met when z, then y, then x run upwards. What is held are the parts, never a brick.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from somray.errors import ShapeError
from somray.kernels.compiled import compiled
from somray.kernels.lesions.facts import FactSums, PartFacts

__all__ = ["PartLabeller", "inner", "renumber"]

_CONNECTED = np.ones((3, 3, 3), dtype=bool)  # faces, edges and corners


class PartLabeller:
    """Labels a mask brick by brick; `lookup[provisional]` of all bricks equals `scipy.ndimage.label` of the whole.

    Args:
        plane: (y, x) of the whole volume.
    """

    def __init__(self, plane: tuple[int, int]) -> None:
        self._plane = plane
        self._parent = np.zeros(1, dtype=np.int32)
        self._count = 0  # provisional numbers given
        self._facts = FactSums()

    def add(
        self,
        mask: NDArray[np.bool_],
        corner: tuple[int, int, int],
        around: NDArray[np.int32] | None = None,
    ) -> NDArray[np.int32]:
        """Take a brick.

        Args:
            mask: (z, y, x) bool.
            corner: of the brick in the volume, in z, y, x.
            around: (z + 2, y + 2, x + 2) provisional numbers of what was taken before, one voxel to all sides of
                the brick, 0 elsewhere; the brick's own are put inside. None where it is the only one.

        Returns:
            Provisional numbers (z, y, x) int32, 0 outside; unique over all bricks so far.

        Raises:
            ShapeError: if the mask is not 3D bool, or `around` does not fit.
        """
        if mask.ndim != 3 or mask.dtype != np.bool_:
            raise ShapeError(f"mask must be (z, y, x) bool, got {mask.dtype} {mask.shape}")
        if around is not None and around.shape != tuple(n + 2 for n in mask.shape):
            raise ShapeError(f"a brick of {mask.shape} has no surroundings of {around.shape}")
        if mask.size == 0:
            return np.zeros(mask.shape, dtype=np.int32)
        labelled, found = ndimage.label(mask, structure=_CONNECTED)
        local: NDArray[np.int32] = np.asarray(labelled, dtype=np.int32)
        self._facts.add(local, corner, self._plane, self._count)
        self._grow(self._count + found)
        local[local > 0] += self._count
        self._count += found
        if around is not None and around.any():
            around[1:-1, 1:-1, 1:-1] = local
            _join(around, self._parent)
        return local

    def finish(self, min_voxels: int = 1) -> tuple[NDArray[np.int32], PartFacts]:
        """Resolve what joins over borders of bricks.

        Args:
            min_voxels: parts with fewer voxels become 0 and get no number.

        Returns:
            (provisional numbers + 1,) int32 final number of each, 0 for none; and the facts of the parts.
        """
        roots = _roots(self._parent[: self._count + 1])
        joined = self._facts.finish().renamed(roots)
        kept = np.flatnonzero(joined.voxels >= min_voxels)
        ranked = kept[np.argsort(joined.first[kept], kind="stable")]
        number = np.zeros(self._count + 1, dtype=np.int32)
        number[joined.numbers[ranked]] = np.arange(1, len(ranked) + 1)
        return np.asarray(number[roots]), joined.renamed(number)

    def _grow(self, largest: int) -> None:
        have = len(self._parent)
        if largest >= have:
            more = max(largest + 1, 2 * have)
            self._parent = np.append(self._parent, np.arange(have, more, dtype=np.int32))


@compiled
def _root(parent: NDArray[np.int32], part: int) -> int:
    """Find the smallest number of a part, halving the way for next time."""
    while parent[part] != part:
        parent[part] = parent[parent[part]]
        part = parent[part]
    return part


@compiled
def _join(block: NDArray[np.int32], parent: NDArray[np.int32]) -> None:
    """Unite what touches the outermost voxels of a block, from the second outermost on."""
    depth, rows, columns = block.shape
    for z in range(depth):
        for y in range(rows):
            is_rim = z in (0, depth - 1) or y in (0, rows - 1)
            for x in range(0, columns, 1 if is_rim else columns - 1):
                if block[z, y, x] == 0:
                    continue
                for k in range(max(z - 1, 1), min(z + 2, depth - 1)):
                    for j in range(max(y - 1, 1), min(y + 2, rows - 1)):
                        for i in range(max(x - 1, 1), min(x + 2, columns - 1)):
                            if block[k, j, i] != 0:
                                one = _root(parent, block[z, y, x])
                                other = _root(parent, block[k, j, i])
                                parent[max(one, other)] = min(one, other)


@compiled
def _roots(parent: NDArray[np.int32]) -> NDArray[np.int32]:
    found = np.empty_like(parent)
    for part in range(len(parent)):
        found[part] = _root(parent, part)
    return found


def inner(block: NDArray[np.int32], margin: tuple[int, int, int]) -> NDArray[np.int32]:
    """Return a block (z, y, x) without the margin about it, in one piece."""
    z, y, x = (slice(m, n - m) for m, n in zip(margin, block.shape, strict=True))
    return np.ascontiguousarray(block[z, y, x])


@compiled
def renumber(block: NDArray[np.int32], lookup: NDArray[np.int32]) -> None:
    """Replace, in place, every negative value −n of (z, y, x) by lookup[n]; others stay."""
    for z in range(block.shape[0]):
        for y in range(block.shape[1]):
            for x in range(block.shape[2]):
                if block[z, y, x] < 0:
                    block[z, y, x] = lookup[-block[z, y, x]]
