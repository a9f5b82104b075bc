"""Slices of an ingested scan as a teacher looks at them: with their neighbours where it has three dimensions."""

import numpy as np
from numpy.typing import NDArray

from somray.domain.run import ScanPlace
from somray.io.ome_zarr import read_meta, read_slab
from somray.io.storage import Storage
from somray.kernels.feature_view import ScanSlices
from somray.kernels.features.slab import HALO_Z

__all__ = ["read_beside", "read_seen", "slices_beside"]


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
    halo = HALO_Z if dimensions == 3 else 0
    first, last = max(z0 - halo, 0), min(z1 + halo, meta.shape[2])
    block: NDArray[np.float32] = np.moveaxis(
        read_slab(storage, place.name, t, first, last), 1, 0
    )  # (z, c, y, x)
    dz, dy, dx = meta.geometry.spacing_mm
    return ScanSlices(block, (dy, dx), level, (z0 - first, last - z1), dz)


def slices_beside(z: int, reach: int, depth: int) -> list[int]:
    """List the slices on either side of z, from the lowest; the outermost again beyond the scan's ends."""
    steps = [step for step in range(-reach, reach + 1) if step]
    return [min(max(z + step, 0), depth - 1) for step in steps]


def read_beside(
    place: ScanPlace, where: tuple[int, int, int], reach: int
) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
    """Read slices z0 to z1 (excluded) of time point t, `where` = (t, z0, z1), and what lies beside each.

    Args:
        place: the scan.
        where: (t, z0, z1).
        reach: slices on either side of each.

    Returns:
        (n, c, y, x) slices, and (n, 2 reach, c, y, x) neighbours as of `slices_beside`; None where
        the reach is 0.
    """
    storage = Storage.at(place.root)
    t, z0, z1 = where
    depth = read_meta(storage, place.name).shape[2]
    first, last = max(z0 - reach, 0), min(z1 + reach, depth)
    block: NDArray[np.float32] = np.moveaxis(
        read_slab(storage, place.name, t, first, last), 1, 0
    )  # (z, c, y, x)
    beside = [slices_beside(z, reach, depth) for z in range(z0, z1)]
    around = block[np.array(beside) - first] if reach else None
    return block[z0 - first : z1 - first], around
