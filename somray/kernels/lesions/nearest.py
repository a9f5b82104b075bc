"""How far each lesion lies from the nearest other one, exactly, without comparing all with all.

The nearest voxels of two lesions lie on their rims, since a step towards the other is always shorter where axes
stand at right angles. Cells of rim voxels (`rim`) whose boxes lie further apart than some voxel of another
lesion is known to lie are not asked; of what is left the voxels are read once more, brick by brick, and held only
until the last partner has come.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from somray.domain.geometry import Geometry
from somray.kernels.compiled import compiled
from somray.kernels.lesions.placing import placed_mm
from somray.kernels.lesions.rim import RimCells, RimPieces

__all__ = ["NearestMeter", "NearestSearch"]

AT_ONCE = 20_000  # cells that look for partners together
FEW_ENTRIES = 2_000_000  # of a table of neighbours
SLACK = 1.0 + 1e-9  # bounds are rounded too

Pairs = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]  # cells, gaps in mm


class NearestMeter:
    """Gathers the cells of all bricks.

    Args:
        geometry: grid of the volume.
        largest: largest number of a lesion.
    """

    def __init__(self, geometry: Geometry, largest: int) -> None:
        self._geometry, self._largest = geometry, largest
        self._parts: list[RimCells] = []

    def add_brick(self, pieces: RimPieces) -> None:
        """Take the rim voxels of a brick that has any; bricks are numbered as they come."""
        self._parts.append(RimCells.of_pieces(pieces))

    def search(self) -> "NearestSearch":
        """Choose which pairs of cells must be compared."""
        cells = RimCells.joined(self._parts)
        brick = np.repeat(np.arange(len(self._parts)), [len(part.lesion) for part in self._parts])
        bound = np.full(self._largest + 1, np.inf)
        if len(np.unique(cells.lesion)) < 2:
            none = np.zeros(0, dtype=np.int64)
            return NearestSearch(self._geometry, cells, brick, (none, none, np.zeros(0)), bound)
        _first_bounds(cells, self._geometry, bound)
        pairs = _partners(cells, self._geometry, bound)
        return NearestSearch(self._geometry, cells, brick, pairs, bound)


class NearestSearch:
    """Compares the rim voxels of cells, brick by brick in the order in which they came first."""

    def __init__(
        self,
        geometry: Geometry,
        cells: RimCells,
        brick: NDArray[np.int64],
        pairs: Pairs,
        bound: NDArray[np.float64],
    ) -> None:
        self._geometry, self._lesion, self._brick, self._bound = (
            geometry,
            cells.lesion,
            brick,
            bound,
        )
        one, other, gap = pairs
        order = np.lexsort((one, gap, brick[other]))  # `other` comes last; the nearest first
        self._pairs = one[order], other[order], gap[order]
        self._due = np.full(len(brick), -1)  # brick after which a cell is not needed
        np.maximum.at(self._due, one, brick[other])
        np.maximum.at(self._due, other, brick[other])
        self._held: dict[int, NDArray[np.float64]] = {}
        self._squared = np.full(len(bound), np.inf)

    @property
    def bricks(self) -> list[int]:
        """Numbers of the bricks whose rim voxels are needed, ascending."""
        return np.unique(self._brick[self._due >= 0]).tolist()

    @property
    def nearest_mm(self) -> NDArray[np.float64]:
        """(largest + 1,) least distance from another lesion by lesion; NaN for a lone one."""
        return np.where(np.isinf(self._squared), np.nan, np.sqrt(self._squared))

    def add_brick(self, number: int, pieces: RimPieces) -> None:
        """Take the rim voxels of a needed brick once more."""
        base = int(np.searchsorted(self._brick, number))
        points = placed_mm(self._geometry, pieces.points[:, 1:])
        for m in np.flatnonzero(self._due[base : base + len(pieces.cuts) - 1] >= 0).tolist():
            self._held[base + m] = points[pieces.cuts[m] : pieces.cuts[m + 1]].copy()
        part = slice(*np.searchsorted(self._brick[self._pairs[1]], (number, number + 1)).tolist())
        for one, other, gap in zip(*(array[part].tolist() for array in self._pairs), strict=True):
            lesions = self._lesion[one], self._lesion[other]
            bound = max(self._bound[lesions[0]], self._bound[lesions[1]]) * SLACK
            if gap <= bound:
                found = _least_squared(self._held[one], self._held[other], bound * bound)
                for lesion in lesions:
                    self._squared[lesion] = min(self._squared[lesion], found)
                    self._bound[lesion] = min(self._bound[lesion], found**0.5)
        for cell in [cell for cell in self._held if self._due[cell] <= number]:
            del self._held[cell]


def _first_bounds(cells: RimCells, geometry: Geometry, bound: NDArray[np.float64]) -> None:
    """Bound every lesion's distance by one voxel of each cell and the nearest such voxel of another lesion."""
    some = placed_mm(geometry, cells.ends[:, 0])
    tree, many = cKDTree(some), 8
    while True:
        left = np.flatnonzero(np.isinf(bound[cells.lesion]))
        if not len(left):
            return
        many = min(many, len(some))
        for part in np.array_split(left, -(-len(left) * many // FEW_ENTRIES)):
            apart, near = tree.query(some[part], k=many)
            own = cells.lesion[near] == cells.lesion[part][:, None]
            found = np.where(own, np.inf, apart).min(axis=1)
            np.minimum.at(bound, cells.lesion[part], found)
        many *= 4


def _partners(cells: RimCells, geometry: Geometry, bound: NDArray[np.float64]) -> Pairs:
    """Find the pairs of cells that may hold a lesion's nearest; bounds shrink on the way."""
    box = cells.box.astype(np.float64)
    centre = placed_mm(geometry, box.mean(axis=1))
    radius = _half_diagonals(box[:, 1] - box[:, 0], geometry)
    spacing = np.array(geometry.spacing_mm)
    upright = _least_stretch(geometry)
    tree, widest = cKDTree(centre), float(radius.max())
    found: list[NDArray[np.float64]] = []
    for start in range(0, len(centre), AT_ONCE):
        own = np.arange(start, min(start + AT_ONCE, len(centre)))
        reach = (bound[cells.lesion[own]] + radius[own] + widest) * SLACK
        near = tree.query_ball_point(centre[own], reach)
        one = np.repeat(own, [len(some) for some in near])
        other = np.concatenate([np.asarray(some, dtype=np.int64) for some in near])
        kept = cells.lesion[one] != cells.lesion[other]
        one, other = one[kept], other[kept]
        apart = np.maximum(box[one, 0] - box[other, 1], box[other, 0] - box[one, 1])
        gap = np.sqrt(((np.maximum(apart, 0.0) * spacing) ** 2).sum(axis=1)) * upright
        kept = gap <= bound[cells.lesion[one]] * SLACK
        one, other, gap = one[kept], other[kept], gap[kept]
        _tighten(one, other, cells.ends, cells.lesion, geometry.matrix, bound)
        found.append(np.stack([np.minimum(one, other), np.maximum(one, other), gap]))
    one, other, gap = np.concatenate(found, axis=1)
    one, other = one.astype(np.int64), other.astype(np.int64)
    both = np.maximum(bound[cells.lesion[one]], bound[cells.lesion[other]])
    kept = np.flatnonzero(gap <= both * SLACK)
    _, first = np.unique(one[kept] * len(centre) + other[kept], return_index=True)
    kept = kept[first]
    return one[kept], other[kept], gap[kept]


def _half_diagonals(size: NDArray[np.float64], geometry: Geometry) -> NDArray[np.float64]:
    """Return half the longest diagonal of boxes of (n, 3) voxels in mm."""
    signs = np.array([[1, 1, 1], [1, 1, -1], [1, -1, 1], [-1, 1, 1]])
    steps = geometry.matrix[:3, :3][:, ::-1]  # columns: mm per step along z, y, x
    every = [np.linalg.norm((size * sign) @ steps.T, axis=1) for sign in signs]
    return np.asarray(np.max(every, axis=0) / 2.0)


def _least_stretch(geometry: Geometry) -> float:
    """Return what a distance is at least of that between axes at right angles; 1 where they are."""
    axes = geometry.matrix[:3, :3] / np.linalg.norm(geometry.matrix[:3, :3], axis=0)
    return float(np.sqrt(max(0.0, np.linalg.eigvalsh(axes.T @ axes)[0]))) / SLACK


@compiled
def _tighten(
    one: NDArray[np.int64],
    other: NDArray[np.int64],
    ends: NDArray[np.int32],
    lesion: NDArray[np.int32],
    matrix: NDArray[np.float64],
    bound: NDArray[np.float64],
) -> None:
    """Bound two lesions' distance by the outermost voxels of their cells."""
    for n in range(len(one)):
        least = np.inf
        for i in range(6):
            for j in range(6):
                squared = 0.0
                for k in range(3):
                    along = 0.0
                    for axis in range(3):
                        step = ends[one[n], i, axis] - ends[other[n], j, axis]
                        along += step * matrix[k, 2 - axis]
                    squared += along * along
                least = min(least, squared)
        least = np.sqrt(least)
        bound[lesion[one[n]]] = min(bound[lesion[one[n]]], least)
        bound[lesion[other[n]]] = min(bound[lesion[other[n]]], least)


@compiled
def _least_squared(
    one: NDArray[np.float64], other: NDArray[np.float64], bound_squared: float
) -> float:
    """Return the least squared distance between points (n, 3); infinite where none is within the bound."""
    least = np.inf
    low, high = other[0].copy(), other[0].copy()
    for n in range(len(other)):
        for k in range(3):
            low[k], high[k] = min(low[k], other[n, k]), max(high[k], other[n, k])
    for i in range(len(one)):
        apart = 0.0
        for k in range(3):
            off = max(low[k] - one[i, k], one[i, k] - high[k], 0.0)
            apart += off * off
        if apart > min(least, bound_squared):
            continue
        for j in range(len(other)):
            x, y, z = one[i, 0] - other[j, 0], one[i, 1] - other[j, 1], one[i, 2] - other[j, 2]
            least = min(least, x * x + y * y + z * z)
    return least
