"""Bring one volume onto another's grid, slab by slab, by the world coordinates of both.

Images linear (`resample_slab`): a voxel is covered where its centre lies within half a voxel of the other grid's
outer centres, where the edge value holds; elsewhere stands NaN, no data. Labels by the nearest voxel
(`nearest_slab`): a voxel takes the label of the cell its centre lies in, the lower index on a border of two; 0
outside. Places of labels are computed from each voxel's own index, so that a slab's bits do not depend on
where the volume was cut.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from somray.domain.geometry import Geometry
from somray.kernels.grids.index_map import corner_indices, depths_met, index_map, linear_part

__all__ = ["nearest_slab", "overlaps", "resample_slab"]

_TOLERANCE = 1e-4  # voxels; headers are rounded, so a border is met only nearly
_BLOCK_VOXELS = 1 << 22  # source voxels of labels held at once

Matrix = NDArray[np.float64]


def overlaps(one: Geometry, other: Geometry) -> bool:
    """Tell whether the bounding boxes of two grids share space."""
    first, second = (grid.to_world(corner_indices(grid.shape)) for grid in (one, other))
    low = np.maximum(first.min(axis=0), second.min(axis=0))
    high = np.minimum(first.max(axis=0), second.max(axis=0))
    rounding = _TOLERANCE * min(one.spacing_mm + other.spacing_mm)
    return bool((high > low - rounding).all())


def resample_slab(
    read: Callable[[int, int], NDArray[np.float32]],
    source: Geometry,
    target: Geometry,
    z0: int,
    z1: int,
) -> NDArray[np.float32]:
    """Resample the part of a volume that a slab of another grid needs.

    Args:
        read: gives source slices from first to last (excluded) as (z, y, x).
        source: grid of what `read` gives.
        target: grid to resample onto.
        z0: first target slice.
        z1: target slice after the last.

    Returns:
        (z1 - z0, y, x) float32, NaN where the source has no data.
    """
    index = index_map(source, target)
    matrix, start = linear_part(index)
    shape = (z1 - z0, *target.shape[1:])
    result = np.full(shape, np.nan, dtype=np.float32)
    lowest, highest = depths_met(index, z0, shape)
    first = max(0, int(np.floor(lowest)) - 1)
    last = min(source.shape[0], int(np.ceil(highest)) + 2)
    if first >= last:
        return result
    block = read(first, last)
    start = matrix @ np.array([z0, 0.0, 0.0]) + start
    start[0] -= first
    for n in range(len(result)):  # slice by slice: coordinates in float64 are large
        begin = matrix @ np.array([float(n), 0.0, 0.0]) + start
        plane = ndimage.affine_transform(
            block, matrix, begin, output_shape=(1, *shape[1:]), order=1, mode="nearest"
        )[0]
        inside = _covered(matrix, begin, shape[1:], source.shape, first)
        result[n][inside] = plane[inside]
    return result


def _covered(
    matrix: Matrix,
    begin: Matrix,
    shape: tuple[int, ...],
    source_shape: tuple[int, int, int],
    first: int,
) -> NDArray[np.bool_]:
    """Tell which pixels of one target slice lie in the source's field of view."""
    y = np.arange(shape[0], dtype=np.float64)[:, None]
    x = np.arange(shape[1], dtype=np.float64)[None, :]
    inside = np.ones(shape, dtype=bool)
    for axis, size in enumerate(source_shape):
        index = matrix[axis, 1] * y + matrix[axis, 2] * x + begin[axis]
        if axis == 0:
            index = index + first
        inside &= (index >= -0.5 - _TOLERANCE) & (index <= size - 0.5 + _TOLERANCE)
    return inside


def nearest_slab(
    read: Callable[[int, int], NDArray[np.int32]],
    source: Geometry,
    target: Geometry,
    z0: int,
    z1: int,
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
    index = index_map(source, target)
    result = np.zeros((z1 - z0, *target.shape[1:]), dtype=np.int32)
    lowest, highest = depths_met(index, z0, result.shape)
    first = max(0, int(np.floor(lowest + 0.5 - _TOLERANCE)))
    last = min(source.shape[0], int(np.floor(highest + 0.5)) + 1)
    step = max(1, _BLOCK_VOXELS // (source.shape[1] * source.shape[2]))
    for start in range(first, last, step):
        block = read(start, min(last, start + step))
        for n, plane in enumerate(result):
            _fill(plane, block, start, index, z0 + n)
    return result


def _fill(
    plane: NDArray[np.int32], block: NDArray[np.int32], start: int, index: Matrix, z: int
) -> None:
    """Put into one target slice what a block of source slices, from `start` on, holds of it."""
    y = np.arange(plane.shape[0], dtype=np.float64)[:, None]
    x = np.arange(plane.shape[1], dtype=np.float64)[None, :]
    inside = np.ones(plane.shape, dtype=bool)
    indices = []
    for axis, size in enumerate(block.shape):
        at = (index[axis, 0] * z + index[axis, 3]) + index[axis, 1] * y + index[axis, 2] * x
        cell = np.floor(at + (0.5 - _TOLERANCE)).astype(np.int64) - (start if axis == 0 else 0)
        inside &= (cell >= 0) & (cell < size)
        indices.append(cell)
    plane[inside] = block[tuple(cell[inside] for cell in indices)]
