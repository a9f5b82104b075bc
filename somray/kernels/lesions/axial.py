"""Diameters within one slice of the image: the longest, and the longest perpendicular to it.

What RECIST measures on axial slices, here on the slices that the image has. Points are voxel centres, so a
diameter is about a pixel shorter than from edge to edge; where a lesion has several parts in a slice, the
diameter spans them. Hulls are found on whole numbers, so no rounding decides which voxel is a corner.

Source: Eisenhauer et al., "New response evaluation criteria in solid tumours: revised RECIST guideline
(version 1.1)", Eur J Cancer 45, 2009; the perpendicular is that of Miller et al., "Reporting results of
cancer treatment", Cancer 47, 1981 (WHO).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["AxialDiameter", "hull_corners", "longest_pair", "perpendicular_mm"]


@dataclass(frozen=True, eq=False)
class AxialDiameter:
    """The longest diameter of a lesion in one slice.

    Args:
        length_mm: distance of its two ends.
        corners_mm: (k, 2) corners of the lesion's convex hull in that slice, in turn.
        ends: positions of the two ends among the corners.
    """

    length_mm: float
    corners_mm: NDArray[np.float64]
    ends: tuple[int, int]


def hull_corners(points: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the corners of the convex hull of points on a grid, in turn; exact.

    Args:
        points: (n, 2) whole numbers, each point once, sorted by the first, then the second.

    Returns:
        (k, 2), without points along the hull's edges; both ends where all lie on one line.

    Source: Andrew, "Another efficient algorithm for convex hulls in two dimensions", 1979.
    """
    listed = points.tolist()
    if len(listed) <= 2:
        return points
    corners = [*_chain(listed)[:-1], *_chain(listed[::-1])[:-1]]
    return np.array(corners, dtype=np.int64)


def _chain(points: list[list[int]]) -> list[list[int]]:
    """Keep the points at which the boundary, followed along the points, turns left."""
    kept: list[list[int]] = []
    for point in points:
        while len(kept) >= 2 and _turn(kept[-2], kept[-1], point) <= 0:
            kept.pop()
        kept.append(point)
    return kept


def _turn(a: list[int], b: list[int], c: list[int]) -> int:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def longest_pair(corners_mm: NDArray[np.float64]) -> AxialDiameter:
    """Return the two corners (k, 2), k ≥ 1, that lie furthest apart; the first pair where several do."""
    offset = corners_mm[:, None, :] - corners_mm[None, :, :]
    squared = offset[..., 0] ** 2 + offset[..., 1] ** 2  # symmetric to the last bit
    first, second = divmod(int(np.argmax(squared)), len(corners_mm))
    return AxialDiameter(float(np.sqrt(squared[first, second])), corners_mm, (first, second))


def perpendicular_mm(diameter: AxialDiameter) -> float:
    """Return the longest chord of the slice's convex hull at right angles to the diameter.

    The chord's length is piecewise linear along the diameter, so the longest one starts at a corner.
    """
    if diameter.length_mm == 0.0 or len(diameter.corners_mm) < 3:
        return 0.0
    corners = diameter.corners_mm
    along = (corners[diameter.ends[1]] - corners[diameter.ends[0]]) / diameter.length_mm
    place = corners @ along
    height = corners @ np.array([-along[1], along[0]])
    next_place, next_height = np.roll(place, -1), np.roll(height, -1)
    run = next_place - place
    with np.errstate(divide="ignore", invalid="ignore"):
        share = (place[:, None] - place[None, :]) / run[None, :]  # (corner, edge)
    crossed = (share >= 0.0) & (share <= 1.0)
    share = np.where(crossed, share, 0.0)
    met = height[None, :] + share * (next_height - height)[None, :]
    top = np.maximum(np.where(crossed, met, -np.inf).max(axis=1), height)
    bottom = np.minimum(np.where(crossed, met, np.inf).min(axis=1), height)
    return float((top - bottom).max())
