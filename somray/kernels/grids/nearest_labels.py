"""Bring labels onto another grid, slab by slab, by the nearest voxel in the world.

A target voxel takes the label of the source voxel whose cell its centre lies in; 0 outside the source's cells.
Centres on the border of two cells belong to the lower index. Each voxel's place is computed from its own index
alone, so that a slab's bits do not depend on where the volume was cut.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from somray.domain.geometry import Geometry

__all__ = ["nearest_slab"]

_TOLERANCE = 1e-4  # voxels; headers are rounded, so a border is met only nearly
_BLOCK_VOXELS = 1 << 22  # source voxels held at once

Read = Callable[[int, int], NDArray[np.int32]]


def nearest_slab(
    read: Read, source: Geometry, target: Geometry, z0: int, z1: int
) -> NDArray[np.int32]:
    """Resample the part of a label volume that a slab of another grid needs.

    Holds at most 2^22 source voxels (or one source slice, where that is more) beside the slab.

    Args:
        read: gives source slices from first to last (excluded) as (z, y, x); asked in ascending order.
        source: grid of what `read` gives.
        target: grid to resample onto.
        z0: first target slice.
        z1: target slice after the last.

    Returns:
        (z1 - z0, y, x) int32.
    """
    index = np.linalg.inv(source.matrix) @ target.matrix  # index x y z of target → of source
    matrix, offset = index[:3, :3][::-1, ::-1], index[:3, 3][::-1]
    result = np.zeros((z1 - z0, *target.shape[1:]), dtype=np.int32)
    first, last = _reached(matrix, offset, (z0, z1, *target.shape[1:]), source.shape[0])
    step = max(1, _BLOCK_VOXELS // (source.shape[1] * source.shape[2]))
    for start in range(first, last, step):
        stop = min(last, start + step)
        block = read(start, stop)
        for n in range(z1 - z0):
            _fill(result[n], block, start, (matrix, offset, z0 + n))
    return result


def _reached(
    matrix: NDArray[np.float64],
    offset: NDArray[np.float64],
    box: tuple[int, int, int, int],
    depth: int,
) -> tuple[int, int]:
    """Return the source slices (first, after the last) that a target slab may touch; box is z0, z1, y, x."""
    z0, z1, rows, columns = box
    ends = np.array(np.meshgrid((z0, z1 - 1), (0, rows - 1), (0, columns - 1))).reshape(3, -1)
    along = matrix[0] @ ends + offset[0]
    first = int(np.floor(along.min() + 0.5 - _TOLERANCE))
    last = int(np.floor(along.max() + 0.5)) + 1
    return max(0, first), min(depth, last)


def _fill(
    plane: NDArray[np.int32],
    block: NDArray[np.int32],
    start: int,
    place: tuple[NDArray[np.float64], NDArray[np.float64], int],
) -> None:
    """Put into one target slice what a block of source slices, from `start` on, holds of it."""
    matrix, offset, z = place
    y = np.arange(plane.shape[0], dtype=np.float64)[:, None]
    x = np.arange(plane.shape[1], dtype=np.float64)[None, :]
    inside = np.ones(plane.shape, dtype=bool)
    indices = []
    for axis, size in enumerate(block.shape):
        at = (matrix[axis, 0] * z + offset[axis]) + matrix[axis, 1] * y + matrix[axis, 2] * x
        cell = np.floor(at + (0.5 - _TOLERANCE)).astype(np.int64) - (start if axis == 0 else 0)
        inside &= (cell >= 0) & (cell < size)
        indices.append(cell)
    plane[inside] = block[tuple(cell[inside] for cell in indices)]
