"""Single slices of an ingested scan, as a teacher's reference or a student's lesson needs them.

Where slices are cut into tiles they are looked at on the finest level of the pyramid that has no more pixels than
a tile, or through some tiles alone.
"""

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from somray.domain.run import ScanPlace
from somray.errors import DataError
from somray.io.ome.chunks import StoredLevel
from somray.io.ome.image import read_brick, read_meta, read_slab, slabs
from somray.io.ome.metadata import level_shapes, tile_shape
from somray.io.storage import Storage
from somray.kernels.teacher.interest import slice_interest, slice_lack

__all__ = ["check_slice", "most_worthwhile", "read_coarse", "read_slices", "sample_tiles"]

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


def read_slices(place: ScanPlace, chosen: tuple[int, ...]) -> NDArray[np.float32]:
    """Read several slices of the first time point as (n, c, y, x).

    Raises:
        DataError: the scan has no such slice.
    """
    for z in chosen:
        check_slice(place, z)
    storage = Storage.at(place.root)
    _, channels, _, rows, columns = read_meta(storage, place.name).shape
    found = np.empty((len(chosen), channels, rows, columns), np.float32)
    for slot, z in zip(found, chosen, strict=True):  # not stacked: many large slices are held once
        slot[...] = read_slab(storage, place.name, 0, z, z + 1)[:, 0]
    return found


def most_worthwhile(
    place: ScanPlace,
    modality: str,
    windows: Windows,
    channels: tuple[str, ...],
    level: float | None = None,
) -> tuple[int, str]:
    """Return the slice that is worth most as reference; the lowest of equals among those that can teach.

    Also why it can teach nothing, where none can; "" where it can.

    Args:
        place: the scan.
        modality: of the protocol.
        windows: per channel (low, high), or None to choose it from each slice.
        channels: names in image order.
        level: the scan's own lesion level of uptake, where a channel is PET.
    """
    meta = read_meta(Storage.at(place.root), place.name)
    best, best_z, lack = -np.inf, 0, ""
    able, able_z = -np.inf, -1
    for z0, z1 in slabs(meta.shape[2], meta.slab_depth):
        if meta.is_cut:
            images = read_coarse(place, tuple(range(z0, z1)))
        else:
            images = np.moveaxis(read_slab(Storage.at(place.root), place.name, 0, z0, z1), 1, 0)
        for z, image in zip(range(z0, z1), images, strict=True):
            interest = slice_interest(image, modality, windows, channels, level)
            why = slice_lack(image, modality, channels) if interest > able else ""
            if interest > able and not why:
                able, able_z = interest, z
            if interest > best:
                best, best_z, lack = interest, z, why
    return (best_z, lack) if able_z < 0 else (able_z, "")


def read_coarse(place: ScanPlace, chosen: tuple[int, ...]) -> NDArray[np.float32]:
    """Read slices of the first time point as (n, c, y, x), from the finest level with no more pixels than a tile.

    Raises:
        DataError: the scan has no such slice.
    """
    for z in chosen:
        check_slice(place, z)
    storage = Storage.at(place.root)
    meta = read_meta(storage, place.name)
    _, channels, _, rows, columns = meta.shape
    most = math.prod(tile_shape((channels, rows, columns)))
    shapes = level_shapes(rows, columns)
    fine = [n for n, shape in enumerate(shapes) if math.prod(shape) <= most]
    level = StoredLevel(storage, place.name, str(fine[0] if fine else len(shapes) - 1))
    return np.stack([np.asarray(level[0, :, z], dtype=np.float32) for z in chosen])


def sample_tiles(place: ScanPlace, most: int, every: int) -> NDArray[np.float32]:
    """Read pixels as (c, n) from tiles spread over a scan.

    They are the scan's own, not the pyramid's: what is averaged has another range.

    Args:
        place: the scan.
        most: tiles at most; of each the first slice is read.
        every: rows of a tile of which one is taken.
    """
    storage = Storage.at(place.root)
    bricks = read_meta(storage, place.name).bricks(0)
    spread = np.unique(np.linspace(0, len(bricks) - 1, most).round().astype(int))
    found = []
    for number in spread:
        brick = replace(bricks[number], z1=bricks[number].z0 + 1)
        block = read_brick(storage, place.name, brick)[:, 0, ::every]
        found.append(block.reshape(len(block), -1))
    return np.concatenate(found, axis=1)
