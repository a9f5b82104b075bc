"""Points moved by an affine, each by itself.

A product of matrices may round a row otherwise when others come with it. Here the bits of a point depend on the point
alone, so points may come in any pieces.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from somray.domain.geometry import Geometry

__all__ = ["moved", "placed_mm", "voxels_of"]


def moved(points: NDArray[np.float64], matrix: NDArray[np.floating]) -> NDArray[np.float64]:
    """Apply a (4, 4) affine to points (n, 3)."""
    x, y, z = (points[:, k, None] for k in range(3))
    return np.asarray(x * matrix[:3, 0] + y * matrix[:3, 1] + z * matrix[:3, 2] + matrix[:3, 3])


def placed_mm(geometry: Geometry, index: NDArray[Any]) -> NDArray[np.float64]:
    """Take voxel indices (n, 3) in z, y, x to LPS mm (n, 3) in x, y, z."""
    return moved(index[:, ::-1].astype(np.float64), geometry.matrix)


def voxels_of(geometry: Geometry, points_mm: NDArray[np.float64]) -> NDArray[np.float64]:
    """Take LPS mm (n, 3) in x, y, z to voxel coordinates (n, 3) in z, y, x."""
    return np.asarray(moved(points_mm, np.linalg.inv(geometry.matrix))[:, ::-1])
