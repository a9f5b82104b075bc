"""Slices of an ingested scan as a teacher looks at them: with their neighbours where it has three dimensions.

Slices that no task could hold are read in pieces, with what was measured of the whole beside them.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from somray.domain.brick import Brick
from somray.domain.run import ScanPlace
from somray.io.ome.image import read_brick, read_meta, read_slab
from somray.io.ome.metadata import tile_shape
from somray.io.storage import Storage
from somray.kernels.features.piece import Piece, SliceScale
from somray.kernels.features.slab import HALO_Z
from somray.kernels.features.view import ScanSlices
from somray.kernels.teacher.measure import SliceSource

__all__ = ["read_piece", "read_seen", "seen_slices", "slice_source"]


def read_seen(
    place: ScanPlace,
    where: tuple[int, int, int],
    level: float | None,
    dimensions: int = 2,
) -> ScanSlices:
    """Read slices z0 to z1 (excluded) of time point t, `where` = (t, z0, z1), and what is seen beside them.

    Args:
        place: the scan.
        where: (t, z0, z1).
        level: lesion level of uptake of the scan, where a channel is PET.
        dimensions: of the teacher.
    """
    storage = Storage.at(place.root)
    meta = read_meta(storage, place.name)
    t, z0, z1 = where
    first, last = seen_slices(z0, z1, meta.shape[2], dimensions)
    block: NDArray[np.float32] = np.moveaxis(
        read_slab(storage, place.name, t, first, last), 1, 0
    )  # (z, c, y, x)
    dz, dy, dx = meta.geometry.spacing_mm
    return ScanSlices(block, (dy, dx), level, (z0 - first, last - z1), dz)


def seen_slices(z0: int, z1: int, depth: int, dimensions: int) -> tuple[int, int]:
    """Return the first slice that is seen beside slices z0 to z1 of `depth`, and the one after the last."""
    halo = HALO_Z if dimensions == 3 else 0
    return max(z0 - halo, 0), min(z1 + halo, depth)


def read_piece(
    place: ScanPlace,
    brick: Brick,
    level: float | None,
    halo: tuple[int, int],
    scales: Sequence[SliceScale],
) -> ScanSlices:
    """Read a brick of slices that are larger, and what decides about it.

    Args:
        place: the scan.
        brick: what counts.
        level: lesion level of uptake of the scan, where a channel is PET.
        halo: rows and columns that are looked at beside it (`features.piece.halo_of`).
        scales: of the slices that are seen, so that their number tells the teacher's dimensions.
    """
    storage = Storage.at(place.root)
    meta = read_meta(storage, place.name)
    depth, rows, columns = meta.shape[2:]
    dimensions = 2 if len(scales) == brick.shape[0] else 3
    first, last = seen_slices(brick.z0, brick.z1, depth, dimensions)
    wide = brick.grown((0, *halo), (depth, rows, columns))
    wide = Brick(wide.t, first, last, wide.y0, wide.y1, wide.x0, wide.x1)
    block: NDArray[np.float32] = np.moveaxis(read_brick(storage, place.name, wide), 1, 0)
    dz, dy, dx = meta.geometry.spacing_mm
    box = brick.y0, brick.y1, brick.x0, brick.x1
    piece = Piece((wide.y0, wide.x0), (rows, columns), box, tuple(scales))
    context = brick.z0 - first, last - brick.z1
    return ScanSlices(block, (dy, dx), level, context, dz, piece=piece)


def slice_source(place: ScanPlace, t: int, z: int, level: float | None) -> SliceSource:
    """Return a slice of a scan that is read tile by tile."""
    storage = Storage.at(place.root)
    meta = read_meta(storage, place.name)
    _, channels, _, rows, columns = meta.shape
    _, dy, dx = meta.geometry.spacing_mm

    def read(box: tuple[int, int, int, int]) -> NDArray[np.float32]:
        block = read_brick(storage, place.name, Brick(t, z, z + 1, *box))
        return np.asarray(block[:, 0])

    part = tile_shape((channels, rows, columns))
    return SliceSource(read, (rows, columns), (dy, dx), part, level)
