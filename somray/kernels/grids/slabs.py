"""Bring one volume onto another's grid, slab by slab, by the world coordinates of both.

Images linear (`resample_slab`): a voxel is covered where its centre lies within half a voxel of the other grid's
outer centres, where the edge value holds; elsewhere stands NaN, no data. Labels by the nearest voxel
(`nearest_slab`): a voxel takes the label of the cell its centre lies in, the lower index on a border of two; 0
outside. Places of labels are computed from each voxel's own index, so that a slab's bits do not depend on
where the volume was cut.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from somray.domain.brick import Brick
from somray.domain.geometry import Geometry
from somray.kernels.grids.index_map import corner_indices, index_map, linear_part

__all__ = [
    "nearest_box",
    "nearest_slab",
    "needed_box",
    "overlaps",
    "resample_box",
    "resample_slab",
]

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
    wide, own = target.shape[1:], source.shape[1:]

    def slices(box: Brick) -> NDArray[np.float32]:
        return read(box.z0, box.z1)

    box = Brick.of_slices(0, z0, z1, (wide[0], wide[1]))
    return _resampled(slices, source, target, box, plane=(own[0], own[1]))


def resample_box(
    read: Callable[[Brick], NDArray[np.float32]], source: Geometry, target: Geometry, box: Brick
) -> NDArray[np.float32]:
    """Resample the part of a volume that a box of another grid needs; see `resample_slab`.

    Args:
        read: gives a box of the source (z, y, x); it is asked once, or not at all, for the box's own time.
        source: grid of what `read` gives.
        target: grid to resample onto.
        box: of the target.

    Returns:
        Values of the box's shape. They differ from those of a slab in the last digit at most.
    """
    return _resampled(read, source, target, box)


def _resampled(
    read: Callable[[Brick], NDArray[np.float32]],
    source: Geometry,
    target: Geometry,
    box: Brick,
    plane: tuple[int, int] | None = None,
) -> NDArray[np.float32]:
    """Resample one box; the source's slices are read whole where their `plane` is given."""
    index = index_map(source, target)
    matrix, start = linear_part(index)
    result = np.full(box.shape, np.nan, dtype=np.float32)
    start = matrix @ np.array(box.corner, dtype=np.float64) + start
    needed = _needed(index, box, source.shape, (1.0, 2.0))
    if plane is not None:
        needed = Brick.of_slices(box.t, needed.z0, needed.z1, plane)
    if min(needed.shape) <= 0:
        return result
    block = read(needed)
    corner = np.array(needed.corner, dtype=np.float64)
    start = start - corner
    for n in range(len(result)):  # slice by slice: coordinates in float64 are large
        begin = matrix @ np.array([float(n), 0.0, 0.0]) + start
        values = ndimage.affine_transform(
            block, matrix, begin, output_shape=(1, *box.shape[1:]), order=1, mode="nearest"
        )[0]
        inside = _covered(matrix, begin + corner, box.shape[1:], source.shape)
        result[n][inside] = values[inside]
    return result


def needed_box(source: Geometry, target: Geometry, box: Brick) -> Brick:
    """Return the box of a source that `resample_box` asks for; its sizes are 0 or less where none is needed."""
    return _needed(index_map(source, target), box, source.shape, (1.0, 2.0))


def _needed(
    index: Matrix, box: Brick, source_shape: tuple[int, int, int], margin: tuple[float, float]
) -> Brick:
    """Return the box of the source that a box of the target lies in, and a margin below and above it."""
    matrix, start = linear_part(index)
    along = corner_indices(box.shape) @ matrix.T
    along += matrix @ np.array(box.corner, dtype=np.float64) + start
    below, above = margin
    ends = [
        (max(0, int(np.floor(low - below))), min(size, int(np.ceil(high + above))))
        for low, high, size in zip(along.min(axis=0), along.max(axis=0), source_shape, strict=True)
    ]
    (z0, z1), (y0, y1), (x0, x1) = ends
    return Brick(box.t, z0, z1, y0, y1, x0, x1)


def _covered(
    matrix: Matrix, begin: Matrix, shape: tuple[int, ...], source_shape: tuple[int, int, int]
) -> NDArray[np.bool_]:
    """Tell which pixels of one target slice lie in the source's field of view."""
    y = np.arange(shape[0], dtype=np.float64)[:, None]
    x = np.arange(shape[1], dtype=np.float64)[None, :]
    inside = np.ones(shape, dtype=bool)
    for axis, size in enumerate(source_shape):
        index = matrix[axis, 1] * y + matrix[axis, 2] * x + begin[axis]
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
    wide = target.shape[1:]

    def slices(box: Brick) -> NDArray[np.int32]:
        return read(box.z0, box.z1)

    box = Brick.of_slices(0, z0, z1, (wide[0], wide[1]))
    return nearest_box(slices, source, target, box, crops=False)


def nearest_box(
    read: Callable[[Brick], NDArray[np.int32]],
    source: Geometry,
    target: Geometry,
    box: Brick,
    *,
    crops: bool = True,
) -> NDArray[np.int32]:
    """Resample the part of a label volume that a box of another grid needs; see `nearest_slab`.

    Args:
        read: gives a box of the source (z, y, x); asked in ascending order of z.
        source: grid of what `read` gives.
        target: grid to resample onto.
        box: of the target.
        crops: ask for rows and columns that are needed, not for whole slices.

    Returns:
        Labels of the box's shape, the same however the target is cut.
    """
    index = index_map(source, target)
    result = np.zeros(box.shape, dtype=np.int32)
    needed = _needed(index, box, source.shape, (_TOLERANCE - 0.5, 0.5))
    if not crops:
        needed = Brick.of_slices(box.t, needed.z0, needed.z1, (source.shape[1], source.shape[2]))
    if min(needed.shape) <= 0:
        return result
    step = max(1, _BLOCK_VOXELS // (needed.shape[1] * needed.shape[2]))
    for z in range(needed.z0, needed.z1, step):
        part = replace(needed, z0=z, z1=min(needed.z1, z + step))
        block = read(part)
        for n, plane in enumerate(result):
            _fill(plane, block, part.corner, index, (box.z0 + n, box.y0, box.x0))
    return result


def _fill(
    plane: NDArray[np.int32],
    block: NDArray[np.int32],
    corner: tuple[int, int, int],
    index: Matrix,
    first: tuple[int, int, int],
) -> None:
    """Put into a part of a target slice, from voxel `first` on, what a block of the source at `corner` holds of it."""
    z, y0, x0 = first
    y = np.arange(y0, y0 + plane.shape[0], dtype=np.float64)[:, None]
    x = np.arange(x0, x0 + plane.shape[1], dtype=np.float64)[None, :]
    inside = np.ones(plane.shape, dtype=bool)
    indices = []
    for axis, size in enumerate(block.shape):
        at = (index[axis, 0] * z + index[axis, 3]) + index[axis, 1] * y + index[axis, 2] * x
        cell = np.floor(at + (0.5 - _TOLERANCE)).astype(np.int64) - corner[axis]
        inside &= (cell >= 0) & (cell < size)
        indices.append(cell)
    plane[inside] = block[tuple(cell[inside] for cell in indices)]
