"""Motions in space: fitted to points, told apart, and measured over the corners of a volume.

Matrices (4, 4) act on LPS mm (x, y, z, 1). What a motion does is told by where it takes points, never by
its numbers: translations of a turned frame mean nothing alone.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from somray.domain.geometry import Geometry

__all__ = [
    "apart_mm",
    "corners_of",
    "fit_rigid",
    "is_believable",
    "is_rigid",
    "motion_about",
    "nearest_rotation",
    "reflected",
]

Matrix = NDArray[np.float64]
Points = NDArray[np.float64]

_STRETCH = (0.8, 1.25)  # a body or specimen between two sessions, shear included
_RIGID = 1e-6


def fit_rigid(source: Points, target: Points) -> Matrix:
    """Fit the rigid motion (4, 4) that takes points (n, 3) to points (n, 3) in least squares.

    Source: Umeyama, "Least-squares estimation of transformation parameters", 1991, scale fixed at 1.
    """
    from_mean, to_mean = source.mean(axis=0), target.mean(axis=0)
    matrix = np.eye(4)
    matrix[:3, :3] = nearest_rotation((target - to_mean).T @ (source - from_mean))
    matrix[:3, 3] = to_mean - matrix[:3, :3] @ from_mean
    return matrix


def nearest_rotation(linear: Matrix) -> Matrix:
    """Return the rotation (3, 3) nearest to a matrix (3, 3); never a reflection."""
    left, _, right = np.linalg.svd(linear)
    sign = np.diag([1.0, 1.0, np.sign(np.linalg.det(left @ right))])
    return np.asarray(left @ sign @ right)


def motion_about(centre: Points, turn: Points, shift: Points) -> Matrix:
    """Return the motion that turns about a centre by a rotation vector (radians), then shifts (mm)."""
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_rotvec(turn).as_matrix()
    matrix[:3, 3] = centre - matrix[:3, :3] @ centre + shift
    return matrix


def reflected(geometry: Geometry, axis: int) -> Geometry:
    """Return the grid whose voxels lie mirrored in LPS x, y or z (axis 0, 1, 2) about its middle."""
    middle = (np.array([geometry.shape], dtype=np.float64) - 1) / 2
    place = float(geometry.to_world(middle)[0, axis])
    mirror = np.eye(4)
    mirror[axis, axis], mirror[axis, 3] = -1.0, 2.0 * place
    return Geometry.from_matrix(geometry.shape, mirror @ geometry.matrix)


def is_believable(matrix: Matrix) -> bool:
    """Tell whether a motion keeps hands as they are and stretches no direction beyond 0.8 to 1.25."""
    stretch = np.linalg.svd(matrix[:3, :3], compute_uv=False)
    upright = float(np.linalg.det(matrix[:3, :3])) > 0
    return upright and bool(stretch[2] >= _STRETCH[0] and stretch[0] <= _STRETCH[1])


def is_rigid(matrix: Matrix) -> bool:
    """Tell whether a motion keeps all lengths."""
    linear = matrix[:3, :3]
    return bool(np.abs(linear.T @ linear - np.eye(3)).max() < _RIGID)


def corners_of(geometry: Geometry) -> Points:
    """Return the eight corner voxels' centres (8, 3) in LPS mm."""
    ends = np.array([[z, y, x] for z in (0, 1) for y in (0, 1) for x in (0, 1)], dtype=np.float64)
    return geometry.to_world(ends * (np.array(geometry.shape) - 1))


def apart_mm(one: Matrix, other: Matrix, points: Points) -> float:
    """Return the mean distance (mm) between where two motions take points (n, 3)."""
    first = points @ one[:3, :3].T + one[:3, 3]
    second = points @ other[:3, :3].T + other[:3, 3]
    return float(np.linalg.norm(first - second, axis=1).mean())
