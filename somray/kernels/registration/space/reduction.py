"""Volumes of any size brought to what registration works on, slice by slice while they are read."""

import numpy as np
from numpy.typing import NDArray

from somray.domain.geometry import Geometry
from somray.errors import ShapeError

__all__ = ["MOST_VOXELS", "VolumeReducer", "reduction_for"]

MOST_VOXELS = 4_000_000
"""Voxels of a reduced volume at most: a pair with its work arrays then stays under 256 MB."""

_LEAST_VALID = 0.5  # share of a block that must hold data


def reduction_for(geometry: Geometry) -> tuple[int, int, int]:
    """Choose how many voxels along (z, y, x) are averaged while a volume is read.

    The finest axis is made coarser first, so that what is left is about as fine along every axis.
    Registration works on 500,000 voxels anyway, and memory stays bounded whatever the volume's size.

    Args:
        geometry: grid of the whole volume.

    Returns:
        Whole numbers from 1: the smallest that bring the volume to 4 million voxels.
    """
    steps = [1, 1, 1]
    while (
        float(np.prod([n // s for n, s in zip(geometry.shape, steps, strict=True)])) > MOST_VOXELS
    ):
        spacing = [
            mm * s if n // (s + 1) >= 1 else np.inf
            for n, mm, s in zip(geometry.shape, geometry.spacing_mm, steps, strict=True)
        ]
        steps[int(np.argmin(spacing))] += 1
    return steps[0], steps[1], steps[2]


class VolumeReducer:
    """Averages blocks of voxels while slices come in, in their order.

    Args:
        geometry: grid of the whole volume.

    Memory: the reduced volume and one slice.
    """

    def __init__(self, geometry: Geometry) -> None:
        self._geometry = geometry
        self._steps = reduction_for(geometry)
        shape = [n // s for n, s in zip(geometry.shape, self._steps, strict=True)]
        self._volume = np.full(shape, np.nan, dtype=np.float32)
        self._sums = np.zeros(shape[1:])
        self._counts = np.zeros(shape[1:])
        self._next = 0

    def add(self, plane: NDArray[np.floating]) -> None:
        """Take the next slice (y, x); NaN means no data.

        Raises:
            ShapeError: if it does not fit the grid, or all slices were given.
        """
        if plane.shape != self._geometry.shape[1:] or self._next >= self._geometry.shape[0]:
            raise ShapeError(f"slice {self._next} {plane.shape} is none of {self._geometry.shape}")
        depth, tall, wide = self._steps
        rows, columns = self._sums.shape
        cut = plane[: rows * tall, : columns * wide].reshape(rows, tall, columns, wide)
        valid = np.isfinite(cut)
        self._sums += np.where(valid, cut, 0.0).sum(axis=(1, 3), dtype=np.float64)
        self._counts += valid.sum(axis=(1, 3))
        self._next += 1
        if self._next % depth == 0:
            z = self._next // depth - 1
            enough = self._counts >= _LEAST_VALID * depth * tall * wide
            self._volume[z][enough] = self._sums[enough] / self._counts[enough]
            self._sums[:] = 0.0
            self._counts[:] = 0.0

    def finish(self) -> tuple[NDArray[np.float32], Geometry]:
        """Return the reduced volume (z, y, x), NaN where blocks hold too little, and its grid.

        Raises:
            ShapeError: if slices are missing.
        """
        if self._next != self._geometry.shape[0]:
            raise ShapeError(f"{self._next} slices of {self._geometry.shape[0]} were given")
        steps = np.array(self._steps[::-1], dtype=np.float64)
        shrink = np.diag([*steps, 1.0])
        shrink[:3, 3] = (steps - 1) / 2.0  # the centre of an averaged block
        depth, rows, columns = self._volume.shape
        matrix = self._geometry.matrix @ shrink
        return self._volume, Geometry.from_matrix((depth, rows, columns), matrix)
