"""Masks with settled borders, brick by brick: what a map or student draws, ended half way to normal tissue."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from somray.domain.brick import Brick
from somray.domain.run import ScanPlace
from somray.io.ome.image import ScanMeta, read_channel_box, read_label_brick
from somray.io.storage import Storage
from somray.kernels.classes.rule import BACKGROUND, BOUNDARY, NORMAL
from somray.kernels.objects.border import REACH, BorderLevels, settled

__all__ = ["SettledMask"]

MAP = "som"  # the label group that names classes
SLICES = 16
"""Levels are read from so many slices, evenly over the scan."""

FAR_APART = 2.0
"""Slices further apart than so many pixels are not averaged."""


@dataclass(frozen=True)
class SettledMask:
    """The target of one time point as a label group draws it, its border settled.

    Args:
        storage: of the run.
        place: the scan.
        meta: of the scan.
        t: time index.
        group: label group, som or student.
        value: of the target there.
        levels: of the scan; None where the mask stays as it is drawn.
    """

    storage: Storage
    place: ScanPlace
    meta: ScanMeta
    t: int
    group: str
    value: int
    levels: BorderLevels | None = None

    def read(self) -> "SettledMask":
        """Read the levels; none where the target is a class that has no border of its own, or nothing is drawn."""
        if self.value in (BACKGROUND, NORMAL, BOUNDARY):
            return self
        normal, inside = _Sums(), _Sums()
        depth = self.meta.shape[2]
        heights = set(np.linspace(0, depth - 1, min(SLICES, depth)).round().astype(int).tolist())
        for brick in self.meta.bricks(self.t):
            for z in sorted(heights & set(range(brick.z0, brick.z1))):
                one = replace(brick, z0=z, z1=z + 1)
                values = read_channel_box(self.storage, self.place.name, one).astype(np.float64)
                normal.add(values[self._labels(MAP, one) == NORMAL])
                inside.add(values[self._labels(self.group, one) == self.value])
        if not normal.count or not inside.count:
            return self
        levels = BorderLevels(normal.mean, normal.spread, inside.mean)
        return replace(self, levels=levels)

    def of(self, brick: Brick) -> NDArray[np.bool_]:
        """Return the mask of a box of voxels, (z, y, x) bool."""
        if self.levels is None:
            return np.asarray(self._labels(self.group, brick) == self.value)
        outer = brick.grown((REACH, REACH, REACH), self.meta.shape[2:])
        mask = np.asarray(self._labels(self.group, outer) == self.value)
        core = brick.within(outer)
        if not mask.any():
            return mask[core]
        values = read_channel_box(self.storage, self.place.name, outer)
        free = np.asarray(self._labels(MAP, outer) != BACKGROUND)
        spacing = self.meta.geometry.spacing_mm
        is_flat = spacing[0] > FAR_APART * spacing[1]
        return settled(values, mask, free, self.levels, core, is_flat)

    def _labels(self, group: str, box: Brick) -> NDArray[np.integer]:
        return read_label_brick(self.storage, self.place.name, group, box)


class _Sums:
    """Mean and spread of what is added."""

    def __init__(self) -> None:
        self.count, self._sum, self._squares = 0, 0.0, 0.0

    def add(self, values: NDArray[np.float64]) -> None:
        """Add values; NaN is left out."""
        known = values[np.isfinite(values)]
        self.count += len(known)
        self._sum += float(known.sum())
        self._squares += float((known**2).sum())

    @property
    def mean(self) -> float:
        return self._sum / self.count

    @property
    def spread(self) -> float:
        return float(np.sqrt(max(self._squares / self.count - self.mean**2, 0.0)))
