"""Diameters within one slice of the image: the longest, and the longest perpendicular to it.

What RECIST measures on axial slices, here on those that were acquired, whatever order of axes the image is stored
in (`extent`). Points are voxel centres, so a
diameter is about a pixel shorter than from edge to edge; where a lesion has several parts in a slice, the
diameter spans them. Hulls are found on whole numbers, so no rounding decides which voxel is a corner.

Source: Eisenhauer et al., "New response evaluation criteria in solid tumours: revised RECIST guideline
(version 1.1)", Eur J Cancer 45, 2009; the perpendicular is that of Miller et al., "Reporting results of
cancer treatment", Cancer 47, 1981 (WHO).
"""

import numpy as np
from numpy.typing import NDArray

from somray.kernels.compiled import compiled

__all__ = ["hull_corners", "plane_hulls", "widest_slices"]


@compiled
def hull_corners(points: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the corners of the convex hull of points on a grid, in turn; exact.

    Args:
        points: (n, 2) whole numbers, each point once, sorted by the first, then the second.

    Returns:
        (k, 2), without points along the hull's edges; both ends where all lie on one line.

    Source: Andrew, "Another efficient algorithm for convex hulls in two dimensions", 1979.
    """
    count = len(points)
    if count <= 2:
        return points.copy()
    kept = np.empty((2 * count, 2), dtype=np.int64)
    size, least = 0, 2  # of the side that is being built; its first corner is never dropped
    for step in range(2 * count - 1):
        here = points[step] if step < count else points[2 * count - 2 - step]
        if step == count:
            least = size + 1
        while size >= least and _turn(kept[size - 2], kept[size - 1], here) <= 0:
            size -= 1
        kept[size, 0], kept[size, 1] = here[0], here[1]
        size += 1
    return kept[: size - 1].copy()  # the way back ends where it began


@compiled
def _turn(a: NDArray[np.int64], b: NDArray[np.int64], c: NDArray[np.int64]) -> int:
    return int((b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]))


@compiled
def _furthest(corners: NDArray[np.float64]) -> tuple[float, int, int]:
    """Return the squared distance of the two corners (k, 2) furthest apart, and which: the first of several."""
    best, first, second = 0.0, 0, 0
    for i in range(len(corners)):
        for j in range(i + 1, len(corners)):
            across, along = corners[i, 0] - corners[j, 0], corners[i, 1] - corners[j, 1]
            squared = across * across + along * along
            if squared > best:
                best, first, second = squared, i, j
    return best, first, second


@compiled
def _perpendicular(corners: NDArray[np.float64], first: int, second: int, length: float) -> float:
    """Return the longest chord of a hull at right angles to its diameter from one corner to another.

    The chord's length is piecewise linear along the diameter, so the longest one starts at a corner.
    """
    if length == 0.0 or len(corners) < 3:
        return 0.0
    step_y = (corners[second, 0] - corners[first, 0]) / length
    step_x = (corners[second, 1] - corners[first, 1]) / length
    along = corners[:, 0] * step_y + corners[:, 1] * step_x
    across = corners[:, 1] * step_y - corners[:, 0] * step_x
    return _longest_chord(along, across)


@compiled
def _longest_chord(along: NDArray[np.float64], across: NDArray[np.float64]) -> float:
    """Cut a convex polygon (corners in turn) across, at each of its corners."""
    longest, count = 0.0, len(along)
    for corner in range(count):
        place = along[corner]
        top, bottom = across[corner], across[corner]
        for end in range(count):
            start = (end + count - 1) % count
            run = along[end] - along[start]
            if run != 0.0 and (along[start] - place) * (along[end] - place) <= 0.0:
                met = across[start] + (place - along[start]) / run * (across[end] - across[start])
                top, bottom = max(top, met), min(bottom, met)
        longest = max(longest, top - bottom)
    return longest


@compiled
def plane_hulls(
    points: NDArray[np.int32], cuts: NDArray[np.int64]
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Take of every lesion and slice the corners of the convex hull of its points.

    Args:
        points: (n, 4) lesion, z, y, x, sorted so.
        cuts: (m + 1,) where a lesion's points of one slice begin, and n.

    Returns:
        (k, 4) corners, in turn within a lesion and slice, and their (m + 1,) cuts.
    """
    kept, size = np.empty_like(points), 0
    begins = np.zeros_like(cuts)
    for m in range(len(cuts) - 1):
        start = cuts[m]
        corners = hull_corners(points[start : cuts[m + 1], 2:].astype(np.int64))
        for corner in corners:
            for k in range(2):  # assigned slices would take numba a second to compile
                kept[size, k], kept[size, 2 + k] = points[start, k], corner[k]
            size += 1
        begins[m + 1] = size
    return kept[:size].copy(), begins


@compiled
def widest_slices(
    corners: NDArray[np.int32],
    cuts: NDArray[np.int64],
    plane: NDArray[np.float64],
    length: NDArray[np.float64],
    across: NDArray[np.float64],
) -> None:
    """Note every lesion's longest diameter in a slice and its longest perpendicular there, the first of several.

    Args:
        corners: (k, 4) as `plane_hulls` gives them, z ascending within a lesion.
        cuts: (m + 1,) of them.
        plane: (2, 2) mm of a step along y and along x on two axes at right angles.
        length: by lesion, the longest so far, −1 before the first; changed.
        across: by lesion, its perpendicular; changed.
    """
    for m in range(len(cuts) - 1):
        part = corners[cuts[m] : cuts[m + 1]]
        placed = np.empty((len(part), 2))
        for n in range(len(part)):
            placed[n, 0] = part[n, 2] * plane[0, 0]
            placed[n, 1] = part[n, 2] * plane[0, 1] + part[n, 3] * plane[1, 1]
        squared, first, second = _furthest(placed)
        longest, lesion = np.sqrt(squared), part[0, 0]
        if longest > length[lesion]:
            length[lesion] = longest
            across[lesion] = _perpendicular(placed, first, second, longest)
