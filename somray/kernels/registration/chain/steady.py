"""Where the slices of a chain lie, and what is slow of it taken out.

Slices that lie loose jump about their places; what they do together over many slices is anatomy, or errors
that added up, and cannot be told from a true drift. The file's own order is the better guess there.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

__all__ = ["Place", "steadied"]

Matrix = NDArray[np.float64]

_REACH = (
    10  # slices to either side whose median counts as slow: bench_chain.py, every slice misplaced
)


@dataclass(frozen=True, eq=False)
class Place:
    """Where a slice lies: both matrices take it to the reference.

    Args:
        found: every step as it was found.
        counted: only what counts.
        status: of its step toward the reference.
        reason: why that is not ok.
    """

    found: Matrix
    counted: Matrix
    status: str = "ok"
    reason: str | None = None


def steadied(
    placed: Mapping[int, Place], reference: int, shape: tuple[int, int]
) -> dict[int, Place]:
    """Take out of rigid motions what is slow along z: the running median of shift and turn.

    Args:
        placed: slice to its place.
        reference: the slice that all are brought to.
        shape: rows and columns of a slice.

    Returns:
        The places; the same ones where there are too few slices for anything to be slow.
    """
    slices = sorted(placed)
    if len(slices) <= 2 * _REACH + 1:
        return dict(placed)
    middle = np.array([(shape[1] - 1) / 2.0, (shape[0] - 1) / 2.0])
    motions = [placed[z].counted for z in slices]
    shifts = np.array([m[:2, :2] @ middle + m[:2, 2] - middle for m in motions])
    turns = np.unwrap([np.arctan2(m[1, 0], m[0, 0]) for m in motions])
    poses = np.column_stack([shifts, turns])
    steady = {}
    for n, z in enumerate(slices):
        slow = np.median(poses[max(0, n - _REACH) : n + _REACH + 1], axis=0)
        steady[z] = np.linalg.inv(_about(middle, slow)) @ motions[n]
    back = np.linalg.inv(steady[reference])
    return {z: replace(placed[z], counted=back @ matrix) for z, matrix in steady.items()}


def _about(middle: NDArray[np.float64], pose: NDArray[np.float64]) -> Matrix:
    """Return the turn about a slice's middle and the shift of it that a pose (x, y, radians) names."""
    cosine, sine = np.cos(pose[2]), np.sin(pose[2])
    motion = np.eye(3)
    motion[:2, :2] = [[cosine, -sine], [sine, cosine]]
    motion[:2, 2] = middle + pose[:2] - motion[:2, :2] @ middle
    return motion
