"""A scan on coarse grids, such as objects and students of volumes see it on: read slab by slab, averaged once.

Slices that are cut into tiles are read by boxes of whole blocks, so that the bits are those of whole slices.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from somray.domain.brick import Brick
from somray.domain.run import ScanPlace
from somray.io.ome.image import ScanMeta, read_brick, read_label_brick, read_meta, slabs
from somray.io.ome.metadata import tile_shape
from somray.io.storage import Storage
from somray.kernels.objects.grid import BlockMeans, ObjectGrid, object_grid

__all__ = ["ScanVolume", "Target", "labelled", "read_volumes"]


@dataclass(frozen=True, eq=False)
class ScanVolume:
    """One time point of a scan on a grid.

    Args:
        meta: of the scan.
        grid: the coarse grid.
        means: (c + 1, z, y, x) float32, channels and the target's share; NaN where there is no data.
    """

    meta: ScanMeta
    grid: ObjectGrid
    means: NDArray[np.float32]


Target = Callable[[Brick], NDArray[np.float32]]
"""Gives the target's share (z, y, x) in a box of voxels."""


def labelled(place: ScanPlace, t: int, group: str, value: int) -> Target:
    """Return the target as a label group has it."""
    storage = Storage.at(place.root)

    def read(box: Brick) -> NDArray[np.float32]:
        labels = read_label_brick(storage, place.name, group, box)
        return np.asarray(labels == value, dtype=np.float32)

    return read


def read_volumes(
    place: ScanPlace, sizes_mm: Sequence[float], t: int, target: Target | None = None
) -> list[ScanVolume]:
    """Average image channels and, last, the target's mask onto grids, in one pass where slices are not cut.

    Args:
        place: the scan.
        sizes_mm: of each grid's blocks.
        t: time index.
        target: gives the target's share in a box; 0 everywhere without.
    """
    storage = Storage.at(place.root)
    meta = read_meta(storage, place.name)
    grids = [object_grid(meta.geometry, size_mm, meta.anatomical) for size_mm in sizes_mm]
    blocks = [BlockMeans(grid, meta.shape[1] + 1) for grid in grids]
    together = [[n] for n in range(len(grids))] if meta.is_cut else [list(range(len(grids)))]
    for numbers in together:
        for box in _boxes(meta, t, grids[numbers[0]]):
            image = read_brick(storage, place.name, box)
            share = np.zeros(box.shape, dtype=np.float32) if target is None else target(box)
            seen = np.concatenate([image, share[None]])
            for n in numbers:
                blocks[n].add(seen, box.z0, (box.y0, box.x0))
    means = [block.finish() for block in blocks]
    return [ScanVolume(meta, *parts) for parts in zip(grids, means, strict=True)]


def _boxes(meta: ScanMeta, t: int, grid: ObjectGrid) -> list[Brick]:
    """List what is read at once: slabs, or of cut slices about a tile of whole blocks."""
    _, channels, depth, rows, columns = meta.shape
    tile = tile_shape((channels, rows, columns))
    sides = [size if size == n else max(size // f, 1) * f
             for size, n, f in zip(tile, (rows, columns), grid.factors[1:], strict=True)]  # fmt: skip
    return [
        Brick(t, z0, z1, y0, y1, x0, x1)
        for z0, z1 in slabs(depth, meta.slab_depth)
        for y0, y1 in slabs(rows, sides[0])
        for x0, x1 in slabs(columns, sides[1])
    ]
