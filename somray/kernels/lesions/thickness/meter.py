"""Mean and largest local thickness of numbered lesions, slab by slab.

A lesion is measured and forgotten once its last slice has passed. What is held are the voxels of lesions that go on,
a bit for each voxel of their boxes, and nothing of a lesion that is too large: one whose box has more than
`MOST_VOXELS` voxels, or that would find no room beside those that began before it (`HELD_BYTES`). Which those are
follows from the boxes alone, however the volume is cut.
"""

import heapq
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from somray.domain.geometry import Geometry
from somray.kernels.lesions.facts import PartFacts
from somray.kernels.lesions.thickness.balls import local_thickness

__all__ = ["HELD_BYTES", "MEASURE_BYTES", "MOST_VOXELS", "ThicknessFigures", "ThicknessMeter"]

MOST_VOXELS = 2**22  # of a lesion's box: 160 voxels across
MEASURE_BYTES = 26 * MOST_VOXELS  # while one is measured
HELD_BYTES = 64 * 2**20  # of all boxes that wait for their last slice
_SLAB = 32  # slices at most that a box waits longer than it lasts

Parts = list[tuple[tuple[slice, slice, slice], NDArray[np.uint8]]]


@dataclass(frozen=True)
class ThicknessFigures:
    """One lesion's local thickness; its fields are columns of `lesions`.

    Args:
        mean_thickness_mm: over its voxels; None where it is too large to be measured.
        max_thickness_mm: the largest ball's diameter; None likewise.
    """

    mean_thickness_mm: float | None = None
    max_thickness_mm: float | None = None


class ThicknessMeter:
    """Measures lesions as their slabs pass; bricks come by z.

    Args:
        geometry: grid of the volume; its axes are taken as right-angled.
        facts: of the lesions; their numbers are those of the labels.
    """

    def __init__(self, geometry: Geometry, facts: PartFacts) -> None:
        self._spacing, self._numbers = geometry.spacing_mm, facts.numbers
        self._is_deep = np.array(geometry.shape) > 1
        self._low, self._high = facts.low, facts.high + 1
        self._is_measured = _with_room(facts.low, facts.high + 1)
        self._waiting: dict[int, Parts] = {}  # by place among the lesions
        self._found: dict[int, ThicknessFigures] = {}

    def add_brick(self, labels: NDArray[np.int32], corner: tuple[int, int, int]) -> None:
        """Take a brick (z, y, x) of final lesion ids, 0 outside, and the index of its first voxel."""
        first = np.array(corner)
        end = first + labels.shape
        meets = ((self._low < end) & (self._high > first)).all(axis=1) & self._is_measured
        for n in np.flatnonzero(meets).tolist():
            low, high = np.maximum(self._low[n], first), np.minimum(self._high[n], end)
            part = labels[_box(low - first, high - first)] == self._numbers[n]
            place = _box(low - self._low[n], high - self._low[n])
            self._waiting.setdefault(n, []).append((place, np.packbits(part)))

    def close_slab(self, z1: int) -> None:
        """Measure the lesions that end before slice z1."""
        for n in [n for n in self._waiting if self._high[n, 0] <= z1]:
            self._found[n] = self._measured(n, self._waiting.pop(n))

    def finish(self) -> list[ThicknessFigures]:
        """Return the figures of all lesions, in order of their numbers, once the last slab is closed."""
        return [self._found.get(n, ThicknessFigures()) for n in range(len(self._numbers))]

    def _measured(self, n: int, parts: Parts) -> ThicknessFigures:
        size = self._high[n] - self._low[n]
        rim = ((size == 1) & self._is_deep).astype(np.int64)  # the volume goes on where it ends
        mask = np.zeros(size + 2 * rim, dtype=np.bool_)
        inner = mask[_box(rim, rim + size)]
        for place, bits in parts:
            part = inner[place]
            part[...] = np.unpackbits(bits, count=part.size).reshape(part.shape)
        thickness = local_thickness(mask, self._spacing)[mask]
        largest = float(thickness.max())
        if not np.isfinite(largest):  # nothing of the image is outside the lesion
            return ThicknessFigures()
        return ThicknessFigures(float(thickness.mean()), largest)


def _box(low: NDArray[np.int64], high: NDArray[np.int64]) -> tuple[slice, slice, slice]:
    z, y, x = (slice(a, b) for a, b in zip(low.tolist(), high.tolist(), strict=True))
    return z, y, x


def _with_room(low: NDArray[np.int64], high: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Choose the lesions that are measured: in order of their first slice, then of their numbers."""
    voxels = (high - low).prod(axis=1)
    chosen = np.zeros(len(low), dtype=bool)
    held, open_boxes = 0, list[tuple[int, int]]()
    for n in np.lexsort((np.arange(len(low)), low[:, 0])).tolist():
        while open_boxes and open_boxes[0][0] + _SLAB < low[n, 0]:
            held -= heapq.heappop(open_boxes)[1]
        size = int(voxels[n]) // 8 + 1
        if voxels[n] <= MOST_VOXELS and held + size <= HELD_BYTES:
            chosen[n] = True
            held += size
            heapq.heappush(open_boxes, (int(high[n, 0]), size))
    return chosen
