"""Plane motions refined on intensities: Gauss–Newton on zero-mean normalised differences.

The inverse compositional scheme (Baker & Matthews, "Lucas–Kanade 20 years on", 2004): gradients are those
of the fixed image and computed once a level; each step warps the moving image, normalises both over their
common data to mean 0 and deviation 1, and solves for the small motion of the fixed image that would
explain the rest. Pixels that no motion explains (anatomy that changed) lose weight as r grows
(Geman–McClure), so that they do not pull the result.

`sampling` matrices here take fixed pixels to moving pixels, the direction that warping needs. One with a
negative determinant lays on the mirror image.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from somray.kernels.registration.plane.gauss_newton import align
from somray.kernels.registration.plane.prepare import Float32, Level, Prepared, View, with_gaps

__all__ = ["fine_structure", "refine", "sharpened", "to_level"]

Matrix = NDArray[np.float64]

# Columns over (tx, ty, xx, xy, yx, yy).
_BASES = {
    "similarity": np.array(
        [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, -1], [0, 0, 0, 1], [0, 0, 1, 0.0]]
    ),
    "affine": np.eye(6),
}
_LEAST_OVERLAP = 0.15  # of the fixed pixels that hold data must have a partner
_SHARP_SIGMA, _SHARP_FLOOR = 1.5, 0.05  # pixels; share of the window: weaker contrast is noise


def to_level(sampling: Matrix, step: float) -> Matrix:
    """Express a sampling matrix of the full grid in pixels of a level (or back with 1 / step)."""
    scaled = sampling.copy()
    scaled[:2, 2] /= step
    scaled[2, :2] *= step
    return scaled


def sharpened(slice_: Prepared, index: int) -> View:
    """Return a level in which edges of all strengths count alike: skin and bone do not decide alone."""
    key = ("sharp", index)
    if key not in slice_.views:
        level = slice_.levels[index]
        fine = fine_structure(level, _SHARP_SIGMA, _SHARP_FLOOR)
        slice_.views[key] = View(with_gaps(fine, level.weight), level.step)
    return slice_.views[key]


def fine_structure(level: Level, sigma: float, floor: float) -> Float32:
    """Divide fine structure by its own local strength, so that faint and strong edges count alike.

    Args:
        level: the level.
        sigma: pixels; what is slower is brightness, not structure.
        floor: share of the window; contrast below it is noise and stays small.
    """
    image = level.image
    if level.weight.min() < 1.0:
        blurred = _blur(image * level.weight, sigma)
        share = _blur(level.weight, sigma)
        slow = np.divide(blurred, share, out=np.zeros_like(blurred), where=share > 1e-3)
        fine = (image - slow) * level.weight
    else:
        fine = image - _blur(image, sigma)
    strength = np.sqrt(_blur(fine * fine, 2.0 * sigma))
    return np.asarray(fine / (strength + np.float32(floor)), dtype=np.float32)


def refine(fixed: View, moving: View, sampling: Matrix, steps: int, model: str = "similarity",
           stride: int = 1) -> Matrix | None:  # fmt: skip
    """Refine a motion on one level.

    Args:
        fixed: view of the fixed slice.
        moving: the same view of the moving slice, on the same level.
        sampling: (3, 3) start, fixed pixels to moving pixels, full grid.
        steps: most Gauss–Newton steps.
        model: similarity or affine.
        stride: every stride-th row of the fixed slice counts.

    Returns:
        The refined sampling matrix, or None when the images lost each other.
    """
    if min(*fixed.plane.shape, *moving.plane.shape) < 4:
        return None
    current = to_level(sampling, fixed.step)
    least = _LEAST_OVERLAP * fixed.known()
    seen = np.ascontiguousarray(moving.plane)  # of a turned slice too: compiling takes ten seconds
    kept = align(fixed.slopes(), seen, current, _BASES[model], (steps, stride), least)
    return to_level(current, 1.0 / fixed.step) if kept else None


def _blur(image: Float32, sigma: float) -> Float32:
    taps = 2 * round(2.5 * sigma) + 1
    return np.asarray(cv2.GaussianBlur(image, (taps, taps), sigma))
