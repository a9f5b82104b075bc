"""A grid on which a continuous scene is painted: solids in scene mm become voxels with partial volume.

The scene's axes are LPS mm around the middle of the field of view of session 0. The canvas knows the
pose (scene to world), so that every session is rendered from the same scene and never from another
session's pixels. Painting is opaque, later over earlier. A canvas may hold some slices of its grid alone: what is
painted on them is the same bits, so that large grids are drawn slab by slab.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from somray.domain.geometry import Geometry
from somray.phantom.drawing.shapes import Point, point
from somray.phantom.session import FloatArray

__all__ = ["SLAB_SLICES", "Box", "Canvas", "Material", "slabs"]

Box = tuple[slice, slice, slice]
"""Voxels of a grid, whichever slices of it a canvas holds."""
SLAB_VOXELS = (
    2**22
)  # drawn at once: all of most phantoms, and some 300 MB of coordinates and distances
SLAB_SLICES = 16
"""Slabs begin at multiples of it, where whole bodies are painted in steps."""


def slabs(geometry: Geometry) -> Iterator[range]:
    """Part a grid's slices into slabs that are drawn one after the other."""
    depth, *plane = geometry.shape
    wanted = SLAB_VOXELS // (plane[0] * plane[1])
    step = max(wanted // SLAB_SLICES, 1) * SLAB_SLICES
    for first in range(0, depth, step):
        yield range(first, min(first + step, depth))


@dataclass(frozen=True)
class Material:
    """What a solid is made of.

    Args:
        value: mean of the image in its own unit (HU, SUV or counts).
        texture: standard deviation of its texture in the same unit.
    """

    value: float
    texture: float = 0.0


class Canvas:
    """Collects values and texture of the scene on one grid.

    Args:
        geometry: the grid.
        pose: (4, 4) scene mm to world LPS mm.
        shift_mm: (z, 2) world shift of each slice along x and y.
        fill: what is there before anything is painted.
        slices: those that it holds; all where left out.
    """

    def __init__(
        self, geometry: Geometry, pose: NDArray[np.float64], shift_mm: NDArray[np.float64],
        fill: Material, slices: range | None = None,
    ) -> None:  # fmt: skip
        self.geometry = geometry
        self.slices = range(geometry.shape[0]) if slices is None else slices
        self.shape = (len(self.slices), *geometry.shape[1:])
        self.value = np.full(self.shape, fill.value, dtype=np.float32)
        self.texture = np.full(self.shape, fill.texture, dtype=np.float32)
        self.voxel_mm = float(geometry.voxel_mm3 ** (1 / 3))
        to_scene = np.linalg.inv(pose)
        self._index_to_scene = to_scene @ geometry.matrix
        self._scene_to_index = np.linalg.inv(self._index_to_scene)
        self._slice_offset = -(to_scene[:3, :2] @ shift_mm.T).T  # (z, 3)

    @property
    def whole(self) -> Box:
        """The box that holds every voxel."""
        _, ny, nx = self.shape
        return slice(self.slices.start, self.slices.stop), slice(0, ny), slice(0, nx)

    def held(self, box: Box) -> Box:
        """Return where a box lies in arrays of this canvas's shape."""
        first = self.slices.start
        return slice(box[0].start - first, box[0].stop - first), box[1], box[2]

    def box(self, low: Point, high: Point) -> Box | None:
        """Return the voxels that a scene box may touch, None when it lies outside the grid."""
        corners = np.array(
            [[(low, high)[i >> a & 1][a] for a in range(3)] + [1.0] for i in range(8)]
        )
        index = (corners @ self._scene_to_index.T)[:, 2::-1]  # z, y, x
        first = np.floor(index.min(axis=0) - 1.5).astype(int)
        last = np.ceil(index.max(axis=0) + 2.5).astype(int)
        first = np.maximum(first, (self.slices.start, 0, 0))
        last = np.minimum(last, (self.slices.stop, *self.shape[1:]))
        if (first >= last).any():
            return None
        return (slice(int(first[0]), int(last[0])), slice(int(first[1]), int(last[1])),
                slice(int(first[2]), int(last[2])))  # fmt: skip

    def around(self, center: Point, reach: Point) -> Box | None:
        """Return the box around a centre, with reach to both sides along x, y, z."""
        low = (center[0] - reach[0], center[1] - reach[1], center[2] - reach[2])
        high = (center[0] + reach[0], center[1] + reach[1], center[2] + reach[2])
        return self.box(low, high)

    def along(self, start: Point, end: Point, reach: float) -> Box | None:
        """Return the box around a rod from one point to another, with reach to all sides."""
        low = tuple(min(a, b) - reach for a, b in zip(start, end, strict=True))
        high = tuple(max(a, b) + reach for a, b in zip(start, end, strict=True))
        return self.box(point(low), point(high))

    def coordinates(self, box: Box) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return scene x, y, z in mm of a box's voxels, each of the box's shape, float32."""
        zz = np.arange(box[0].start, box[0].stop, dtype=np.float64)
        yy = np.arange(box[1].start, box[1].stop, dtype=np.float64)
        xx = np.arange(box[2].start, box[2].stop, dtype=np.float64)
        out = []
        for axis in range(3):
            row = self._index_to_scene[axis]
            deep = row[2] * zz + row[3] + self._slice_offset[box[0], axis]
            plane = (deep[:, None] + row[1] * yy[None, :]).astype(np.float32)
            out.append(plane[:, :, None] + (row[0] * xx).astype(np.float32)[None, None, :])
        return out[0], out[1], out[2]

    def coverage(self, distance: FloatArray) -> FloatArray:
        """Return the share of each voxel inside the surface, from the distance to its centre."""
        share = np.clip(np.float32(0.5) - distance * np.float32(1 / self.voxel_mm), 0, 1)
        return np.asarray(share, dtype=np.float32)

    def paint(
        self, box: Box | None, distance: FloatArray, material: Material, most: float = 1.0
    ) -> None:
        """Paint a solid over what is there.

        Args:
            box: as given by `box`; None paints nothing.
            distance: signed distance in mm, of the box's shape (or broadcast to it).
            material: what it is made of.
            most: largest share of a voxel that it can fill, below 1 for what is thinner than a voxel.
        """
        if box is None:
            return
        share = self.coverage(distance) * np.float32(most)
        for target, value in ((self.value, material.value), (self.texture, material.texture)):
            view = target[self.held(box)]
            view += share * (np.float32(value) - view)

    def sample(self, noise: FloatArray, grain_mm: Point, box: Box | None = None) -> FloatArray:
        """Look a periodic lattice up at the scene position of every voxel (of a box), linearly."""
        x, y, z = self.coordinates(box or self.whole)
        at = np.stack([z / grain_mm[2], y / grain_mm[1], x / grain_mm[0]])
        found = ndimage.map_coordinates(noise, at, order=1, mode="grid-wrap", prefilter=False)
        return np.asarray(found, dtype=np.float32)

    def textured(self, noise: FloatArray, grain_mm: float) -> FloatArray:
        """Return the values with their texture on two scales of a periodic lattice."""
        fine: Point = (grain_mm, grain_mm, grain_mm)
        coarse: Point = (3.1 * grain_mm, 3.1 * grain_mm, 3.1 * grain_mm)
        grain = 0.8 * self.sample(noise, fine) + 0.6 * self.sample(noise, coarse)
        return np.asarray(self.value + self.texture * grain, dtype=np.float32)
