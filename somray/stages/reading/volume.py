"""A scan on coarse grids, such as objects and students of volumes see it on: read slab by slab, averaged once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from somray.domain.run import ScanPlace
from somray.io.ome.image import ScanMeta, read_label_slab, read_meta, read_slab, slabs
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


Target = Callable[[int, int], NDArray[np.float32]]
"""Gives the target's share (z1 - z0, y, x) on slices z0 to z1 (excluded)."""


def labelled(place: ScanPlace, t: int, group: str, value: int) -> Target:
    """Return the target as a label group has it."""
    storage = Storage.at(place.root)

    def read(z0: int, z1: int) -> NDArray[np.float32]:
        labels = read_label_slab(storage, place.name, group, t, z0, z1)
        return np.asarray(labels == value, dtype=np.float32)

    return read


def read_volumes(
    place: ScanPlace, sizes_mm: Sequence[float], t: int, target: Target | None = None
) -> list[ScanVolume]:
    """Average image channels and, last, the target's mask onto grids, all in one pass over the pixels.

    Args:
        place: the scan.
        sizes_mm: of each grid's blocks.
        t: time index.
        target: gives the target of some slices; a share of 0 everywhere without.
    """
    storage = Storage.at(place.root)
    meta = read_meta(storage, place.name)
    grids = [object_grid(meta.geometry, size_mm, meta.anatomical) for size_mm in sizes_mm]
    blocks = [BlockMeans(grid, meta.shape[1] + 1) for grid in grids]
    for z0, z1 in slabs(meta.shape[2], meta.slab_depth):
        image = read_slab(storage, place.name, t, z0, z1)
        share = np.zeros(image.shape[1:], dtype=np.float32) if target is None else target(z0, z1)
        for block in blocks:
            block.add(np.concatenate([image, share[None]]), z0)
    means = [block.finish() for block in blocks]
    return [ScanVolume(meta, *parts) for parts in zip(grids, means, strict=True)]
