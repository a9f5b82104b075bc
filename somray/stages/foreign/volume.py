"""A foreign mask on a scan's grid, slab by slab: the nearest voxel in the patient, 0 outside its field of view.

Where both share a grid the file is read as it lies. Where not, its slices are laid aside once, a byte a voxel where
labels fit, since a slab of the scan may meet any of them in any order.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from somray.domain.geometry import Geometry
from somray.domain.scan import ScanHeader
from somray.errors import DataError
from somray.io.masks.label_masks import MOST_LABEL, grid_of_mask
from somray.io.masks.label_tally import LabelTally
from somray.io.masks.opening import open_mask
from somray.io.spool import ArraySpool, Spooled
from somray.kernels.grids.slabs import nearest_slab, overlaps

__all__ = ["LEAST_INSIDE", "ForeignMask", "MaskPart", "placed_grid"]

Labels = NDArray[np.int32]

LEAST_INSIDE = 0.5
"""A mask of which less than this part lies in the scan is not the scan's."""

_WHOLE = 1e-3  # a label this near to a whole number is one; scaling in headers rounds
_STEP_VOXELS = 1 << 22
_ADVICE = "save the mask with the affine of the scan it was drawn on"


@dataclass(frozen=True)
class MaskPart:
    """One file of a mask.

    Args:
        path: label mask, in any readable format, on any grid.
        values: labels that count; None for all above 0.
        t: the time point that it was drawn on; None where it holds all of the scan's.
    """

    path: str
    values: tuple[int, ...] | None = None
    t: int | None = None


def placed_grid(path: str, header: ScanHeader, grid: Geometry) -> Geometry:
    """Return the grid of a mask in the world of a scan.

    Raises:
        DataError: `mask_mismatch`: it does not say where it lies, or lies elsewhere.
    """
    own = grid_of_mask(header, grid)
    if own is not grid and not header.is_placed:
        size = " × ".join(map(str, own.shape))
        raise DataError(
            "mask_mismatch",
            f"mask {path}: does not say where it lies, and its size {size} is not the scan's; {_ADVICE}",
        )
    if not overlaps(own, grid):
        raise DataError("mask_mismatch", f"mask {path}: lies outside the scan; {_ADVICE}")
    return own


class ForeignMask:
    """All parts of a mask at one time point, on a scan's grid; ask for slabs in ascending order, then close it.

    Args:
        parts: of the mask; where they overlap the first holds the voxel.
        grid: of the scan.
        t: time index.
        times: time points of the scan.

    Raises:
        DataError: codes of `open_mask`; `mask_mismatch`: it lies elsewhere or has other time points.
    """

    def __init__(self, parts: Sequence[MaskPart], grid: Geometry, t: int, times: int) -> None:
        self._grid = grid
        self._parts: list[_Part] = []
        try:
            for part in parts:
                if part.t in (None, t):
                    self._parts.append(_Part(part, grid, t, times))
        except BaseException:
            self.close()
            raise

    @property
    def resampled(self) -> bool:
        """Whether any part lies on another grid than the scan's."""
        return any(not part.is_same for part in self._parts)

    def slab(self, z0: int, z1: int, *, numbered: bool) -> Labels:
        """Return slices z0 to z1 (excluded) as (z, y, x).

        Args:
            z0: first slice.
            z1: slice after the last.
            numbered: give each file's own labels, or the file's number from 1 where there are several; else 1.

        Raises:
            DataError: a file cannot be read on, or holds no whole numbers.
        """
        found = np.zeros((z1 - z0, *self._grid.shape[1:]), dtype=np.int32)
        for number, part in enumerate(self._parts, start=1):
            labels = part.slab(z0, z1)
            here = (labels > 0) & (found == 0)
            found[here] = labels[here] if numbered and len(self._parts) == 1 else number
        return found if numbered else np.minimum(found, 1)

    def drawn_mm3(self, inside: int) -> tuple[float, float]:
        """Return the mask's volume on its own grid and in the scan; `inside` counts voxels of the scan.

        Where parts overlap on other grids than the scan's, what they share counts once for each.
        """
        within = inside * self._grid.voxel_mm3
        if not self.resampled:
            return within, within
        return sum(part.laid * part.own.voxel_mm3 for part in self._parts), within

    def close(self) -> None:
        """Let go of open files; harmless when repeated."""
        for part in self._parts:
            part.close()


class _Part:
    """One file of a mask at one time point."""

    def __init__(self, part: MaskPart, grid: Geometry, t: int, times: int) -> None:
        self._part, self._grid = part, grid
        self._spool: ArraySpool | None = None
        self._kinds = LabelTally()
        self._source = open_mask(part.path, grid)
        try:
            header = self._source.header
            self._t = _time_in(part, header, t, times)
            self.own = placed_grid(part.path, header, grid)
            self.is_same = self.own.is_same_grid(grid)
            self.laid = 0  # voxels, on the mask's own grid
            if not self.is_same:
                self._lay_aside()
        except BaseException:
            self.close()
            raise

    def _lay_aside(self) -> None:
        self._spool, self._aside = ArraySpool(), list[Spooled]()
        depth, rows, columns = self.own.shape
        step = max(1, _STEP_VOXELS // (rows * columns))
        for z0 in range(0, depth, step):
            block = self._chosen(z0, min(depth, z0 + step))
            self.laid += int(np.count_nonzero(block))
            self._aside += [self._spool.put(_narrow(plane)) for plane in block]

    def _laid(self, z0: int, z1: int) -> Labels:
        assert self._spool is not None
        return np.stack([self._spool.get(one).astype(np.int32) for one in self._aside[z0:z1]])

    def slab(self, z0: int, z1: int) -> Labels:
        """Return slices of the scan's grid (z, y, x)."""
        if self.is_same:
            return self._chosen(z0, z1)
        return nearest_slab(self._laid, self.own, self._grid, z0, z1)

    def _chosen(self, z0: int, z1: int) -> Labels:
        """Read the labels that count, on the file's own grid; negative values and NaN are 0."""
        given = np.nan_to_num(self._source.read(self._t, z0, z1), nan=0.0, posinf=0.5, neginf=0.0)
        labels = np.rint(given)
        where = f"mask {self._part.path}"
        if (np.abs(given - labels) > _WHOLE).any():
            raise DataError(
                "unreadable",
                f"{where}: holds values that are no whole numbers; a label mask is expected, not an image or "
                "a probability map",
            )
        if labels.max() > MOST_LABEL:
            raise DataError("unreadable", f"{where}: holds labels above {MOST_LABEL}; renumber it")
        if len(labels):
            self._kinds.add(labels[len(labels) // 2])
        if fault := self._kinds.fault():
            raise DataError("unreadable", f"{where}: {fault}; name the mask, not the image")
        whole = np.maximum(labels, 0).astype(np.int32)
        if self._part.values is not None:
            whole[~np.isin(whole, self._part.values)] = 0
        return whole

    def close(self) -> None:
        self._source.close()
        if self._spool is not None:
            self._spool.close()


def _time_in(part: MaskPart, header: ScanHeader, t: int, times: int) -> int:
    """Return the time index of the scan's time t within a file."""
    wanted = times if part.t is None else 1
    if header.shape[0] != wanted:
        what = f"holds {header.shape[0]} volumes, the scan {times}"
        advice = "write all labels in one volume, and a mask of a scan in time as one of as many"
        raise DataError("mask_mismatch", f"mask {part.path}: {what}; {advice}")
    return t if part.t is None else 0


def _narrow(plane: Labels) -> NDArray[np.integer]:
    return plane.astype(np.uint8) if plane.max() <= 255 else plane
