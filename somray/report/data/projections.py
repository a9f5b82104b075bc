"""A scan seen from the front and from its left: highest uptake along a line of sight, and where objects lie.

Read slab by slab from the stored level that is about `COARSE_MM` fine, so that memory follows the picture and a
slab, never the volume. Pictures lie as nuclear medicine shows them where the scan's directions are known: head up,
the patient's right at the left edge, the front at the left edge.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from somray.kernels.objects.grid import ObjectGrid, object_grid
from somray.report.data.scan import ScanPixels, SliceFrame

__all__ = ["VIEWS", "Projection", "Spot", "project"]

COARSE_MM = 4.0  # pixels of the level read are no larger, where the scan has such
VIEWS = {"coronal": 1, "sagittal": 2}
"""View to the patient's axis, of (z, y, x), that it looks along."""

_TOWARDS = {"coronal": ("L", "F"), "sagittal": ("P", "F")}
Image = NDArray[np.float32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Spot:
    """One object in a view, in pixels, and the lesion it became.

    Args:
        left: x of its left edge.
        right: x of its right edge.
        y: of its middle.
        voxels: of the level read.
        lesion: lesion_id of most of its voxels; None where no lesion lies there.
    """

    left: float
    right: float
    y: float
    voxels: int
    lesion: int | None


@dataclass(frozen=True, eq=False)
class Projection:
    """One view of one time point.

    Args:
        view: a key of `VIEWS`.
        image: (y, x) highest value along the line of sight, NaN where there is no data.
        masks: call to (y, x) bool, where any object called so lies.
        spots: object number to where it is seen.
        frame: the picture's physical frame.
    """

    view: str
    image: Image
    masks: Mapping[str, Mask]
    spots: Mapping[int, Spot]
    frame: SliceFrame


def project(
    pixels: ScanPixels, channel: int, t: int, calls: Mapping[int, str]
) -> tuple[Projection, ...]:
    """Look at one channel from the front and from the side.

    Args:
        pixels: of the scan.
        channel: index of the channel that measures uptake.
        t: time index.
        calls: object number to what it was called; other numbers are not shown.
    """
    grid = object_grid(pixels.meta.geometry, COARSE_MM, pixels.meta.anatomical)
    level = pixels.level_for(COARSE_MM)
    sights = [_Sight(grid.axes[axis], sorted(set(calls.values()))) for axis in VIEWS.values()]
    places = _Places()
    has_objects = "objects" in pixels.labels
    for z0, z1 in pixels.meta.slabs:
        image = pixels.coarse(level, channel, t, z0, z1)
        objects = pixels.coarse_label("objects", level, t, z0, z1) if has_objects else None
        for sight in sights:
            sight.add(image, objects, calls, z0)
        if objects is not None:
            places.add(objects, pixels.coarse_label("lesions", level, t, z0, z1), z0)
    shape = pixels.level_shape(level)
    return tuple(
        _turned(view, sight, (grid, shape), places, pixels)
        for view, sight in zip(VIEWS, sights, strict=True)
    )


class _Sight:
    """Collects what is seen along one axis of the scan, in the order in which slabs come."""

    def __init__(self, axis: int, names: list[str]) -> None:
        self.axis = axis
        self._names = names
        self._images: list[Image] = []
        self._masks: dict[str, list[Mask]] = {name: [] for name in names}

    def add(
        self, image: Image, objects: NDArray[Any] | None, calls: Mapping[int, str], z0: int
    ) -> None:
        low = np.where(np.isfinite(image), image, -np.inf).max(axis=self.axis)
        self._join(self._images, low.astype(np.float32), np.maximum)
        for name in self._names:
            own = [n for n, call in calls.items() if call == name]
            seen = np.zeros(image.shape, bool) if objects is None else np.isin(objects, own)
            self._join(self._masks[name], np.asarray(seen.any(axis=self.axis)), np.logical_or)

    def _join(self, parts: list[Any], new: NDArray[Any], how: Any) -> None:  # Any: a numpy ufunc
        """Slabs follow each other along z, or lie behind one another where z is looked along."""
        if self.axis == 0 and parts:
            parts[0] = how(parts[0], new)
        else:
            parts.append(new)

    @property
    def image(self) -> Image:
        """(rows, columns) over the scan's other two axes, in their order."""
        whole = np.concatenate(self._images)
        return np.where(np.isfinite(whole), whole, np.float32(np.nan))

    @property
    def masks(self) -> dict[str, Mask]:
        """The same of each call."""
        return {name: np.concatenate(parts) for name, parts in self._masks.items()}


@dataclass
class _Places:
    """Sums and edges of every object, and which lesions lie in it; in voxels of the level read."""

    sums: dict[int, NDArray[np.float64]] = field(default_factory=dict)
    last: dict[int, NDArray[np.int64]] = field(default_factory=dict)
    first: dict[int, NDArray[np.int64]] = field(default_factory=dict)
    lesions: dict[int, dict[int, int]] = field(default_factory=dict)

    def add(self, objects: NDArray[Any], lesions: NDArray[Any] | None, z0: int) -> None:
        for number in np.unique(objects[objects > 0]).tolist():
            own = objects == number
            index = np.argwhere(own) + np.array([z0, 0, 0])
            total = np.append(index.sum(axis=0), len(index)).astype(np.float64)
            self.sums[number] = self.sums.get(number, 0.0) + total
            low, high = index.min(axis=0), index.max(axis=0)
            self.first[number] = np.minimum(self.first.get(number, low), low)
            self.last[number] = np.maximum(self.last.get(number, high), high)
            counts = self.lesions.setdefault(number, {})
            if lesions is not None:
                for one, voxels in zip(*np.unique(lesions[own], return_counts=True), strict=True):
                    counts[int(one)] = counts.get(int(one), 0) + int(voxels)

    def lesion(self, number: int) -> int | None:
        """Return the lesion that most of an object became."""
        counts = {n: v for n, v in self.lesions[number].items() if n > 0}
        return max(counts, key=lambda n: (counts[n], -n)) if counts else None


def _turned(
    view: str,
    sight: _Sight,
    grid: tuple[ObjectGrid, tuple[int, int, int]],
    places: _Places,
    pixels: ScanPixels,
) -> Projection:
    """Turn a view so that the patient stands upright in it."""
    turn, shape = grid
    up, across = turn.axes[0], turn.axes[3 - VIEWS[view]]
    flips = (
        turn.oriented and not turn.flips[0],
        turn.oriented and turn.flips[3 - VIEWS[view]],
    )  # rows run downwards, the grid's z upwards

    def turned(plane: NDArray[Any]) -> NDArray[Any]:
        plane = plane if up < across else plane.T
        return plane[:: -1 if flips[0] else 1, :: -1 if flips[1] else 1]

    def spot(number: int) -> Spot:
        total = places.sums[number]
        row = total[up] / total[3]
        low, high = (float(e[number][across]) for e in (places.first, places.last))
        if flips[0]:
            row = shape[up] - 1 - row
        if flips[1]:
            low, high = shape[across] - 1 - high, shape[across] - 1 - low
        return Spot(low, high, float(row), int(total[3]), places.lesion(number))

    spacing = pixels.level_spacing_mm(shape)
    frame = SliceFrame(
        (shape[up], shape[across]),
        (spacing[up], spacing[across]),
        _TOWARDS[view] if turn.oriented else None,
        pixels.frame.unit,
    )
    masks = {name: turned(mask) for name, mask in sight.masks.items()}
    spots = {number: spot(number) for number in sorted(places.sums)}
    return Projection(view, turned(sight.image), masks, spots, frame)
