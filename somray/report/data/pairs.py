"""The pixels of a registered pair: fixed, moving before and after, on the fixed slice's grid.

"Before" means: as the files lie. Two slices of one scan share a grid, so before is pixel on pixel; two
sessions are put together by scanner coordinates alone. Only the slices that are met are read.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from somray.config import RegistrationConfig
from somray.kernels.grids.blocks import fill_slice
from somray.kernels.grids.index_map import index_map
from somray.kernels.registration import SliceRegistration, register
from somray.report.data.run import Row
from somray.report.data.scan import ScanPixels
from somray.stages.reading.sessions import tells_sides

__all__ = ["PairImages", "PairMatches", "pair_matches", "planar_pair", "session_pair"]

CHANNEL = 0  # registration works on the first channel
SHOWN_MODEL = "similarity"  # of the matches, where `auto` needed no keypoints


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


def planar_pair(fixed: ScanPixels, moving: ScanPixels, row: Row) -> PairImages:
    """Read the two slices of a pair registered in the plane: of one scan, or of two sessions."""
    t, z = row["t"] or 0, row["fixed_z"]
    still, moved = fixed.image(t, z)[CHANNEL], moving.image(t, row["moving_z"])[CHANNEL]
    shape = (still.shape[0], still.shape[1])

    def placed(matrix: NDArray[np.float64]) -> NDArray[np.float32]:
        read = fixed.planar_matrix(matrix, moving)
        return SliceRegistration("ok", None, read, str(row["model"]), shape).warp(moved)

    matrix = row["matrix"]
    after = None if matrix is None else placed(np.asarray(matrix, dtype=np.float64).reshape(3, 3))
    return PairImages(still, placed(np.eye(3)), after, z)


def session_pair(fixed: ScanPixels, moving: ScanPixels, row: Row, z: int) -> PairImages:
    """Read one slice of the earlier session and the later session's volume around it.

    Args:
        fixed: the earlier session.
        moving: the later session.
        row: their row of `registration`.
        z: fixed slice to show; a pair registered in the plane shows the slices it was made of.
    """
    if row["fixed_z"] is not None:
        return planar_pair(fixed, moving, row)
    matrix, after = row["matrix"], None
    if matrix is not None:
        place = np.asarray(matrix, dtype=np.float64).reshape(4, 4)
        after = _resampled(fixed, moving, place, z)
    before = _resampled(fixed, moving, np.eye(4), z)
    return PairImages(fixed.image(0, z)[CHANNEL], before, after, z)


@dataclass(frozen=True, eq=False)
class PairMatches:
    """Keypoint matches of a pair in the plane, found again since no table keeps them.

    Args:
        fixed: the fixed slice (y, x).
        moving: the moving slice.
        found: holds the points that agree, (n, 2) x y.
        robust: who told them from the rest.
        how: by what they were found, in words.
        note: what must be said of them; "" for nothing.
    """

    fixed: NDArray[np.float32]
    moving: NDArray[np.float32]
    found: SliceRegistration
    robust: str
    how: str
    note: str = ""


def pair_matches(
    fixed: ScanPixels, moving: ScanPixels, row: Row, settings: RegistrationConfig
) -> PairMatches:
    """Find the keypoint matches of a pair in the plane again, as the run was configured to.

    Where `auto` decided by intensities alone, matches of a similarity stand for comparison.
    """
    t = row["t"] or 0
    still, moved = (
        fixed.image(t, row["fixed_z"])[CHANNEL],
        moving.image(t, row["moving_z"])[CHANNEL],
    )
    sides = tells_sides(fixed.meta) and tells_sides(moving.meta)
    robust, note = settings.robust.upper(), ""
    model: str = settings.model
    found = register(still, moved, settings.detector, model, settings.robust, sides)
    if not len(found.fixed_points) and model == "auto" and row["status"] != "refused":
        model, note = SHOWN_MODEL, " For comparison only: intensities alone decided this pair."
        found = register(still, moved, settings.detector, model, settings.robust, sides)
        if found.status == "refused":
            note += f" Keypoints alone would have been refused: {found.reason}."
    how = f"{settings.detector.upper()} + {robust}, {model}"
    if fixed.reduction * moving.reduction > 1:
        note += f" Found again on smaller pictures of the slices{fixed.reduced}, so they may differ from the run's."
    return PairMatches(still, moved, found, robust, how, note)


def _resampled(
    fixed: ScanPixels, moving: ScanPixels, matrix: NDArray[np.float64], z: int
) -> NDArray[np.float32]:
    """Resample the moving volume onto one fixed slice, reading the moving slices it meets."""
    still, moved = fixed.geometry, moving.geometry

    def read(source: slice) -> NDArray[np.float32]:
        return np.asarray(moving.slab(0, source.start, source.stop)[CHANNEL])

    empty = np.full(still.shape[1:], np.nan, dtype=np.float32)
    index = index_map(moved, still, np.asarray(np.linalg.inv(matrix)))
    return fill_slice(empty, index, z, moved.shape[0], read)
