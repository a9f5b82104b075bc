"""How the patient (or specimen) lies in each session: rigid poses and the shift of single slices.

A pose takes scene mm to world LPS mm. `movement[s]` takes world to world, session 0 to session s:
pose[s] = movement[s] @ pose[0].
"""

import numpy as np
from numpy.typing import NDArray

__all__ = ["movements", "rotation", "slice_jitter"]

DEGREES = ((0.4, 1.5), (0.4, 1.5), (1.5, 4.0))
"""Smallest and largest turn about x, y and z: a patient rolls less than the table lets him twist."""
JITTER_VOXELS = 0.15
"""Standard deviation of the shift of one slice against its neighbours, in voxels, cut at 0.4."""


def rotation(degrees: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the 3×3 rotation about x, then y, then z by the given degrees."""
    (cx, cy, cz), (sx, sy, sz) = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return np.asarray(about_z @ about_y @ about_x)


def movements(
    rng: np.random.Generator, sessions: int, center: NDArray[np.float64],
    reach_mm: tuple[float, float, float],
) -> list[NDArray[np.float64]]:  # fmt: skip
    """Draw the true movement of each session; the first is the identity.

    Args:
        rng: source of the draws.
        sessions: how many.
        center: world point about which the patient turns.
        reach_mm: largest shift along x, y, z; the smallest is 0.35 of it, so that none is still.

    Returns:
        One (4, 4) matrix per session, LPS mm, session 0 to that session.
    """
    found = [np.eye(4)]
    for _ in range(sessions - 1):
        signs = rng.choice([-1.0, 1.0], size=(2, 3))
        degrees = signs[0] * [rng.uniform(*span) for span in DEGREES]
        shift = signs[1] * rng.uniform(0.35, 1.0, size=3) * reach_mm
        matrix = np.eye(4)
        matrix[:3, :3] = rotation(degrees)
        matrix[:3, 3] = center + shift - matrix[:3, :3] @ center
        found.append(matrix)
    return found[:sessions]


def slice_jitter(rng: np.random.Generator, slices: int, voxel_mm: float) -> NDArray[np.float64]:
    """Draw the small shift of each slice along x and y in mm, (z, 2)."""
    return np.clip(rng.normal(0.0, JITTER_VOXELS, (slices, 2)), -0.4, 0.4) * voxel_mm
