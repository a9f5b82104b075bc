"""The axes of an instance, from its outermost voxels only.

The two voxels furthest apart are corners of the convex hull, so each plane keeps only the corners of the
hull of its voxels: what is held is bounded by the surface's corners, not by the volume.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull, QhullError

from somray.domain.geometry import Geometry
from somray.kernels.lesions.axial import (
    AxialDiameter,
    hull_corners,
    longest_pair,
    perpendicular_mm,
)

__all__ = ["ExtremePoints", "largest_distance"]

_HULL_FROM = 64  # points; below that all pairs are compared at once


class ExtremePoints:
    """Collects, plane by plane, the voxels that can be ends of an instance's longest axes."""

    def __init__(self, geometry: Geometry) -> None:
        self._geometry = geometry
        self._plane = _plane_axes(geometry)
        self._corners: dict[int, list[tuple[int, NDArray[np.int64]]]] = {}  # z, (k, 2)
        self._axial: dict[int, AxialDiameter] = {}

    def add_plane(
        self, ids: NDArray[np.int64], y: NDArray[np.int64], x: NDArray[np.int64], z: int
    ) -> None:
        """Take one plane's voxels in scan order: instance numbers and indices, (n,) each."""
        order = np.lexsort((x, y, ids))
        ids, y, x = ids[order], y[order], x[order]
        new_row = np.ones(len(ids), dtype=bool)
        new_row[1:] = (np.diff(ids) != 0) | (np.diff(y) != 0)
        row_end = np.append(new_row[1:], True)
        keep = new_row | row_end  # inside a row only its two ends can be corners
        ids, points = ids[keep], np.stack([y, x], axis=1)[keep].astype(np.int64)
        starts = np.flatnonzero(np.append(True, np.diff(ids) != 0))
        for start, stop in zip(starts, np.append(starts[1:], len(ids)), strict=True):
            corners = hull_corners(points[start:stop])
            self._keep(int(ids[start]), corners, z)

    def _keep(self, instance: int, corners: NDArray[np.int64], z: int) -> None:
        self._corners.setdefault(instance, []).append((z, corners))
        y, x = corners[:, 0], corners[:, 1]
        along_x = y * self._plane[0, 1] + x * self._plane[1, 1]
        here = longest_pair(np.stack([y * self._plane[0, 0], along_x], axis=1))
        best = self._axial.get(instance)
        if best is None or here.length_mm > best.length_mm:  # the first slice where several tie
            self._axial[instance] = here

    def longest_mm(self, instance: int) -> float:
        """Return the largest distance between two voxel centres of an instance in mm."""
        return largest_distance(self._placed([instance]))

    def furthest_mm(self) -> float:
        """Return the largest distance between two voxel centres of any instances; 0 for none."""
        return largest_distance(self._placed(self._corners)) if self._corners else 0.0

    def axial_mm(self, instance: int) -> tuple[float, float]:
        """Return an instance's longest diameter within one plane, and its longest perpendicular there."""
        diameter = self._axial[instance]
        return diameter.length_mm, perpendicular_mm(diameter)

    def _placed(self, instances: Iterable[int]) -> NDArray[np.float64]:
        planes = [part for instance in instances for part in self._corners[instance]]
        z = np.repeat([z for z, _ in planes], [len(corners) for _, corners in planes])
        index = np.column_stack([z, np.concatenate([corners for _, corners in planes])])
        return self._geometry.to_world(index.astype(np.float64))


def _plane_axes(geometry: Geometry) -> NDArray[np.float64]:
    """Return the steps along y and x in mm on two axes of their plane at right angles, (2, 2)."""
    step_y, step_x = geometry.matrix[:3, 1], geometry.matrix[:3, 0]
    length_x = float(np.linalg.norm(step_x))
    shear = float(step_y @ step_x) / length_x
    upright = float(np.sqrt(max(0.0, float(step_y @ step_y) - shear**2)))
    return np.array([[upright, shear], [0.0, length_x]])


def largest_distance(points: NDArray[np.float64]) -> float:
    """Return the largest distance between two points.

    Args:
        points: (n, 3), n ≥ 1.

    Returns:
        The distance in the points' unit; 0 for a single point.
    """
    if len(points) > _HULL_FROM:
        points = points[_hull_corners(points)]
    best = 0.0
    for start in range(0, len(points), 256):  # bounded memory: 256 × n distances
        offset = points[start : start + 256, None, :] - points[None, start:, :]
        best = max(best, float(np.sqrt((offset**2).sum(axis=2).max())))
    return best


def _hull_corners(points: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the indices of hull corners; all points where they lie on a line or plane."""
    try:
        return np.sort(ConvexHull(points).vertices).astype(np.int64)
    except QhullError:  # flat: the hull has no volume
        return np.arange(len(points))
