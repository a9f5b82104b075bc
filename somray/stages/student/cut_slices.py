"""Lessons from slices that no task could hold: labelled tile by tile, by what the whole slice tells of it."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from somray.domain.brick import Brick
from somray.domain.run import ScanPlace
from somray.domain.teacher import NO_DATA, TeacherModel
from somray.io.ome.image import read_meta
from somray.io.storage import Storage
from somray.kernels.student.window import Window, lesson_window, window_worth
from somray.kernels.teacher.apply import Transfer
from somray.stages.reading.slices import read_piece, seen_slices
from somray.stages.segment.scales import ScaleItem, Scales, run_scales, scales_for

__all__ = ["TaughtPart", "taught_part"]


class TaughtPart(NamedTuple):
    """A part of a slice with the teacher's word on it.

    Args:
        image: (c, y, x).
        mask: (y, x) of the target.
        valid: (y, x) of the pixels that count.
        window: which part of the slice it is.
    """

    image: NDArray[np.float32]
    mask: NDArray[np.bool_]
    valid: NDArray[np.bool_]
    window: Window


def taught_part(
    scan: tuple[ScanPlace, float | None],
    z: int,
    teacher: TeacherModel,
    target: str,
    window: Window | None = None,
) -> TaughtPart:
    """Label a part of a slice at t 0.

    Args:
        scan: where it lies, and its own level of uptake.
        z: the slice.
        teacher: the protocol's.
        target: class that is learned.
        window: which part; the one worth most of all tiles where None.
    """
    place, level = scan
    meta = read_meta(Storage.at(place.root), place.name)
    first, last = seen_slices(z, z + 1, meta.shape[2], teacher.dimensions)
    told = run_scales(ScaleItem(place, 0, first, last, level), teacher).value["scales"]
    scales: Scales = {(0, first + n): scale for n, scale in enumerate(told)}
    if window is not None:
        return _labelled(scan, _at(z, window), teacher, target, scales)
    best: TaughtPart | None = None
    for tile in meta.bricks(0):
        if tile.z0 <= z < tile.z1:
            box = Brick(0, z, z + 1, tile.y0, tile.y1, tile.x0, tile.x1)
            part = _cropped(_labelled(scan, box, teacher, target, scales))
            if best is None or _worth(part) > _worth(best):
                best = part
    assert best is not None  # every slice has a tile
    return best


def _at(z: int, window: Window) -> Brick:
    rows, columns = window
    return Brick(0, z, z + 1, rows.start, rows.stop, columns.start, columns.stop)


def _labelled(
    scan: tuple[ScanPlace, float | None],
    box: Brick,
    teacher: TeacherModel,
    target: str,
    scales: Scales,
) -> TaughtPart:
    place, level = scan
    meta, transfer = read_meta(Storage.at(place.root), place.name), Transfer(teacher)
    told = scales_for(scales, 0, (box.z0, box.z1), meta.shape[2], teacher.dimensions)
    halo = transfer.halo(meta.geometry.spacing_mm[1:])
    seen = read_piece(place, box, level, halo, told)
    labels = transfer.label(seen, with_confidence=False).labels[0]
    outer = box.grown((0, *halo), meta.shape[2:])
    image = seen.images[seen.inner[0]][(slice(None), *box.within(outer)[1:])]
    window = slice(box.y0, box.y1), slice(box.x0, box.x1)
    return TaughtPart(image, labels == teacher.value_of(target), labels != NO_DATA, window)


def _cropped(part: TaughtPart) -> TaughtPart:
    """Keep the window of a tile that is worth most."""
    rows, columns = lesson_window(part.mask, part.valid)
    y, x = part.window
    window = (
        slice(y.start + rows.start, y.start + rows.stop),
        slice(x.start + columns.start, x.start + columns.stop),
    )
    here = rows, columns
    image = np.ascontiguousarray(part.image[(slice(None), *here)])
    return TaughtPart(image, part.mask[here].copy(), part.valid[here].copy(), window)


def _worth(part: TaughtPart) -> tuple[float, int]:
    return window_worth(int((part.mask & part.valid).sum()), int(part.valid.sum()))
