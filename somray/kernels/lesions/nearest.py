"""How far each lesion lies from the nearest other one."""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from somray.kernels.compiled import compiled

__all__ = ["nearest_mm"]

_ALL_PAIRS = 20_000  # up to that many pairs of points are compared one by one, more through a tree


def nearest_mm(
    points_mm: NDArray[np.float64], owner: NDArray[np.integer], lesions: int
) -> NDArray[np.float64]:
    """Return the least distance between a point of each lesion and one of any other.

    Lesions whose boxes lie further apart than the nearest point known so far are not asked.

    Args:
        points_mm: (n, 3) centres of the voxels on the lesions' rims.
        owner: (n,) number of the lesion that each belongs to, from 0.
        lesions: how many there are; each has a point.

    Returns:
        (lesions,) float64 in mm; NaN for a lone one.

    Cost: O(lesions²) for the boxes, and few pairs of lesions that lie near each other.
    """
    if lesions < 2:
        return np.full(lesions, np.nan)
    order = np.argsort(owner, kind="stable")
    parts = np.split(points_mm[order], np.cumsum(np.bincount(owner, minlength=lesions))[:-1])
    low = np.stack([part.min(axis=0) for part in parts])
    high = np.stack([part.max(axis=0) for part in parts])
    some = np.stack([part[len(part) // 2] for part in parts])
    apart, _ = cKDTree(some).query(some, k=2)
    nearest = np.asarray(apart)[:, 1]  # some point of another lesion: a bound
    trees: dict[int, cKDTree] = {}
    for one in range(lesions):
        gap = np.maximum(np.maximum(low - high[one], low[one] - high), 0.0)
        squared = (gap * gap).sum(axis=1)
        squared[one] = np.inf
        near = np.flatnonzero(squared <= nearest[one] ** 2)
        for other in near[np.argsort(squared[near], kind="stable")].tolist():
            if squared[other] > nearest[one] ** 2:
                break
            few, many = sorted((one, other), key=lambda n: len(parts[n]))
            found = _between(parts, few, many, trees)
            nearest[one], nearest[other] = min(nearest[one], found), min(nearest[other], found)
    return np.asarray(nearest)


def _between(
    parts: list[NDArray[np.float64]], few: int, many: int, trees: dict[int, cKDTree]
) -> float:
    """Return the least distance between the points of two lesions."""
    if len(parts[few]) * len(parts[many]) <= _ALL_PAIRS:
        return float(np.sqrt(_least_squared(parts[few], parts[many])))
    if many not in trees:
        trees[many] = cKDTree(parts[many])
    apart, _ = trees[many].query(parts[few])
    return float(np.min(apart))


@compiled
def _least_squared(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    least = np.inf
    for i in range(len(one)):
        for j in range(len(other)):
            z, y, x = one[i, 0] - other[j, 0], one[i, 1] - other[j, 1], one[i, 2] - other[j, 2]
            least = min(least, z * z + y * y + x * x)
    return float(least)
