"""How well a motion explains a pair: figures for tables, and the evidence the verdict rests on."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from somray.kernels.registration.coarse import structure
from somray.kernels.registration.intensity import to_level, warp_level
from somray.kernels.registration.prepare import Float32, Level, Prepared

__all__ = ["Figures", "figures", "structure_ncc"]

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Figures:
    """Mean |difference| (window 0..1) and normalised cross-correlation over common data; None without."""

    mad: float | None
    ncc: float | None


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
    return float((a * b * weight).sum(dtype=np.float64)) / power**0.5


def structure_ncc(
    fixed: Prepared, moving: Prepared, sampling: Matrix, index: int, sigma: float = 3.0
):
    a, b = fixed.levels[index], moving.levels[index]
    warped, weight = warp_level(b, to_level(sampling, a.step), a.image.shape)
    weight = weight * (a.weight > 0.99)
    share = float(weight.mean())
    if share < 0.05:
        return 0.0, share
    first = Level(a.image, weight, 1)
    other = Level(warped * weight, weight, 1)
    return weighted_ncc(structure(first, sigma), structure(other, sigma), weight) or 0.0, share
