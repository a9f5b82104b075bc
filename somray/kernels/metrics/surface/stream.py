"""Surfaces of masks that arrive in slabs along z: voxels on the rim, and the cells that the surface runs through.

A rim voxel has a face neighbour outside; a cell is 2 × 2 × 2 neighbouring voxels of which some are inside and some
outside, told by a code of its eight corners (`cells`). What lies beyond the volume is outside. A slab is
looked at with the plane before it and without its last one, which comes again in front of the next slab.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from somray.kernels.metrics.surface.cells import codes_of, is_surface

__all__ = ["SlabWindows", "rim_voxels", "surface_cells"]

Points = NDArray[np.int32]


class SlabWindows:
    """Gives slabs the planes that their surfaces need.

    A window is the number of its first plane (−1 for what lies before the volume) and (…, z, y, x): surfaces are those
    of all planes but the first and last, cells those between neighbours but for the last pair.
    """

    def __init__(self) -> None:
        self._held: NDArray[Any] | None = None
        self._z = -1

    def add(self, slab: NDArray[Any]) -> list[tuple[int, NDArray[Any]]]:  # Any: any number type
        """Take the next slab (…, z, y, x); returns the window that is complete by now, if any."""
        before = np.zeros_like(slab[..., :1, :, :]) if self._held is None else self._held
        window = np.concatenate([before, slab], axis=-3)
        self._held, z = window[..., -2:, :, :].copy(), self._z
        self._z += window.shape[-3] - 2
        return [(z, window)] if window.shape[-3] > 2 else []

    def finish(self) -> list[tuple[int, NDArray[Any]]]:  # Any: any number type
        """Return the last window; none where there was no slab."""
        if self._held is None:
            return []
        after = np.zeros_like(self._held)
        return [(self._z, np.concatenate([self._held, after], axis=-3))]


def rim_voxels(window: NDArray[np.bool_], z: int) -> Points:
    """Return the rim voxels of a window whose first plane is z: (n, 3) indices z, y, x."""
    box = _box(window)
    if box is None:
        return np.zeros((0, 3), dtype=np.int32)
    rows, columns = box
    inside = np.pad(window[:, rows, columns], ((0, 0), (1, 1), (1, 1)))
    kept = inside[:-2, 1:-1, 1:-1] & inside[2:, 1:-1, 1:-1]
    for part in (
        inside[1:-1, :-2, 1:-1], inside[1:-1, 2:, 1:-1],
        inside[1:-1, 1:-1, :-2], inside[1:-1, 1:-1, 2:],
    ):  # fmt: skip
        kept &= part
    rim = np.argwhere(inside[1:-1, 1:-1, 1:-1] & ~kept).astype(np.int32)
    return np.asarray(rim + np.array([z + 1, rows.start, columns.start], dtype=np.int32))


def surface_cells(window: NDArray[np.bool_], z: int) -> tuple[Points, NDArray[np.uint8]]:
    """Return the cells that a surface runs through, and which of their corners lie inside.

    Returns:
        (n, 3) indices z, y, x of cells, of which cell 0 lies between what is before the volume and its first voxel;
        (n,) uint8 codes.
    """
    box = _box(window[:-1])
    if box is None:
        return np.zeros((0, 3), dtype=np.int32), np.zeros(0, dtype=np.uint8)
    rows, columns = box
    codes = codes_of(np.pad(window[:-1, rows, columns], ((0, 0), (1, 1), (1, 1))))
    there = is_surface(codes)
    at = np.argwhere(there).astype(np.int32)
    return at + np.array([z + 1, rows.start, columns.start], dtype=np.int32), codes[there]


def _box(window: NDArray[np.bool_]) -> tuple[slice, slice] | None:
    """Return the rows and columns that hold anything."""
    rows = np.flatnonzero(np.any(window, axis=(0, 2)))
    columns = np.flatnonzero(np.any(window, axis=(0, 1)))
    if not len(rows):
        return None
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
