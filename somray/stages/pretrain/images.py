"""A scan as an encoder sees it: slices at one pixel size, or volumes on a grid; and the way back to its own voxels.

Slices that have more pixels than a student's lesson are seen in parts (`kernels.student.window`). Volumes are block
means over a whole time point, turned as objects are (`kernels.objects.grid`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from somray.domain.brick import Brick
from somray.domain.encoder import EncoderModel
from somray.domain.run import ScanPlace
from somray.io.ome.image import ScanMeta, read_brick, read_meta
from somray.io.storage import Storage
from somray.kernels.objects.grid import ObjectGrid
from somray.kernels.student.spacing import at_shape, shape_at
from somray.kernels.student.views import Window
from somray.kernels.student.window import MOST_PIXELS, lesson_window, window_parts, window_worth
from somray.stages.reading.volume import Target, read_volumes
from somray.stages.student.volumes import volume_windows

__all__ = ["EncoderView", "ScanImage", "drawn", "scan_images", "spread_slices"]


@dataclass(frozen=True)
class EncoderView:
    """How an encoder looks at scans.

    Args:
        dimensions: 2 for slices, 3 for volumes.
        spacing_mm: (y, x) of its slices; of volumes, the grid's block size twice.
        kinds: what each channel measures (`domain.channel`).
        windows: per channel (low, high) in the image's values, of the protocol.
    """

    dimensions: int
    spacing_mm: tuple[float, float]
    kinds: tuple[str, ...]
    windows: tuple[Window, ...]

    @classmethod
    def of(cls, model: EncoderModel) -> "EncoderView":
        """Return how a pretrained encoder looks at scans."""
        dimensions = 3 if model.sees_volumes else 2
        return cls(dimensions, model.spacing_mm, model.kinds, model.windows)

    def windows_of(self, values: NDArray[np.float32]) -> tuple[Window, ...]:
        """Return each channel's window for one scan's volume (c, z, y, x); uptake counts in its own unit."""
        if "PET" not in self.kinds:
            return self.windows
        return volume_windows(values, self.kinds, self.windows)


@dataclass(frozen=True, eq=False)
class ScanImage:
    """A slice, a part of one, or a volume.

    Args:
        values: (c, [z,] y, x) float32, NaN where there is no data.
        extra: ([z,] y, x) float32, share of what was asked for beside the channels; None where nothing was.
        windows: per channel (low, high), of this scan.
        where: the voxels of the scan that it shows.
        grid: of a volume; None for slices.
    """

    values: NDArray[np.float32]
    extra: NDArray[np.float32] | None
    windows: tuple[Window, ...]
    where: Brick
    grid: ObjectGrid | None = None


def spread_slices(depth: int, most: int) -> tuple[int, ...]:
    """Choose at most so many slices of a scan, evenly spaced."""
    count = min(depth, most)
    return tuple(int(z) for z in ((np.arange(count) + 0.5) * depth / count).astype(int))


def scan_images(
    place: ScanPlace,
    view: EncoderView,
    extra: Target | None = None,
    *,
    slices: Sequence[int] | None = None,
    t: int = 0,
    whole: bool = False,
) -> Iterator[ScanImage]:
    """Read a scan as an encoder sees it, one image at a time.

    Args:
        place: the scan.
        view: how it is looked at.
        extra: gives one more plane, such as a mask's share, in a box of voxels.
        slices: the only ones; all where None. A volume has all of them.
        t: time index.
        whole: of large slices every part, without overlap; else the one that shows most of `extra`, then most data.

    Yields:
        Images in order of z; one for a volume.
    """
    if view.dimensions == 3:
        yield _volume(place, view, extra, t)
        return
    meta = read_meta(Storage.at(place.root), place.name)
    _, dy, dx = meta.geometry.spacing_mm
    for z in range(meta.shape[2]) if slices is None else slices:
        for box in _parts(meta, t, z) if whole else [_best_part(place, meta, t, z, extra)]:
            values, share = _read(place, box, extra)
            shape = shape_at(box.shape[1:], (dy, dx), view.spacing_mm)
            yield ScanImage(
                np.ascontiguousarray(at_shape(values, shape)),
                None if share is None else at_shape(share[None], shape)[0],
                view.windows,
                box,
            )


def _volume(place: ScanPlace, view: EncoderView, extra: Target | None, t: int) -> ScanImage:
    seen = read_volumes(place, (view.spacing_mm[0],), t, extra)[0]
    values = np.ascontiguousarray(seen.means[:-1])
    share = None if extra is None else np.ascontiguousarray(seen.means[-1])
    whole = Brick.of_slices(t, 0, seen.meta.shape[2], seen.meta.shape[3:])
    return ScanImage(values, share, view.windows_of(values), whole, seen.grid)


def _read(
    place: ScanPlace, box: Brick, extra: Target | None
) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
    """Read a box of one slice: channels (c, y, x), and what was asked for beside them."""
    values = read_brick(Storage.at(place.root), place.name, box)[:, 0]
    return values, None if extra is None else np.asarray(extra(box)[0], dtype=np.float32)


def _parts(meta: ScanMeta, t: int, z: int) -> list[Brick]:
    """List all parts of a slice."""
    return [
        Brick(t, z, z + 1, y.start, y.stop, x.start, x.stop)
        for y, x in window_parts(meta.shape[3:])
    ]


def _best_part(place: ScanPlace, meta: ScanMeta, t: int, z: int, extra: Target | None) -> Brick:
    """Return the part of a slice that is worth most; all of it where it is small."""
    rows, columns = meta.shape[3:]
    if rows * columns <= MOST_PIXELS:
        return Brick(t, z, z + 1, 0, rows, 0, columns)
    best, chosen = (-1.0, -1), Brick(t, z, z + 1, 0, 1, 0, 1)
    for tile in meta.bricks(t):
        if not tile.z0 <= z < tile.z1:
            continue
        box = Brick(t, z, z + 1, tile.y0, tile.y1, tile.x0, tile.x1)
        values, share = _read(place, box, extra)
        known = np.asarray(np.isfinite(values).all(axis=0))
        mask = np.zeros_like(known) if share is None else np.asarray(share > 0)
        y, x = lesson_window(mask, known)
        worth = window_worth(int((mask & known)[y, x].sum()), int(known[y, x].sum()))
        if worth > best:
            best = worth
            chosen = Brick(
                t, z, z + 1, box.y0 + y.start, box.y0 + y.stop, box.x0 + x.start, box.x0 + x.stop
            )
    return chosen


def drawn(
    place: ScanPlace, image: ScanImage, chance: NDArray[np.float32]
) -> Iterator[tuple[Brick, NDArray[np.float32], NDArray[np.bool_]]]:
    """Bring what was found on an image back to the scan's own voxels, piece by piece, by linear interpolation.

    Args:
        place: the scan.
        image: as `scan_images` gave it.
        chance: ([z,] y, x) float32 on the image's grid, such as probabilities.

    Yields:
        Where; (z, y, x) float32, 0 where there is no data; (z, y, x) where there is data.
    """
    storage = Storage.at(place.root)
    meta = read_meta(storage, place.name)
    for box in [image.where] if image.grid is None else meta.bricks(image.where.t):
        known = np.asarray(np.isfinite(read_brick(storage, place.name, box)).all(axis=0))
        if image.grid is None:
            found = at_shape(chance[None], box.shape[1:])
        else:
            plane = (box.y0, box.y1), (box.x0, box.x1)
            found = image.grid.sampled(chance, box.z0, box.z1, plane)
        yield box, np.where(known, found, np.float32(0)), known
