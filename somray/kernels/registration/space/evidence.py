"""What speaks for a motion in space, and the figures that tables show of it.

The verdict rests on *structure*: the correlation of band-passed volumes where both hold data. Outlines and
brightness, which any two bodies share, are damped first.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from somray.domain.geometry import Geometry
from somray.kernels.registration.correlation import Figures, weighted_correlation
from somray.kernels.registration.space.prepare import Float32, Grid
from somray.kernels.registration.space.refine import warp_grid

__all__ = ["compared", "explained", "pictured", "structure", "structure_sigma"]

Matrix = NDArray[np.float64]

_FLOOR = 0.05  # of the window: weaker contrast is noise and not lifted
_SIGMA = 2.5  # voxels of the finest axis
_LEAST_COMMON = 0.05  # share of the fixed volume below which nothing can be said


def structure_sigma(geometry: Geometry) -> tuple[float, ...]:
    """Return the band-pass in voxels (z, y, x): as many mm along every axis."""
    finest = min(geometry.spacing_mm)
    return tuple(_SIGMA * finest / s for s in geometry.spacing_mm)


def structure(image: Float32, weight: Float32, sigma: tuple[float, ...]) -> Float32:
    """Keep fine structure, strong edges damped: outlines alone must not carry a verdict.

    Args:
        image: (z, y, x) float32, 0..1.
        weight: (z, y, x) share of valid data.
        sigma: voxels along each axis; what is slower is brightness, not structure.
    """
    blurred = ndimage.gaussian_filter(image * weight, sigma, mode="constant", truncate=3.0)
    share = ndimage.gaussian_filter(weight, sigma, mode="constant", truncate=3.0)
    slow = np.divide(blurred, share, out=np.zeros_like(blurred), where=share > 1e-3)
    fine = (image - slow) * weight
    strength = ndimage.gaussian_filter(fine * fine, sigma, mode="constant", truncate=3.0) ** 0.5
    return np.asarray(fine / (strength + _FLOOR), dtype=np.float32)


def explained(
    fixed: Grid, moving: Grid, sampling: Matrix, within: NDArray[np.bool_] | None = None
) -> float:
    """Return how much structure a motion explains: a correlation, 0 where too little is common.

    Args:
        fixed: fixed volume.
        moving: moving volume.
        sampling: (4, 4) fixed LPS mm to moving LPS mm.
        within: (z, y, x) voxels of fixed to judge on; all where left out.
    """
    warped, weight = warp_grid(moving, fixed, sampling)
    weight = np.where(fixed.weight > 0.9, weight, np.float32(0.0))
    if float(weight.mean()) < _LEAST_COMMON:
        return 0.0
    sigma = structure_sigma(fixed.geometry)
    one = structure(fixed.image, weight, sigma)
    other = structure(warped, weight, sigma)
    judged = weight if within is None else weight * within
    return weighted_correlation(one, other, judged) or 0.0


def compared(fixed: Grid, moving: Grid, sampling: Matrix) -> Figures:
    """Compare the volumes under a motion (fixed LPS mm to moving LPS mm)."""
    warped, weight = warp_grid(moving, fixed, sampling)
    weight = weight * fixed.weight
    total = float(weight.sum(dtype=np.float64))
    if total < 64:
        return Figures()
    mad = float((np.abs(warped - fixed.image) * weight).sum(dtype=np.float64)) / total
    return Figures(mad, weighted_correlation(fixed.image, warped, weight))


def pictured(fixed: Geometry, moving: Geometry, sampling: Matrix) -> tuple[int | None, int | None]:
    """Choose the fixed slice that moving covers best, nearest the middle, and its partner."""
    depth, rows, columns = fixed.shape
    y, x = np.meshgrid(np.linspace(0, rows - 1, 9), np.linspace(0, columns - 1, 9), indexing="ij")
    best: tuple[float, float, int, int] | None = None
    for z in range(depth):
        index = np.stack([np.full(y.size, float(z)), y.ravel(), x.ravel()], axis=1)
        world = fixed.to_world(index)
        there = moving.to_index(world @ sampling[:3, :3].T + sampling[:3, 3])
        inside = ((there > -0.5) & (there < np.array(moving.shape) - 0.5)).all(axis=1)
        if inside.any():
            partner = int(np.clip(np.round(np.median(there[inside, 0])), 0, moving.shape[0] - 1))
            rank = (-float(inside.mean()), abs(z - (depth - 1) / 2), z, partner)
            best = rank if best is None or rank < best else best
    return (None, None) if best is None else (best[2], best[3])
