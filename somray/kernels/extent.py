"""The longest axis of an instance, from its outermost voxels only.

The two voxels furthest apart are corners of the convex hull, so each plane keeps only the hull of its
voxels: what is held is bounded by the surface's corners, not by the volume.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull, QhullError

from somray.domain.geometry import Geometry

__all__ = ["ExtremePoints", "largest_distance"]

_HULL_FROM = 64  # points; below that all pairs are compared at once


class ExtremePoints:
    """Collects, plane by plane, the voxels that can be ends of an instance's longest axis."""

    def __init__(self, geometry: Geometry) -> None:
        self._geometry = geometry
        self._points: dict[int, list[NDArray[np.int64]]] = {}

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
        ids, points = ids[keep], np.stack([np.full(len(ids), z), y, x], axis=1)[keep]
        starts = np.flatnonzero(np.append(True, np.diff(ids) != 0))
        for start, stop in zip(starts, np.append(starts[1:], len(ids)), strict=True):
            part = points[start:stop]
            if len(part) > _HULL_FROM:
                part = part[_hull_corners(part[:, 1:].astype(np.float64))]
            self._points.setdefault(int(ids[start]), []).append(part)

    def longest_mm(self, instance: int) -> float:
        """Return the largest distance between two voxel centres of an instance in mm."""
        index = np.concatenate(self._points[instance]).astype(np.float64)
        return largest_distance(self._geometry.to_world(index))


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
