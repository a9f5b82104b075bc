"""Bring one volume onto another's grid, slab by slab, by the world coordinates of both.

Linear interpolation. A voxel is covered where its centre lies within half a voxel of the other grid's outer
centres; there the edge value holds. Elsewhere stands NaN: no data.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from somray.domain.geometry import Geometry

__all__ = ["overlaps", "resample_slab"]

_TOLERANCE = 1e-4  # voxels; headers are rounded


def _index_map(
    source: Geometry, target: Geometry
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return matrix and offset that take target indices (z, y, x) to source indices."""
    xyz = np.linalg.inv(source.matrix) @ target.matrix
    return xyz[:3, :3][::-1, ::-1].copy(), xyz[:3, 3][::-1].copy()


def _corners(shape: tuple[int, int, int]) -> NDArray[np.float64]:
    """Return the eight corner indices of a grid, (8, 3)."""
    ends = [(0.0, float(size - 1)) for size in shape]
    return np.array(np.meshgrid(*ends, indexing="ij")).reshape(3, -1).T


def overlaps(one: Geometry, other: Geometry) -> bool:
    """Tell whether the bounding boxes of two grids share space."""
    first = one.to_world(_corners(one.shape))
    second = other.to_world(_corners(other.shape))
    low = np.maximum(first.min(axis=0), second.min(axis=0))
    high = np.minimum(first.max(axis=0), second.max(axis=0))
    return bool((high > low - 1e-6).all())


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
    matrix, offset = _index_map(source, target)
    shape = (z1 - z0, *target.shape[1:])
    start = matrix @ np.array([z0, 0.0, 0.0]) + offset
    reached = (_corners(shape) @ matrix.T + start)[:, 0]
    first = max(0, int(np.floor(reached.min())) - 1)
    last = min(source.shape[0], int(np.ceil(reached.max())) + 2)
    result = np.full(shape, np.nan, dtype=np.float32)
    if first >= last:
        return result
    block = read(first, last)
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
    matrix: NDArray[np.float64],
    begin: NDArray[np.float64],
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
