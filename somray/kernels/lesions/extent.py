"""The axes of lesions, from their outermost voxels only.

The two voxels furthest apart are corners of the convex hull, so each slice keeps only the corners of the hull of
a lesion's voxels, and a lesion is measured and forgotten once its last slice has passed: what is held are the
corners of lesions that go on. Corners are found on whole numbers, so it matters nothing how bricks were cut.
"""

import contextlib

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull, QhullError

from somray.domain.geometry import Geometry
from somray.kernels.compiled import compiled
from somray.kernels.lesions.axial import hull_corners, plane_hulls, widest_slices
from somray.kernels.lesions.placing import placed_mm

__all__ = ["ExtremePoints", "largest_distance"]

_HULL_FROM = 1024  # points; below that all pairs are compared at once
_COARSE = (
    1.5  # times the next larger edge of a voxel: slices so thick were acquired, not cut afterwards
)

Corners = tuple[NDArray[np.int32], NDArray[np.int64]]  # (k, 4) lesion, z, y, x, and their cuts


class ExtremePoints:
    """Collects, slab by slab, the voxels that can be ends of a lesion's longest axes.

    Args:
        geometry: grid of the volume.
        last: (n,) by lesion the last slice that it has.
    """

    def __init__(self, geometry: Geometry, last: NDArray[np.int64]) -> None:
        self._geometry, self._last = geometry, last
        self._normal = _normal_axis(geometry)
        self._plane = _plane_axes(geometry, *(axis for axis in range(3) if axis != self._normal))
        self._upright: list[NDArray[np.int32]] = []  # corners in slices that run through slabs
        self._pending: list[Corners] = []  # of the bricks of this slab
        self._open = np.zeros((0, 4), dtype=np.int32)  # corners of lesions that go on
        self._outermost = np.zeros((0, 3), dtype=np.int32)  # of all lesions
        self.longest_mm = np.zeros(len(last))
        """(n,) largest distance between two voxel centres of each lesion, once its last slice has passed."""
        self.axial_mm = np.full(len(last), -1.0)
        """(n,) the same within one slice of those that a reader measures in, however the scan is stored."""
        self.across_mm = np.zeros(len(last))
        """(n,) longest perpendicular to it in that slice's hull."""

    def add_brick(self, labels: NDArray[np.int32], corner: tuple[int, int, int]) -> None:
        """Take a brick of the slab: lesions (z, y, x), 0 outside, and where it begins."""
        ends = _run_ends(labels, *corner)
        if len(ends):
            ends = ends[np.argsort(ends[:, 0], kind="stable")]  # then by z, y, x: they came so
            self._pending.append(plane_hulls(ends, _cuts(ends)))
        if self._normal and len(ends):
            self._upright.append(_upright_ends(labels, corner, self._normal))

    def close_slab(self, z1: int) -> None:
        """Take note that all bricks of slices before z1 were taken."""
        if not self._pending:
            return
        corners, cuts = self._pending[0]
        if len(self._pending) > 1:  # a hull of hulls
            every = np.concatenate([part for part, _ in self._pending])
            every = every[np.lexsort(every.T[::-1])]
            corners, cuts = plane_hulls(every, _cuts(every))
        self._pending = []
        if self._normal:
            self._close_upright(z1)
        else:
            widest_slices(corners, cuts, self._plane, self.axial_mm, self.across_mm)
        self._outermost = _outer(np.concatenate([self._outermost, corners[:, 1:]]))
        held = np.concatenate([self._open, corners])
        passed = self._last[held[:, 0]] < z1
        self._open = held[~passed]
        self._measure(held[passed])

    def _close_upright(self, z1: int) -> None:
        """Measure the slices of lesions that are complete, where slices run through all slabs."""
        every = np.concatenate(self._upright)
        every = every[np.lexsort(every.T[::-1])]
        corners, _ = plane_hulls(every, _cuts(every))
        passed = self._last[corners[:, 0]] < z1
        done, self._upright = corners[passed], [corners[~passed]]
        widest_slices(done, _cuts(done), self._plane, self.axial_mm, self.across_mm)

    def furthest_mm(self) -> float | None:
        """Return the largest distance between two voxel centres of any lesions; None without one."""
        if not len(self._outermost):
            return None
        return largest_distance(placed_mm(self._geometry, self._outermost))

    def _measure(self, corners: NDArray[np.int32]) -> None:
        """Find the longest axis of lesions that are complete."""
        corners = corners[np.argsort(corners[:, 0], kind="stable")]
        points = placed_mm(self._geometry, corners[:, 1:])
        starts = np.flatnonzero(np.diff(corners[:, 0], prepend=-1))
        cuts = np.append(starts, len(corners))
        for m in np.flatnonzero(np.diff(cuts) > _HULL_FROM).tolist():
            part = slice(cuts[m], cuts[m + 1])
            self.longest_mm[corners[cuts[m], 0]] = largest_distance(points[part])
        _longest(points, cuts, corners[starts, 0], self.longest_mm)


def _normal_axis(geometry: Geometry) -> int:
    """Return the axis (0 is z) across the slices that a reader measures in.

    Those that were acquired where voxels are clearly longest across them; else the patient's axial ones. So an
    examination gives the same figures in whichever order of axes it is stored.
    """
    if 1 in geometry.shape:
        return geometry.shape.index(1)
    spacing = np.asarray(geometry.spacing_mm)
    coarse = int(np.argmax(spacing))
    if spacing[coarse] >= _COARSE * np.delete(spacing, coarse).max():
        return coarse
    return next(axis for axis in range(3) if axis not in geometry.axial_axes)


def _plane_axes(geometry: Geometry, first: int, second: int) -> NDArray[np.float64]:
    """Return the steps along two axes of the array in mm on two axes of their plane at right angles, (2, 2)."""
    step, base = geometry.matrix[:3, 2 - first], geometry.matrix[:3, 2 - second]
    length = float(np.linalg.norm(base))
    shear = float(step @ base) / length
    upright = float(np.sqrt(max(0.0, float(step @ step) - shear**2)))
    return np.array([[upright, shear], [0.0, length]])


def _upright_ends(
    labels: NDArray[np.int32], corner: tuple[int, int, int], normal: int
) -> NDArray[np.int32]:
    """List lesion, place along axis 1 or 2, and the other two of the ends of runs within those slices."""
    z0, y0, x0 = corner
    if normal == 1:
        ends = _run_ends(labels, z0, y0, x0)
    else:
        ends = _run_ends(np.ascontiguousarray(labels.swapaxes(1, 2)), z0, x0, y0)
    return np.ascontiguousarray(ends[:, [0, 2, 1, 3]])


def _cuts(points: NDArray[np.int32]) -> NDArray[np.int64]:
    """Tell where in (n, 4) sorted points another lesion or slice begins, and n."""
    new = np.diff(points[:, :2], axis=0, prepend=-1).any(axis=1)
    return np.append(np.flatnonzero(new), len(points)).astype(np.int64)


@compiled
def _run_ends(labels: NDArray[np.int32], z0: int, y0: int, x0: int) -> NDArray[np.int32]:
    """List both ends of every run of a lesion along x, in scan order: lesion, z, y, x of the volume."""
    found = np.empty((0, 4), dtype=np.int32)
    for step in range(2):  # counted, then listed
        size = 0
        for z in range(labels.shape[0]):
            for y in range(labels.shape[1]):
                row = labels[z, y]
                for x in range(len(row)):
                    lesion = row[x]
                    if lesion > 0 and not (
                        0 < x < len(row) - 1 and row[x - 1] == lesion and row[x + 1] == lesion
                    ):
                        if step == 1:
                            found[size, 0] = lesion
                            found[size, 1], found[size, 2], found[size, 3] = z0 + z, y0 + y, x0 + x
                        size += 1
        if step == 0:
            found = np.empty((size, 4), dtype=np.int32)
    return found


@compiled
def _longest(
    points: NDArray[np.float64],
    cuts: NDArray[np.int64],
    lesions: NDArray[np.int32],
    longest: NDArray[np.float64],
) -> None:
    """Compare all pairs of points of every lesion that has not too many."""
    for m in range(len(lesions)):
        part = points[cuts[m] : cuts[m + 1]]
        if len(part) <= _HULL_FROM:
            longest[lesions[m]] = np.sqrt(_largest_squared(part))


@compiled
def _largest_squared(points: NDArray[np.float64]) -> float:
    best = 0.0
    for i in range(len(points)):
        for j in range(i + 1, len(points)):
            x, y, z = (
                points[i, 0] - points[j, 0],
                points[i, 1] - points[j, 1],
                points[i, 2] - points[j, 2],
            )
            best = max(best, x * x + y * y + z * z)
    return best


def largest_distance(points: NDArray[np.float64]) -> float:
    """Return the largest distance between two points.

    Args:
        points: (n, 3), n ≥ 1.

    Returns:
        The distance in the points' unit; 0 for a single point.
    """
    if len(points) > _HULL_FROM:
        with contextlib.suppress(QhullError):  # on a line or plane the hull has no volume
            points = points[np.sort(ConvexHull(points).vertices)]
    return float(np.sqrt(_largest_squared(np.ascontiguousarray(points))))


def _outer(index: NDArray[np.int32]) -> NDArray[np.int32]:
    """Leave only corners of the hull of voxels (n, 3); in z, y, x."""
    if len(index) <= _HULL_FROM:
        return index
    try:
        return np.asarray(index[np.sort(ConvexHull(index.astype(np.float64)).vertices)])
    except QhullError:
        if (index[:, 0] != index[0, 0]).any():  # an oblique plane or a line
            return np.unique(index, axis=0)
        plane = np.ascontiguousarray(np.unique(index[:, 1:], axis=0), dtype=np.int64)
        return np.insert(hull_corners(plane).astype(np.int32), 0, index[0, 0], axis=1)
