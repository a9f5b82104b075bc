"""Single slices of an ingested scan, as a teacher's reference or a student's lesson needs them."""

import numpy as np
from numpy.typing import NDArray

from somray.domain.run import ScanPlace
from somray.errors import DataError
from somray.io.ome_zarr import read_meta, read_slab, slabs
from somray.io.storage import Storage
from somray.kernels.reference import slice_interest

__all__ = ["most_worthwhile", "read_slice", "read_slices"]

Windows = tuple[tuple[float, float] | None, ...]


def read_slice(place: ScanPlace, t: int, z: int) -> tuple[NDArray[np.float32], tuple[float, float]]:
    """Read one slice (c, y, x), with its spacing (y, x) in mm.

    Raises:
        DataError: the scan has no such slice.
    """
    storage = Storage.at(place.root)
    meta = read_meta(storage, place.name)
    if not 0 <= z < meta.shape[2]:
        raise DataError(
            "unreadable",
            f"reference slice {z} does not exist in {place.subject} {place.session}, "
            f"which has slices 0 to {meta.shape[2] - 1}; correct teacher.reference",
        )
    block = read_slab(storage, place.name, t, z, z + 1)[:, 0]
    return block, meta.geometry.spacing_mm[1:]


def read_slices(place: ScanPlace, chosen: tuple[int, ...], t: int = 0) -> NDArray[np.float32]:
    """Read several slices as (n, c, y, x).

    Raises:
        DataError: the scan has no such slice.
    """
    return np.stack([read_slice(place, t, z)[0] for z in chosen])


def most_worthwhile(
    place: ScanPlace, modality: str, windows: Windows, channels: tuple[str, ...]
) -> int:
    """Return the slice that is worth most as reference; the lowest of equals."""
    storage = Storage.at(place.root)
    meta = read_meta(storage, place.name)
    best, best_z = -np.inf, 0
    for z0, z1 in slabs(meta.shape[2], meta.slab_depth):
        block = read_slab(storage, place.name, 0, z0, z1)
        for z in range(z0, z1):
            interest = slice_interest(block[:, z - z0], modality, windows, channels)
            if interest > best:
                best, best_z = interest, z
    return best_z
