"""How well a motion explains a pair: figures for tables, and the evidence the verdict rests on.

The verdict rests on *structure*: the correlation of band-passed slices where they overlap, lowered by what
does not overlap. Two smooth blobs can always be laid over each other, so the correlation is also weighed
by how many separate structures it rests on.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from somray.kernels.registration.intensity import local_contrast, to_level, warp_level
from somray.kernels.registration.prepare import Float32, Level, Prepared

__all__ = ["Evidence", "Figures", "figures", "weigh", "weighted_ncc"]

Matrix = NDArray[np.float64]

_SIGMA = 3.0  # pixels of the level: what is slower than that is brightness, not structure
FLOOR = 0.05  # of the window: weaker contrast is noise and not lifted
OUTLINES = 1.0  # as floor: edges count by their strength, which ranks rough motions better


@dataclass(frozen=True)
class Figures:
    """Mean |difference| (window 0..1) and normalised cross-correlation over common data."""

    mad: float | None
    ncc: float | None


@dataclass(frozen=True)
class Evidence:
    """What speaks for a motion.

    Args:
        structure: correlation of band-passed slices × √(share of their structure that overlaps).
        strength: Fisher's z of it, atanh(structure)·√(number of separate structures).
    """

    structure: float
    strength: float


def figures(fixed: Prepared, moving: Prepared, sampling: Matrix) -> Figures:
    """Compare the slices at full size under a motion (fixed pixels to moving pixels)."""
    warped, weight = warp_level(moving.full, sampling, fixed.shape)
    weight = weight * fixed.full.weight
    total = float(weight.sum(dtype=np.float64))
    if total < 16:
        return Figures(None, None)
    difference = np.abs(warped - fixed.full.image)
    mad = float((difference * weight).sum(dtype=np.float64)) / total
    return Figures(mad, weighted_ncc(fixed.full.image, warped, weight))


def weighted_ncc(one: Float32, other: Float32, weight: Float32) -> float | None:
    """Return the correlation of two images under a weight, None where either is flat."""
    total = float(weight.sum(dtype=np.float64))
    if total <= 0:
        return None
    a = one - np.float32((one * weight).sum(dtype=np.float64) / total)
    b = other - np.float32((other * weight).sum(dtype=np.float64) / total)
    power = float((a * a * weight).sum(dtype=np.float64) * (b * b * weight).sum(dtype=np.float64))
    if power <= 1e-12 * total * total:
        return None
    return float((a * b * weight).sum(dtype=np.float64) / power**0.5)


def weigh(
    fixed: Prepared, moving: Prepared, sampling: Matrix, index: int, floor: float = FLOOR
) -> Evidence:
    """Weigh a motion on one pyramid level.

    Args:
        fixed: fixed slice.
        moving: moving slice.
        sampling: (3, 3) fixed pixels to moving pixels, full grid.
        index: the level.
        floor: share of the window; edges much stronger than that count alike.
    """
    a, b = fixed.levels[index], moving.levels[index]
    rows, columns = a.image.shape
    motion = to_level(sampling, a.step)
    warped, weight = warp_level(b, motion, (rows, columns))
    weight = weight * (a.weight > 0.99)
    if float(weight.mean()) < 0.05:
        return Evidence(0.0, 0.0)
    first = _structure(Level(a.image, weight, 1), floor)
    other = _structure(Level(warped * weight, weight, 1), floor)
    ncc = weighted_ncc(first, other, weight) or 0.0
    back = np.asarray(np.linalg.inv(motion), dtype=np.float64)
    reached = _reach(a, back, b.image.shape)
    covered = min(_covered(a, weight, floor), _covered(b, reached, floor))
    score = ncc * covered**0.5
    number = min(_separate(first), _separate(other))
    return Evidence(score, float(np.arctanh(np.clip(score, 0.0, 0.999)) * number**0.5))


def _structure(level: Level, floor: float) -> Float32:
    """Return fine structure with strong edges damped: outlines alone must not carry a verdict."""
    return local_contrast(level, _SIGMA, floor=floor).image


def _reach(level: Level, sampling: Matrix, shape: tuple[int, ...]) -> Float32:
    rows, columns = shape
    return warp_level(level, sampling, (rows, columns))[1]


def _covered(level: Level, weight: Float32, floor: float) -> float:
    """Return the share of a slice's own structure that lies under a weight."""
    energy = _structure(level, floor) ** 2
    total = float(energy.sum(dtype=np.float64))
    return float((energy * (weight > 0)).sum(dtype=np.float64)) / total if total > 0 else 0.0


def _separate(image: Float32) -> float:
    """Count separate structures: how many places of the filter's size share the energy evenly."""
    energy = cv2.GaussianBlur(image * image, (0, 0), _SIGMA)
    square = float((energy * energy).sum(dtype=np.float64))
    if square <= 0:
        return 0.0
    return float(energy.sum(dtype=np.float64) ** 2 / (square * 4.0 * np.pi * _SIGMA**2))
