"""How two grids lie to each other, by headers alone."""

import itertools

import numpy as np

from somray.domain.geometry import Geometry

__all__ = ["is_same_grid", "overlap_fraction"]

_CORNERS = np.array(list(itertools.product((0.0, 1.0), repeat=3)))
_SAME = 0.01  # of a voxel: what headers round


def is_same_grid(one: Geometry, other: Geometry) -> bool:
    """Whether two grids have the same voxels at the same places, to a hundredth of a voxel."""
    if one.shape != other.shape:
        return False
    corners = _CORNERS * (np.array(one.shape) - 1)
    apart = one.to_index(other.to_world(corners)) - corners
    return bool(np.abs(apart).max() <= _SAME * max(one.shape))


def overlap_fraction(one: Geometry, other: Geometry) -> float:
    """Return the share of the first grid's box that the other's box covers, both along the first's axes."""
    corners = one.to_index(other.to_world(_CORNERS * np.array(other.shape) - 0.5))
    low, high = corners.min(axis=0), corners.max(axis=0)
    size = np.array(one.shape, dtype=np.float64)
    inside = np.minimum(high, size - 0.5) - np.maximum(low, -0.5)
    return float(np.prod(np.clip(inside, 0, None) / size))
