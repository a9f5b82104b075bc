"""Whole slices of one channel or one label, read a run at a time and held no longer than they are asked for.

Slices that no task can hold (`ScanMeta.is_cut`) are looked at on the first level of their pyramid that fits; what
is measured there is told in pixels and millimetres of the scan itself.
"""

import numpy as np
from numpy.typing import NDArray

from somray.domain.geometry import Geometry
from somray.io.ome.arrays import store_errors
from somray.io.ome.chunks import StoredLevel
from somray.io.ome.metadata import is_cut, level_shapes
from somray.io.storage import Storage

__all__ = [
    "MOST_PIXELS",
    "PlaneReader",
    "level_geometry",
    "needed_bytes",
    "plane_level",
    "plane_pixels",
]

MOST_PIXELS = 4096 * 4096
"""Pixels of the largest slice that is looked at whole, where a scan's slices are cut."""

_RUN_BYTES = (
    16 * 1024 * 1024
)  # read at once: a call to storage costs as much as decoding a megabyte
_MOST_RUN = 32  # slices

Shape5 = tuple[int, int, int, int, int]


def plane_level(shape: Shape5, most: int) -> int:
    """Return the pyramid level that whole slices of a scan are looked at on.

    Args:
        shape: (t, c, z, y, x) of the scan.
        most: pixels of one channel that may be held, where slices are cut.

    Returns:
        0 for a scan whose slices are not cut; else the first level of at most so many pixels.
    """
    if not is_cut((shape[1], shape[3], shape[4])):
        return 0
    shapes = level_shapes(shape[3], shape[4])
    fitting = [level for level, (rows, columns) in enumerate(shapes) if rows * columns <= most]
    return fitting[0] if fitting else len(shapes) - 1


def plane_pixels(shape: Shape5, most: int) -> int:
    """Return the pixels of a scan's slices on the level they are looked at on; see `plane_level`."""
    rows, columns = level_shapes(shape[3], shape[4])[plane_level(shape, most)]
    return rows * columns


def level_geometry(geometry: Geometry, level: int) -> Geometry:
    """Return the grid of a pyramid level: centres of its pixels lie in the middle of those they stand for."""
    if level == 0:
        return geometry
    factor = float(2**level)
    shrink = np.diag([factor, factor, 1.0, 1.0])
    shrink[:2, 3] = (factor - 1.0) / 2.0
    rows, columns = level_shapes(*geometry.shape[1:])[level]
    return Geometry.from_matrix((geometry.shape[0], rows, columns), geometry.matrix @ shrink)


def needed_bytes(plane_bytes: int) -> int:
    """Return what a reader of float32 slices needs while it reads a run, which storage holds three times over."""
    return 3 * max(plane_bytes, min(_MOST_RUN * plane_bytes, _RUN_BYTES))


class PlaneReader:
    """Slices of one time point in order of z, of the first channel or of a label.

    Args:
        storage: of the run.
        name: the scan's group.
        t: time index.
        level: of the pyramid.
        label: label group; None for the image.
        stop: slice after the last that will be asked for; None for all.

    Raises:
        StoreError: the array is missing.
    """

    def __init__(
        self, storage: Storage, name: str, t: int = 0, level: int = 0,
        label: str | None = None, stop: int | None = None,
    ) -> None:  # fmt: skip
        path = str(level) if label is None else f"labels/{label}/{level}"
        self._place = storage.uri(f"{name}/{path}")
        self._array = StoredLevel(storage, name, path)
        self._lead = (t, 0) if label is None else (t,)
        depth, rows, columns = (int(n) for n in self._array.shape[-3:])
        self.shape = depth, rows, columns
        self._stop = depth if stop is None else min(stop, depth)
        fitting = _RUN_BYTES // (rows * columns * self._array.dtype.itemsize)
        self._run = max(1, min(_MOST_RUN, fitting))
        self._held: dict[int, NDArray[np.generic]] = {}

    def plane(self, z: int) -> NDArray[np.generic]:
        """Return slice z as (y, x), float32 or the label's type; slices before it are let go.

        Raises:
            StoreError: it cannot be read.
        """
        return self.some(range(z, z + 1))[0]

    def some(self, wanted: range) -> list[NDArray[np.generic]]:
        """Return neighbouring slices, each (y, x); those before them are let go."""
        kept = range(wanted.start, wanted.stop + self._run)
        self._held = {z: plane for z, plane in self._held.items() if z in kept}
        for z in wanted:
            if z not in self._held:
                self._read(z, max(wanted.stop, min(z + self._run, self._stop)))
        return [self._held[z] for z in wanted]

    def _read(self, z: int, stop: int) -> None:
        with store_errors(self._place):
            block = np.asarray(self._array[(*self._lead, slice(z, stop))])
        self._held |= dict(enumerate(block, start=z))
