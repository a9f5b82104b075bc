"""Slices of an ingested scan as a teacher looks at them: with their neighbours where it has three dimensions."""

import numpy as np
from numpy.typing import NDArray

from somray.domain.run import ScanPlace
from somray.io.ome.image import read_meta, read_slab
from somray.io.storage import Storage
from somray.kernels.features.slab import HALO_Z
from somray.kernels.features.view import ScanSlices

__all__ = ["read_seen"]


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
