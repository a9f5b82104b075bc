"""Where the voxels of one grid lie among those of another: the one home of grid-to-grid index maps.

An index map (4, 4) takes indices (z, y, x, 1) of the *target* grid, whose voxels are filled, to those of the
*source* grid, which is read. Motions in mm here sample: target LPS mm to source LPS mm, the inverse of a
registration's matrix. Affines count x, y, z; an index map counts as arrays do.
"""

import numpy as np
from numpy.typing import NDArray

from somray.domain.geometry import Geometry

__all__ = ["corner_indices", "index_map", "linear_part", "slice_coordinates"]

Matrix = NDArray[np.float64]


def index_map(
    source: Geometry, target: Geometry, sampling: NDArray[np.floating] | None = None
) -> Matrix:
    """Return the index map from a target grid to a source grid.

    Args:
        source: grid that is read.
        target: grid that is filled.
        sampling: (4, 4) target LPS mm to source LPS mm; where left out, both lie in one space.
    """
    back = np.linalg.inv(source.matrix)
    xyz = (back if sampling is None else back @ sampling) @ target.matrix
    return np.ascontiguousarray(xyz[[2, 1, 0, 3]][:, [2, 1, 0, 3]], dtype=np.float64)


def linear_part(index: Matrix) -> tuple[Matrix, Matrix]:
    """Return (3, 3) and (3,): an index map as scipy's resampling asks for it."""
    return index[:3, :3].copy(), index[:3, 3].copy()


def slice_coordinates(index: Matrix, z: float, rows: slice, columns: slice) -> Matrix:
    """Return (3, rows, columns): where pixels of target slice z lie in the source, z, y, x."""
    y, x = np.mgrid[rows, columns].astype(np.float64)
    return np.stack([r[0] * z + r[1] * y + r[2] * x + r[3] for r in index[:3]])


def corner_indices(shape: tuple[int, ...]) -> Matrix:
    """Return the eight corner voxels' indices of a grid, (8, 3) in z, y, x."""
    ends = [(0.0, float(size - 1)) for size in shape]
    return np.array(np.meshgrid(*ends, indexing="ij")).reshape(3, -1).T
