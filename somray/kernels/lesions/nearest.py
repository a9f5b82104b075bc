"""How far each lesion lies from the nearest other one."""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

__all__ = ["nearest_mm"]


def nearest_mm(
    points_mm: NDArray[np.float64], owner: NDArray[np.integer], lesions: int
) -> NDArray[np.float64]:
    """Return the least distance between a point of each lesion and one of any other.

    Points of different lesions differ in at least one binary digit of their numbers. So for each digit the
    points that have it look for the nearest of those that lack it, and the other way round: each lesion has
    met every other one, and never itself.

    Args:
        points_mm: (n, 3) centres of the voxels on the lesions' rims.
        owner: (n,) number of the lesion that each belongs to, from 0.
        lesions: how many there are; each has a point.

    Returns:
        (lesions,) float64 in mm; NaN for a lone one.

    Cost: O(n log n · log lesions) time, O(n) memory.
    """
    nearest = np.full(lesions, np.inf)
    for digit in range(max(0, lesions - 1).bit_length()):
        has = (owner >> digit) & 1 == 1
        for here, there in ((has, ~has), (~has, has)):
            found, _ = cKDTree(points_mm[there]).query(points_mm[here])
            np.minimum.at(nearest, owner[here], found)
    return np.where(np.isinf(nearest), np.nan, nearest)
