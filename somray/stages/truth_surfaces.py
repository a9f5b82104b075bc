"""Surfaces of a scan's masks and of its truth, laid aside in blocks while slabs come by.

Of a label's mask count the parts that touch the label and those that touch none; the latter's surface is the same for
all labels and laid aside once. Different parts never touch, so that surfaces of some are those of each.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from somray.io.spool import ArraySpool
from somray.kernels.metrics.comparison import PartsOfLabels
from somray.kernels.metrics.part_stream import PartStream
from somray.kernels.metrics.surface.blocks import SurfaceBlock, cut_in_blocks
from somray.kernels.metrics.surface.figures import CellBlock
from somray.kernels.metrics.surface.stream import SlabWindows, rim_voxels, surface_cells

__all__ = ["LaidSurface", "MaskSurfaces", "TruthSurfaces"]

Labels = NDArray[np.int32]
Mask = NDArray[np.bool_]

BLOCK_DEPTH = 32
"""Planes of a block: many more would hold too many points, many fewer make too many blocks."""
_MOST_WAITING = 1_000_000  # cells, 13 bytes each


class LaidSurface:
    """One surface that is laid aside: its rim voxels and its cells.

    Args:
        spool: where its points go.
    """

    def __init__(self, spool: ArraySpool) -> None:
        self._spool = spool
        self._waiting: list[tuple[Labels, Labels, NDArray[np.uint8]]] = []  # rims, cells, codes
        self._begun = 0
        self.rims: list[SurfaceBlock] = []
        self.cells: list[CellBlock] = []

    def add(self, window: Mask, z: int) -> None:
        """Take a window of the mask that begins with plane z; see `SlabWindows`."""
        if not self._waiting:
            self._begun = z
        self._waiting.append((rim_voxels(window, z), *surface_cells(window, z)))
        held = sum(len(cells) for _, cells, _ in self._waiting)
        if z + len(window) - self._begun >= BLOCK_DEPTH or held > _MOST_WAITING:
            self.finish()

    def finish(self) -> None:
        """Cut into blocks what waits for more planes."""
        if not self._waiting:
            return
        rims, cells, codes = (np.concatenate(part) for part in zip(*self._waiting, strict=True))
        self._waiting = []
        for part in cut_in_blocks(rims):
            points = rims[part]
            self.rims.append(
                SurfaceBlock(points.min(axis=0), points.max(axis=0), self._aside(points))
            )
        for part in cut_in_blocks(cells):
            points = cells[part]
            laid, kinds = self._aside(points), self._aside(codes[part])
            self.cells.append(CellBlock(points.min(axis=0), points.max(axis=0), laid, kinds))

    def _aside(self, array: NDArray[Any]) -> Callable[[], NDArray[Any]]:  # Any: any number type
        return partial(self._spool.get, self._spool.put(array))

    def with_all(self, other: "LaidSurface") -> "LaidSurface":
        """Return both surfaces as one."""
        joined = LaidSurface(self._spool)
        joined.rims = self.rims + other.rims
        joined.cells = self.cells + other.cells
        return joined


class TruthSurfaces:
    """Surfaces of a truth: of all labels together, None, and of each that is asked for.

    Args:
        labels: those.
        spool: where points go.
    """

    def __init__(self, labels: list[int], spool: ArraySpool) -> None:
        self._windows = SlabWindows()
        self.laid: dict[int | None, LaidSurface] = {
            label: LaidSurface(spool) for label in (None, *labels)
        }

    def add(self, truth: Labels) -> None:
        """Take the next slab (z, y, x)."""
        self._lay(self._windows.add(truth))

    def finish(self) -> None:
        """Take the end of the volume."""
        self._lay(self._windows.finish())
        for surface in self.laid.values():
            surface.finish()

    def _lay(self, windows: list[tuple[int, Labels]]) -> None:
        for z, window in windows:
            self.laid[None].add(window != 0, z)
            if len(self.laid) > 1:
                for label in np.unique(window[window != 0]).tolist():
                    self.laid[label].add(window == label, z)


class MaskSurfaces:
    """Surfaces of a mask: the whole of it, and what counts of it for each label.

    Args:
        roots: (numbers,) part of every provisional number of the mask's voxels.
        shared: which parts share voxels with which labels.
        labels: labels that are asked for.
        spool: where points go.
    """

    def __init__(
        self, roots: NDArray[np.int32], shared: PartsOfLabels, labels: list[int], spool: ArraySpool
    ) -> None:
        self._roots, self._shared = roots, shared
        self._touching = np.zeros(len(roots), dtype=bool)
        self._touching[shared.parts] = True
        self._parts, self._windows = PartStream(), SlabWindows()
        self._whole, self._free = LaidSurface(spool), LaidSurface(spool)
        self._own = {label: LaidSurface(spool) for label in labels}

    def of(self, label: int | None) -> LaidSurface:
        """Return the surface of what counts for a label; None: of the whole mask."""
        return self._whole if label is None else self._own[label].with_all(self._free)

    def add(self, mask: Mask, truth: Labels) -> None:
        """Take the next slab of the mask and of the truth, both (z, y, x)."""
        if self._own:
            parts = np.stack([self._roots[self._parts.add(plane)] for plane in mask])
            self._lay(self._windows.add(np.stack([parts, truth])))
        else:
            self._lay(self._windows.add(mask[None]))

    def finish(self) -> None:
        """Take the end of the volume."""
        self._lay(self._windows.finish())
        for surface in (self._whole, self._free, *self._own.values()):
            surface.finish()

    def _lay(self, windows: list[tuple[int, NDArray[np.generic]]]) -> None:
        for z, window in windows:
            self._whole.add(window[0] > 0, z)
            if self._own:
                self._lay_labels(window[0], window[1], z)

    def _lay_labels(self, parts: Labels, truth: Labels, z: int) -> None:
        self._free.add((parts > 0) & ~self._touching[parts], z)
        here = np.isin(self._shared.parts, np.unique(parts))
        for label in np.unique(self._shared.labels[here]).tolist():
            mine = self._shared.parts[here & (self._shared.labels == label)]
            elsewhere = (truth != 0) & (truth != label)
            self._own[label].add(np.isin(parts, mine) & ~elsewhere, z)
