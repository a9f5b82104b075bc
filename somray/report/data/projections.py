"""A scan seen from the front and from its left: highest uptake along a line of sight, and where objects lie.

Read slab by slab from the stored level that is about `COARSE_MM` fine, so that memory follows the picture and a
slab, never the volume. Pictures lie as nuclear medicine shows them where the scan's directions are known: head up,
the patient's right at the left edge, the front at the left edge.
"""

import weakref
from collections import Counter, defaultdict
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
    masks: Mapping[str, NDArray[np.bool_]]
    spots: Mapping[int, Spot]
    frame: SliceFrame


_SEEN: weakref.WeakKeyDictionary[ScanPixels, dict[object, tuple["Projection", ...]]]
_SEEN = weakref.WeakKeyDictionary()
"""What was looked at, for as long as a scan is open: a page and its small picture look once."""


def project(
    pixels: ScanPixels, channel: int, t: int, calls: Mapping[int, str]
) -> tuple[Projection, ...]:
    """Look at one channel from the front and from the side, once for as long as the scan is open.

    Args:
        pixels: of the scan.
        channel: index of the channel that measures uptake.
        t: time index.
        calls: object number to what it was called; other numbers are not shown.
    """
    seen, key = _SEEN.setdefault(pixels, {}), (channel, t, tuple(sorted(calls.items())))
    if key not in seen:
        seen[key] = _looked_at(pixels, channel, t, calls)
    return seen[key]


def _looked_at(
    pixels: ScanPixels, channel: int, t: int, calls: Mapping[int, str]
) -> tuple[Projection, ...]:
    grid = object_grid(pixels.meta.geometry, COARSE_MM, pixels.meta.anatomical)
    level = pixels.level_for(COARSE_MM)
    names = sorted(set(calls.values()))
    layers: dict[str, list[Image]] = {view: [] for view in VIEWS}
    found: dict[int, _Found] = defaultdict(_Found)
    for z0, z1 in pixels.meta.slabs:
        image = pixels.coarse(level, channel, t, z0, z1)
        objects = pixels.coarse_label("objects", level, t, z0, z1)
        if objects is None:
            objects = np.zeros(image.shape, np.int32)
        seen = [np.where(np.isfinite(image), image, -np.inf)]
        seen += [np.isin(objects, [n for n, c in calls.items() if c == name]) for name in names]
        stack = np.stack(seen).astype(np.float32)  # (1 + calls, z, y, x)
        for view, axis in VIEWS.items():
            layers[view].append(stack.max(axis=1 + grid.axes[axis]))
        lesions = pixels.coarse_label("lesions", level, t, z0, z1)
        for number in np.unique(objects[objects > 0]).tolist():
            own = objects == number
            found[number].voxels.append(np.argwhere(own) + np.array([z0, 0, 0]))
            found[number].lesions.update([] if lesions is None else lesions[own].tolist())
    shape = pixels.level_shape(level)
    return tuple(
        _upright(_View(view, grid, shape), layers[view], names, found, pixels) for view in VIEWS
    )


@dataclass
class _Found:
    """An object's voxels (n, 3) z y x of the level read, slab by slab, and what lesions lie in them."""

    voxels: list[NDArray[np.intp]] = field(default_factory=list)
    lesions: Counter[int] = field(default_factory=Counter)

    @property
    def lesion(self) -> int | None:
        """The lesion that most of it became."""
        counts = {n: v for n, v in self.lesions.items() if n > 0}
        return max(counts, key=lambda n: (counts[n], -n)) if counts else None


class _View:
    """How a view lies in a scan of a shape: which axes are up and across, and whether they are turned."""

    def __init__(self, name: str, grid: ObjectGrid, shape: tuple[int, int, int]) -> None:
        self.name, self.shape = name, shape
        side = 3 - VIEWS[name]
        self.along, self.up, self.across = (grid.axes[n] for n in (VIEWS[name], 0, side))
        self.towards = _TOWARDS[name] if grid.oriented else None
        # Rows run downwards, the grid's z upwards.
        self._flips = grid.oriented and not grid.flips[0], grid.oriented and grid.flips[side]

    def turned(self, plane: NDArray[Any]) -> NDArray[Any]:
        """Turn what is seen so that the patient stands upright in it."""
        plane = plane if self.up < self.across else plane.T
        return plane[:: -1 if self._flips[0] else 1, :: -1 if self._flips[1] else 1]

    def spot(self, found: _Found) -> Spot:
        """Tell where an object is seen."""
        index = np.concatenate(found.voxels)
        row = float(index[:, self.up].sum() / len(index))
        low, high = float(index[:, self.across].min()), float(index[:, self.across].max())
        if self._flips[0]:
            row = self.shape[self.up] - 1 - row
        if self._flips[1]:
            last = self.shape[self.across] - 1
            low, high = last - high, last - low
        return Spot(low, high, row, len(index), found.lesion)


def _upright(
    view: _View,
    layers: list[Image],
    names: list[str],
    found: Mapping[int, _Found],
    pixels: ScanPixels,
) -> Projection:
    """Join what was seen slab by slab: along z, or one behind another where z is looked along."""
    whole = np.maximum.reduce(layers) if view.along == 0 else np.concatenate(layers, axis=1)
    image = np.where(np.isfinite(whole[0]), whole[0], np.float32(np.nan))
    geometry, up, across = pixels.meta.geometry, view.up, view.across
    row_mm, column_mm = (
        geometry.shape[n] * geometry.spacing_mm[n] / view.shape[n] for n in (up, across)
    )
    shape = (view.shape[up], view.shape[across])
    frame = SliceFrame(shape, (row_mm, column_mm), view.towards, pixels.frame.unit)
    masks = {name: view.turned(mask > 0) for name, mask in zip(names, whole[1:], strict=True)}
    spots = {number: view.spot(found[number]) for number in sorted(found)}
    return Projection(view.name, view.turned(image), masks, spots, frame)
