"""How well a motion explains a pair: figures for tables, and the evidence the verdict rests on.

The verdict rests on *structure*: the correlation of band-passed slices where they overlap, lowered by what
does not overlap. Two smooth blobs can always be laid over each other, so the correlation is also weighed
by how many separate structures it rests on.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from somray.kernels.registration.correlation import Figures, correlation_of_sums
from somray.kernels.registration.plane.loops import moments, sample
from somray.kernels.registration.plane.prepare import Float32, Prepared, View, with_gaps
from somray.kernels.registration.plane.refine import fine_structure, to_level

__all__ = ["MotionEvidence", "figures", "laid_on", "structure", "weigh"]

Matrix = NDArray[np.float64]

_SIGMA = 3.0  # pixels of the level: what is slower than that is brightness, not structure
FLOOR = 0.05  # of the window: weaker contrast is noise and not lifted
OUTLINES = 1.0  # as floor: edges count by their strength, which ranks rough motions better
_LEAST_SHARED = 0.05  # of the fixed pixels that hold data


@dataclass(frozen=True)
class MotionEvidence:
    """What speaks for a motion.

    Args:
        structure: correlation of band-passed slices × √(share of their structure that overlaps).
        strength: Fisher's z of it, atanh(structure)·√(number of separate structures).
    """

    structure: float
    strength: float


def figures(fixed: Prepared, moving: Prepared, sampling: Matrix) -> Figures:
    """Compare the slices at full size under a motion (fixed pixels to moving pixels)."""
    if min(*fixed.shape, *moving.shape) < 2:
        return Figures()
    still = fixed.plain(0)
    sums = moments(still.plane, laid_on(still, moving.plain(0), sampling), 1)
    n = float(sums[0])
    return Figures() if n < 16 else Figures(float(sums[6]) / n, correlation_of_sums(sums))


def weigh(
    fixed: Prepared, moving: Prepared, sampling: Matrix, index: int, floor: float = FLOOR
) -> MotionEvidence:
    """Weigh a motion on one pyramid level.

    Args:
        fixed: fixed slice.
        moving: moving slice.
        sampling: (3, 3) fixed pixels to moving pixels, full grid.
        index: the level.
        floor: share of the window; edges much stronger than that count alike.
    """
    a, b = structure(fixed, index, floor), structure(moving, index, floor)
    if min(*a.plane.shape, *b.plane.shape) < 2:
        return MotionEvidence(0.0, 0.0)
    sums = moments(a.plane, laid_on(a, b, sampling), 1)
    if sums[0] < _LEAST_SHARED * a.known():
        return MotionEvidence(0.0, 0.0)
    ncc = correlation_of_sums(sums) or 0.0
    grown = abs(float(np.linalg.det(sampling)))  # moving pixels under one fixed pixel
    own = float(sums[3]) / a.power() if a.power() > 0 else 0.0
    other = float(sums[4]) * grown / b.power() if b.power() > 0 else 0.0
    score = ncc * min(own, other, 1.0) ** 0.5
    number = min(own * _separate(fixed, index, floor), other * _separate(moving, index, floor))
    return MotionEvidence(score, float(np.arctanh(np.clip(score, 0.0, 0.999)) * number**0.5))


def laid_on(fixed: View, moving: View, sampling: Matrix) -> Float32:
    """Return the moving view on the fixed view's pixels, NaN where it shows nothing.

    Args:
        fixed: view of the fixed slice.
        moving: the same view of the moving slice, on the same level.
        sampling: (3, 3) fixed pixels to moving pixels, full grid; may be projective.
    """
    motion = to_level(sampling, fixed.step)
    if _is_affine(motion):
        warped = np.empty_like(fixed.plane)
        sample(moving.plane, motion, 1, warped)
        return warped
    size, flags = fixed.plane.shape[::-1], cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    gap = (float("nan"),) * 4
    return np.asarray(cv2.warpPerspective(moving.plane, motion, size, flags=flags, borderValue=gap))


def _is_affine(motion: Matrix) -> bool:
    return bool(motion[2, 0] == 0.0 and motion[2, 1] == 0.0 and motion[2, 2] == 1.0)


def structure(slice_: Prepared, index: int, floor: float = FLOOR) -> View:
    """Return fine structure with strong edges damped: outlines alone must not carry a verdict."""
    key = (f"structure {floor}", index)
    if key not in slice_.views:
        level = slice_.levels[index]
        fine = fine_structure(level, _SIGMA, floor)
        slice_.views[key] = View(with_gaps(fine, level.weight), level.step)
    return slice_.views[key]


def _separate(slice_: Prepared, index: int, floor: float) -> float:
    """Count separate structures: how many places of the filter's size share the energy evenly."""
    key = (f"separate {floor}", index)
    if key not in slice_.counts:
        plane = np.nan_to_num(structure(slice_, index, floor).plane)
        energy = np.asarray(cv2.GaussianBlur(plane * plane, (0, 0), _SIGMA))
        total = float(energy.sum(dtype=np.float64))
        square = float((energy * energy).sum(dtype=np.float64))
        even = total * total / square if square > 0 else 0.0
        slice_.counts[key] = even / (4.0 * np.pi * _SIGMA**2)
    return slice_.counts[key]
