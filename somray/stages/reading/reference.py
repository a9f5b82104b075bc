"""Single slices of an ingested scan, as a teacher's reference or a student's lesson needs them."""

import numpy as np
from numpy.typing import NDArray

from somray.domain.run import ScanPlace
from somray.errors import DataError
from somray.io.ome.image import read_meta, read_slab, slabs
from somray.io.storage import Storage
from somray.kernels.teacher.interest import slice_interest

__all__ = ["check_slice", "most_worthwhile", "read_slices"]

Windows = tuple[tuple[float, float] | None, ...]


def check_slice(place: ScanPlace, z: int) -> None:
    """Refuse a slice that the scan does not have.

    Raises:
        DataError: so it is.
    """
    depth = read_meta(Storage.at(place.root), place.name).shape[2]
    if not 0 <= z < depth:
        raise DataError(
            "unreadable",
            f"reference slice {z} does not exist in {place.subject} {place.session}, "
            f"which has slices 0 to {depth - 1}; correct teacher.reference",
        )


def read_slices(place: ScanPlace, chosen: tuple[int, ...], t: int = 0) -> NDArray[np.float32]:
    """Read several slices as (n, c, y, x).

    Raises:
        DataError: the scan has no such slice.
    """
    for z in chosen:
        check_slice(place, z)
    storage = Storage.at(place.root)
    return np.stack([read_slab(storage, place.name, t, z, z + 1)[:, 0] for z in chosen])


def most_worthwhile(
    place: ScanPlace,
    modality: str,
    windows: Windows,
    channels: tuple[str, ...],
    level: float | None = None,
) -> int:
    """Return the slice that is worth most as reference; the lowest of equals.

    Args:
        place: the scan.
        modality: of the protocol.
        windows: per channel (low, high), or None to choose it from each slice.
        channels: names in image order.
        level: the scan's own lesion level of uptake, where a channel is PET.
    """
    storage = Storage.at(place.root)
    meta = read_meta(storage, place.name)
    best, best_z = -np.inf, 0
    for z0, z1 in slabs(meta.shape[2], meta.slab_depth):
        block = read_slab(storage, place.name, 0, z0, z1)
        for z in range(z0, z1):
            interest = slice_interest(block[:, z - z0], modality, windows, channels, level)
            if interest > best:
                best, best_z = interest, z
    return best_z
