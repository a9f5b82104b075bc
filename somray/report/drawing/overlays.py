"""The pixels of a registered pair: fixed, moving before and after, on the fixed slice's grid.

"Before" means: as the files lie. Two slices of one scan share a grid, so before is pixel on pixel; two
sessions are put together by scanner coordinates alone. Only the slices that are met are read.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from somray.kernels.grids.blocks import fill_slice
from somray.kernels.grids.index_map import index_map
from somray.kernels.registration import SliceRegistration
from somray.report.data import Row, ScanPixels

__all__ = ["PairImages", "session_pair", "slice_pair"]

CHANNEL = 0  # registration works on the first channel


@dataclass(frozen=True, eq=False)
class PairImages:
    """A pair on the fixed slice's grid, (y, x) in physical values; NaN where moving shows nothing.

    Args:
        fixed: the fixed slice.
        before: the moving image before registration.
        after: the same after; None for a refused pair.
        fixed_z: index of the fixed slice.
    """

    fixed: NDArray[np.float32]
    before: NDArray[np.float32]
    after: NDArray[np.float32] | None
    fixed_z: int

    def differences(self) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
        """Return |fixed − moving| before and after."""
        fixed = self.fixed.astype(np.float64)
        after = None if self.after is None else np.abs(fixed - self.after)
        return np.abs(fixed - self.before), after


def _planar(row: Row, moving: NDArray[np.float32], shape: tuple[int, int]) -> tuple[
    NDArray[np.float32], NDArray[np.float32] | None
]:  # fmt: skip
    """Bring a moving slice to the fixed grid: as it lies, and by the pair's matrix."""

    def placed(matrix: NDArray[np.float64]) -> NDArray[np.float32]:
        return SliceRegistration("ok", None, matrix, str(row["model"]), shape).warp(moving)

    matrix = row["matrix"]
    after = None if matrix is None else placed(np.asarray(matrix, dtype=np.float64).reshape(3, 3))
    return placed(np.eye(3)), after


def slice_pair(scan: ScanPixels, row: Row) -> PairImages:
    """Read two neighbouring slices of one scan."""
    t, z, w = row["t"] or 0, row["fixed_z"], row["moving_z"]
    fixed, moving = scan.image(t, z)[CHANNEL], scan.image(t, w)[CHANNEL]
    before, after = _planar(row, moving, (fixed.shape[0], fixed.shape[1]))
    return PairImages(fixed, before, after, z)


def session_pair(fixed: ScanPixels, moving: ScanPixels, row: Row, z: int) -> PairImages:
    """Read one slice of the earlier session and the later session's volume around it.

    Args:
        fixed: the earlier session.
        moving: the later session.
        row: their row of `registration`.
        z: fixed slice to show; a pair registered in the plane shows the slices it was made of.
    """
    if row["fixed_z"] is not None:  # registered in the plane
        t, z, w = row["t"] or 0, row["fixed_z"], row["moving_z"]
        still, moved = fixed.image(t, z)[CHANNEL], moving.image(t, w)[CHANNEL]
        before, after = _planar(row, moved, (still.shape[0], still.shape[1]))
        return PairImages(still, before, after, z)
    still = fixed.image(0, z)[CHANNEL]
    before_volume = _resampled(fixed, moving, np.eye(4), z)
    matrix = row["matrix"]
    if matrix is None:
        return PairImages(still, before_volume, None, z)
    place = np.asarray(matrix, dtype=np.float64).reshape(4, 4)
    return PairImages(still, before_volume, _resampled(fixed, moving, place, z), z)


def _resampled(
    fixed: ScanPixels, moving: ScanPixels, matrix: NDArray[np.float64], z: int
) -> NDArray[np.float32]:
    """Resample the moving volume onto one fixed slice, reading the moving slices it meets."""
    still, moved = fixed.meta.geometry, moving.meta.geometry

    def read(source: slice) -> NDArray[np.float32]:
        return np.asarray(moving.slab(0, source.start, source.stop)[CHANNEL])

    empty = np.full(still.shape[1:], np.nan, dtype=np.float32)
    index = index_map(moved, still, np.asarray(np.linalg.inv(matrix)))
    return fill_slice(empty, index, z, moved.shape[0], read)
