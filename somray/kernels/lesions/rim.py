"""The voxels on the rims of lesions, gathered in small boxes (*cells*), so that few of them need be held.

A rim voxel has a face that is not inside its lesion. A cell holds one lesion's rim voxels of a brick that lie in one
box of 32 voxels a side; of a cell only its tight box and six outermost voxels are kept, and its voxels are
read again where they matter.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from somray.kernels.compiled import compiled

__all__ = ["CELL_VOXELS", "RimCells", "RimPieces", "pieces_of"]

CELL_VOXELS = 32


@dataclass(frozen=True, eq=False)
class RimPieces:
    """Rim voxels of one brick.

    Args:
        points: (n, 4) int32 lesion, z, y, x of the volume, cell after cell.
        cuts: (m + 1,) where the cells begin, and n.
    """

    points: NDArray[np.int32]
    cuts: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class RimCells:
    """Cells of some bricks.

    Args:
        lesion: (m,) whose rim it is.
        box: (m, 2, 3) smallest and largest index in z, y, x.
        ends: (m, 6, 3) voxels at the box's six sides.
    """

    lesion: NDArray[np.int32]
    box: NDArray[np.int32]
    ends: NDArray[np.int32]

    @classmethod
    def of_pieces(cls, pieces: RimPieces) -> "RimCells":
        """Keep of a brick's rim voxels what is kept of cells."""
        ends = _ends(pieces.points, pieces.cuts)
        lesion = pieces.points[pieces.cuts[:-1], 0]
        box = np.stack([ends.min(axis=1), ends.max(axis=1)], axis=1)
        return cls(lesion, box, ends)

    @classmethod
    def joined(cls, parts: list["RimCells"]) -> "RimCells":
        """Put the cells of several bricks one after the other."""
        blank = cls(
            np.zeros(0, np.int32), np.zeros((0, 2, 3), np.int32), np.zeros((0, 6, 3), np.int32)
        )
        every = [blank, *parts]
        return cls(
            np.concatenate([part.lesion for part in every]),
            np.concatenate([part.box for part in every]),
            np.concatenate([part.ends for part in every]),
        )


def pieces_of(
    block: NDArray[np.int32],
    corner: tuple[int, int, int],
    margin: tuple[int, int, int] = (1, 1, 1),
) -> RimPieces:
    """List a brick's rim voxels cell by cell.

    Args:
        block: (z, y, x) lesions of the brick and its margin on all sides, 0 outside of lesions and volume.
        corner: of the brick (not of its margin) in the volume, in z, y, x.
        margin: voxels about the brick along each axis, at least 1.
    """
    points = _rim(block, np.array(corner), np.array(margin))
    cell = points[:, 1:] // CELL_VOXELS
    cell -= cell.min(axis=0, initial=np.iinfo(np.int32).max)
    sizes = cell.max(axis=0, initial=0).astype(np.int64) + 1
    key = points[:, 0].astype(np.int64)
    for axis in range(3):
        key = key * sizes[axis] + cell[:, axis]
    order = np.argsort(key, kind="stable")
    cuts = np.append(np.flatnonzero(np.diff(key[order], prepend=-1)), len(points))
    return RimPieces(points[order], cuts.astype(np.int64))


@compiled
def _rim(
    block: NDArray[np.int32], corner: NDArray[np.int64], margin: NDArray[np.int64]
) -> NDArray[np.int32]:
    """List the rim voxels in scan order: lesion, z, y, x."""
    found = np.empty((0, 4), dtype=np.int32)
    depth, rows, columns = block.shape
    first = corner - margin
    for step in range(2):  # counted, then listed
        size = 0
        for z in range(margin[0], depth - margin[0]):
            for y in range(margin[1], rows - margin[1]):
                for x in range(margin[2], columns - margin[2]):
                    lesion = block[z, y, x]
                    if lesion > 0 and not (
                        block[z, y, x - 1] == lesion
                        and block[z, y, x + 1] == lesion
                        and block[z, y - 1, x] == lesion
                        and block[z, y + 1, x] == lesion
                        and block[z - 1, y, x] == lesion
                        and block[z + 1, y, x] == lesion
                    ):
                        if step == 1:
                            found[size, 0], found[size, 1] = lesion, first[0] + z
                            found[size, 2], found[size, 3] = first[1] + y, first[2] + x
                        size += 1
        if step == 0:
            found = np.empty((size, 4), dtype=np.int32)
    return found


@compiled
def _ends(points: NDArray[np.int32], cuts: NDArray[np.int64]) -> NDArray[np.int32]:
    """Choose of every cell the first voxels that reach furthest down and up each axis, (m, 6, 3)."""
    found = np.empty((len(cuts) - 1, 6, 3), dtype=np.int32)
    for m in range(len(cuts) - 1):
        for axis in range(3):
            low, high = cuts[m], cuts[m]
            for n in range(cuts[m], cuts[m + 1]):
                if points[n, axis + 1] < points[low, axis + 1]:
                    low = n
                if points[n, axis + 1] > points[high, axis + 1]:
                    high = n
            for k in range(3):
                found[m, 2 * axis, k] = points[low, k + 1]
                found[m, 2 * axis + 1, k] = points[high, k + 1]
    return found
