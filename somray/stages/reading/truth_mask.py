"""A truth mask as a file gives it, slab by slab on a scan's grid: nearest neighbour, 0 outside its field of view.

Where both share a grid the file is read in order of z, as often as asked. Where not, its slices are laid aside once,
a byte a voxel where labels fit, since a slab of the scan may meet any of them in any order.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from somray.domain.geometry import Geometry
from somray.errors import DataError
from somray.io.masks.label_masks import MOST_LABEL, grid_note, grid_of_mask
from somray.io.masks.label_tally import LabelTally
from somray.io.masks.opening import open_mask
from somray.io.ome.metadata import slabs
from somray.io.spool import ArraySpool, Spooled
from somray.kernels.grids.index_map import index_map, linear_part

__all__ = ["VOXELS_AT_ONCE", "TruthOnGrid"]

Labels = NDArray[np.int32]

_BAND_VOXELS = 1 << 20

NOISE = 0.2
"""A value this near to a whole number is that label; masks go through float and lossy scaling."""
SLICES_AT_ONCE = 32
VOXELS_AT_ONCE = 4 * 1024 * 1024
"""Voxels of a slab; a single slice may be more."""


class TruthOnGrid:
    """A truth mask and what was laid aside of it; to be closed.

    Args:
        path: label mask, in any readable format, on any grid.
        geometry: grid it is brought to.
        scan: grid of the scan that it was drawn on, where another; the same where left out.

    Raises:
        DataError: codes of `open_mask`; `channel_mismatch`: nothing tells how it lies on the scan.
    """

    def __init__(self, path: str, geometry: Geometry, scan: Geometry | None = None) -> None:
        self.path, self._geometry = path, geometry
        drawn_on = scan or geometry
        with open_mask(path, drawn_on) as source:
            header = source.header
        self.times = header.shape[0]
        self._own = grid_of_mask(header, drawn_on)
        if self._own is not drawn_on and "spacing_assumed" in header.repairs:
            sizes = (" × ".join(map(str, grid.shape)) for grid in (self._own, drawn_on))
            raise DataError(
                "channel_mismatch",
                "truth {}: names no voxel size, and its {} voxels are not the scan's {}; save it on the scan's "
                "own grid".format(path, *sizes),
            )
        self._notes = dict.fromkeys(filter(None, [grid_note(self._own, drawn_on)]))
        self._spool = ArraySpool()
        self._aside: list[Spooled] = []

    def refuse_stack(self, times: int) -> None:
        """Refuse a stack of masks beside a scan of one time point: it may be one mask per label.

        Args:
            times: of the scan.

        Raises:
            DataError: it is such a stack.
        """
        if self.times > 1 and times == 1:
            raise DataError(
                "channel_mismatch",
                f"truth {self.path}: holds {self.times} volumes, the scan one; write all labels in one volume",
            )

    @property
    def notes(self) -> tuple[str, ...]:
        """What was left out or decided; whole once all slabs have been read."""
        return tuple(self._notes)

    @property
    def slabs(self) -> list[tuple[int, int]]:
        """Slices (z0, z1) of the slabs."""
        return _cut(self._geometry)

    def labels(self) -> Iterator[tuple[int, Labels]]:
        """Read all slabs: first slice and (z, y, x) int32 of each, in order of z.

        Raises:
            DataError: the mask cannot be read, holds no labels, or lies elsewhere; some only after the last slab.
        """
        if self._own.is_same_grid(self._geometry):
            yield from _read(self.path, self._own, self._notes)
        else:
            yield from self._brought()

    def _brought(self) -> Iterator[tuple[int, Labels]]:
        """Bring the mask to the other grid."""
        if not self._aside:
            for _, block in _read(self.path, self._own, self._notes):
                self._aside += [self._spool.put(_narrow(plane)) for plane in block]
            self._any = any(self._spool.get(plane).any() for plane in self._aside)
        index, seen = index_map(self._own, self._geometry), False
        matrix, offset = linear_part(index)
        for z0, z1 in self.slabs:
            rows, columns = self._geometry.shape[1:]
            block = np.zeros((z1 - z0, rows, columns), dtype=np.int32)
            high = max(1, VOXELS_AT_ONCE // ((z1 - z0) * columns))
            for y0, y1 in slabs(rows, high):  # places take eight times what labels do
                part = np.zeros((z1 - z0, y1 - y0, columns), dtype=np.int32)
                begin = z0, y0
                places = _NearestPlaces.of((matrix, offset), begin, part.shape, self._own.shape)
                for z, where in places.by_slice():
                    plane = self._spool.get(self._aside[z])
                    part.ravel()[where] = plane[places.rows[where], places.columns[where]]
                block[:, y0:y1] = part
            seen = seen or bool(block.any())
            yield z0, block
        if self._any and not seen:
            raise DataError(
                "channel_mismatch",
                f"truth {self.path}: its mask lies outside the scan; save it with the affine of the scan it was "
                "drawn on",
            )

    def close(self) -> None:
        """Let go of what was laid aside."""
        self._spool.close()


@dataclass(frozen=True, eq=False)
class _NearestPlaces:
    """The nearest source voxel of every voxel of a slab, flat; slice −1 where there is none."""

    slices: NDArray[np.int32]
    rows: NDArray[np.int32]
    columns: NDArray[np.int32]

    @classmethod
    def of(
        cls,
        index: tuple[NDArray[np.float64], NDArray[np.float64]],
        first: tuple[int, int],
        size: tuple[int, int, int],
        source: tuple[int, int, int],
    ) -> "_NearestPlaces":
        """Find them for a box (z, y, x) from a slice and row on, under the linear part of an index map."""
        steps = [np.arange(n, dtype=np.float64) for n in size]
        steps[0] += first[0]
        steps[1] += first[1]
        found, outside = [], np.zeros(size, dtype=bool)
        for row, begin, most in zip(*index, source, strict=True):
            # Added up as scipy does it: what lies between two voxels must not depend on who asks.
            at = (steps[0] * row[0])[:, None, None] + (steps[1] * row[1])[:, None]
            nearest = np.floor(at + steps[2] * row[2] + begin + 0.5)
            outside |= (nearest < 0) | (nearest >= most)
            found.append(np.clip(nearest, 0, most - 1).astype(np.int32).ravel())
        found[0][outside.ravel()] = -1
        return cls(*found)

    def by_slice(self) -> Iterator[tuple[int, NDArray[np.intp]]]:
        """Yield each slice that is met and the voxels that lie on it."""
        order = np.argsort(self.slices, kind="stable")
        numbers, first = np.unique(self.slices[order], return_index=True)
        for number, where in zip(numbers, np.split(order, first[1:]), strict=True):
            if number >= 0:
                yield int(number), where


def _cut(grid: Geometry) -> list[tuple[int, int]]:
    plane = grid.shape[1] * grid.shape[2]
    return slabs(grid.shape[0], max(1, min(SLICES_AT_ONCE, VOXELS_AT_ONCE // plane)))


def _narrow(plane: Labels) -> NDArray[np.integer]:
    fits = plane.min() >= 0 and plane.max() <= 255
    return plane.astype(np.uint8) if fits else plane


def _read(path: str, grid: Geometry, notes: dict[str, None]) -> Iterator[tuple[int, Labels]]:
    """Read a mask of t 0 on its own grid; negative values are no label, as in every mask.

    Values that are no whole numbers are rounded where they are noise, or a share of one label between 0 and 1
    (a probability, an interpolated mask): half of it counts. What people should know is added to the notes.
    """
    kinds = LabelTally()
    with open_mask(path, grid) as source:
        most, is_whole, is_empty = 0.0, True, True
        for z0, z1 in _cut(grid):
            block = np.nan_to_num(source.read(0, z0, z1), copy=False, posinf=np.inf, neginf=0.0)
            labels = np.empty(block.shape, dtype=np.int32)
            for values, found in _bands(block, labels):
                most = max(most, float(np.abs(values).max()))
                if most > MOST_LABEL:
                    what = f"holds labels above {MOST_LABEL}; renumber them"
                    raise DataError("unreadable", f"truth {path}: {what}")
                found[:] = values.round()
                is_whole = is_whole and bool((np.abs(values - found) <= NOISE).all())
            del block
            kinds.add(labels[len(labels) // 2])
            if is_whole and (fault := kinds.fault()):
                raise DataError("unreadable", f"truth {path}: {fault}; name its label mask")
            np.maximum(labels, 0, out=labels)
            is_empty = is_empty and not labels.any()
            yield z0, labels
        notes.update(dict.fromkeys(source.notes))
    if not is_whole and most > 1.0 + NOISE:
        raise DataError(
            "unreadable",
            f"truth {path}: holds values that are no whole numbers up to {most:g}; a label mask is "
            "expected, or one label's probability from 0 to 1",
        )
    if is_empty:
        notes["holds no label; whatever is found counts as false"] = None
    elif not is_whole:
        notes["holds shares of a label; one half and more counts"] = None


def _bands(
    block: NDArray[np.float32], labels: Labels
) -> Iterator[tuple[NDArray[np.float32], Labels]]:
    """Go through a slab a few rows at a time, so that large slices are never copied."""
    rows = max(1, _BAND_VOXELS // block.shape[2])
    for values, found in zip(block, labels, strict=True):
        for y in range(0, len(values), rows):
            yield values[y : y + rows], found[y : y + rows]
