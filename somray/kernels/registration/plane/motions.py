"""Plane motions as numbers: how far one moves a slice, how far two differ, their mean, their rigid part.

A motion is a (3, 3) matrix in pixels (x, y, 1). What it does to a slice is measured on points spread over
it, so that turns, stretches and homographies count by the way that pixels really go.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "affine_part",
    "apart_mm",
    "mean_motion",
    "moved_mm",
    "normalised",
    "on_finer_pixels",
    "rigid_part",
]

Matrix = NDArray[np.float64]

_SPREAD = np.linspace(0.1, 0.9, 5)  # shares of the slice where motions are compared


def normalised(matrix: Matrix) -> Matrix:
    """Scale a matrix so that its last entry is 1: the same motion, comparable numbers."""
    return np.asarray(matrix / matrix[2, 2], dtype=np.float64)


def apart_mm(
    one: Matrix, other: Matrix, shape: tuple[int, int], spacing_mm: tuple[float, float]
) -> float:
    """Return the mean distance between where two motions take a slice.

    Args:
        one: (3, 3) pixels to pixels.
        other: (3, 3) pixels to pixels.
        shape: rows and columns of the slice.
        spacing_mm: (y, x) distance of pixel centres; (1, 1) gives pixels.
    """
    y, x = np.meshgrid(_SPREAD * (shape[0] - 1), _SPREAD * (shape[1] - 1))
    points = np.stack([x.ravel(), y.ravel(), np.ones(x.size)])
    first, second = one @ points, other @ points
    apart = first[:2] / first[2] - second[:2] / second[2]
    return float(np.hypot(apart[0] * spacing_mm[1], apart[1] * spacing_mm[0]).mean())


def moved_mm(matrix: Matrix, shape: tuple[int, int], spacing_mm: tuple[float, float]) -> float:
    """Return the mean way that a motion takes a slice's pixels; see `apart_mm`."""
    return apart_mm(matrix, np.eye(3), shape, spacing_mm)


def mean_motion(motions: Sequence[Matrix]) -> Matrix:
    """Return the mean of motions that nearly agree; similarities give one, so do affine motions."""
    return np.asarray(np.mean([normalised(m) for m in motions], axis=0), dtype=np.float64)


def rigid_part(
    matrix: Matrix, shape: tuple[int, int], spacing_mm: tuple[float, float] = (1.0, 1.0)
) -> Matrix:
    """Return the turn and shift of a motion without its stretch: the slice's middle goes the same way.

    Args:
        matrix: (3, 3) pixels to pixels, of positive determinant.
        shape: rows and columns of the slice.
        spacing_mm: (y, x); a turn is one in mm, also where pixels are not square.
    """
    flat = affine_part(matrix, shape)
    in_mm = np.diag([spacing_mm[1], spacing_mm[0]])
    left, _, right = np.linalg.svd(in_mm @ flat[:2, :2] @ np.linalg.inv(in_mm))
    return _about_middle(np.linalg.inv(in_mm) @ (left @ right) @ in_mm, flat, shape)


def affine_part(matrix: Matrix, shape: tuple[int, int]) -> Matrix:
    """Return the affine motion that does to a slice's middle what a homography does there."""
    middle = np.array([(shape[1] - 1) / 2.0, (shape[0] - 1) / 2.0])
    u, v, w = (float(c) for c in matrix @ (*middle, 1.0))
    linear = (matrix[:2, :2] - np.outer((u / w, v / w), matrix[2, :2])) / w
    flat = np.eye(3)
    flat[:2, :2], flat[:2, 2] = linear, np.array([u / w, v / w]) - linear @ middle
    return flat


def on_finer_pixels(matrix: Matrix, factor: float, moving: float | None = None) -> Matrix:
    """Express a motion between coarse pixels in the pixels that they are means of.

    Args:
        matrix: (3, 3) coarse pixels of moving to coarse pixels of fixed.
        factor: fine pixels along a coarse one of fixed; 1 / factor for the way back.
        moving: the same of moving; as of fixed where left out.

    Returns:
        (3, 3) fine pixels to fine pixels: a coarse pixel's centre lies (factor − 1) / 2 fine ones inwards.
    """
    other = factor if moving is None else moving
    if factor == other == 1.0:
        return matrix
    return np.asarray(_means(factor) @ matrix @ np.linalg.inv(_means(other)), dtype=np.float64)


def _means(factor: float) -> Matrix:
    inwards = (factor - 1.0) / 2.0
    return np.array([[factor, 0.0, inwards], [0.0, factor, inwards], [0.0, 0.0, 1.0]])


def _about_middle(linear: Matrix, motion: Matrix, shape: tuple[int, int]) -> Matrix:
    """Return the motion with another linear part that takes the slice's middle to the same place."""
    middle = np.array([(shape[1] - 1) / 2.0, (shape[0] - 1) / 2.0])
    there = motion[:2, :2] @ middle + motion[:2, 2]
    changed = np.eye(3)
    changed[:2, :2], changed[:2, 2] = linear, there - linear @ middle
    return changed
