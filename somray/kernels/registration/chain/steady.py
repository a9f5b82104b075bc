"""What is slow along z, told from what jumps: the running median of shift and turn.

What neighbouring slices do together over many slices is anatomy (a limb that lies askew, a head that tapers), or
errors that added up; a misplaced slice jumps. Motions are rigid, in pixels (x, y, 1), and are told as poses: the
shift of a slice's middle (x, y) and the turn about it in radians.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["REACH", "slow_motions", "without_slow"]

Matrix = NDArray[np.float64]

REACH = 10
"""Neighbours to either side whose median is slow: bench_chain.py, every slice misplaced."""


def slow_motions(motions: Sequence[Matrix | None], shape: tuple[int, int]) -> list[Matrix]:
    """Return what is slow of each of some motions, in their order along z.

    Args:
        motions: (3, 3) each; None where one is not known.
        shape: rows and columns of a slice.

    Returns:
        (3, 3) for each, known or not: the median pose of those known among ten on either side; no motion
        where none is.
    """
    middle = np.array([(shape[1] - 1) / 2.0, (shape[0] - 1) / 2.0])
    known = [n for n, motion in enumerate(motions) if motion is not None]
    there = [motion for motion in motions if motion is not None]
    shifts = np.array([m[:2, :2] @ middle + m[:2, 2] - middle for m in there]).reshape(-1, 2)
    turns = np.unwrap([np.arctan2(m[1, 0], m[0, 0]) for m in there])
    poses = np.full((len(motions), 3), np.nan)
    poses[known] = np.column_stack([shifts, turns])
    slow = []
    for n in range(len(motions)):
        near = poses[max(0, n - REACH) : n + REACH + 1]
        near = near[~np.isnan(near[:, 0])]
        slow.append(_about(middle, np.median(near, axis=0) if len(near) else np.zeros(3)))
    return slow


def without_slow(motions: Sequence[Matrix], shape: tuple[int, int]) -> list[Matrix]:
    """Take out of places along z what is slow of them: loose slices lie about their places in the file.

    Args:
        motions: (3, 3) every slice's to one of them.
        shape: rows and columns of a slice.

    Returns:
        The motions without it; the same ones where there are too few slices for anything to be slow.
    """
    if len(motions) <= 2 * REACH + 1:
        return list(motions)
    slow = slow_motions(motions, shape)
    return [np.linalg.inv(s) @ motion for s, motion in zip(slow, motions, strict=True)]


def _about(middle: NDArray[np.float64], pose: NDArray[np.float64]) -> Matrix:
    """Return the turn about a slice's middle and the shift of it that a pose (x, y, radians) names."""
    cosine, sine = np.cos(pose[2]), np.sin(pose[2])
    motion = np.eye(3)
    motion[:2, :2] = [[cosine, -sine], [sine, cosine]]
    motion[:2, 2] = middle + pose[:2] - motion[:2, :2] @ middle
    return motion
