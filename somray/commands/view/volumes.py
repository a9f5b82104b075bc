"""A scan's image and masks as voxels for the writers, on the run's own grid, read piece by piece."""

import re

import numpy as np
from numpy.typing import NDArray

from somray.commands.view.subject import ShownScan, ShownSubject
from somray.domain.brick import Brick
from somray.io.ome.image import read_channel_box
from somray.io.writers.voxels import LabelMap, Voxels

__all__ = ["at_time", "bytes_of", "file_name", "image_of"]

_IMAGE_BYTES = 4
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


def image_of(scan: ShownScan, index: int, t: int | None = None) -> Voxels:
    """Return one channel of a session as float32, of one time point or of all.

    Programs built on ITK read NaN as 0, which is water on CT and may be anything elsewhere: what has no data is given
    the lowest value that is shown.
    """
    storage, name, lowest = scan.stored.storage, scan.stored.name, scan.channels[index].low

    def read(box: Brick) -> NDArray[np.float32]:
        block = read_channel_box(storage, name, _at(box, t), index)
        return np.where(np.isfinite(block), block, np.float32(lowest))

    return Voxels(scan.meta.geometry, scan.meta.shape[0] if t is None else 1, "float32", read)


def at_time(mask: LabelMap, t: int) -> LabelMap:
    """Return one time point of a mask."""
    old = mask.voxels
    one = Voxels(old.geometry, 1, old.dtype, lambda box: old.read(_at(box, t)))
    return LabelMap(one, mask.segments)


def _at(box: Brick, t: int | None) -> Brick:
    if t is None:
        return box
    return Brick(t, box.z0, box.z1, box.y0, box.y1, box.x0, box.x1)


def file_name(scan: ShownScan, what: str, ending: str) -> str:
    """Name the file of a channel or mask."""
    return scan.stored.file(_UNSAFE.sub("-", what), ending)


def bytes_of(subject: ShownSubject) -> int:
    """Return what the copies take at most: they are written before compression."""
    total = 0
    for scan in subject.scans:
        voxels = int(np.prod(scan.meta.shape[2:])) * scan.meta.shape[0]
        highest = [max((s.value for s in one.segments), default=0) for one in scan.labels]
        masks = sum(1 if n < 1 << 8 else 2 if n < 1 << 16 else 4 for n in highest)
        total += voxels * (_IMAGE_BYTES * scan.meta.shape[1] + masks)
    return total
