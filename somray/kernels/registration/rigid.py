"""Rigid motions in space: fitted to points, searched by correlation, refined on intensities.

`sampling` matrices take fixed LPS mm to moving LPS mm, the direction that warping needs. The refinement is
the inverse compositional Gauss–Newton of `intensity`, with three turns and three shifts.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.transform import Rotation

from somray.kernels.registration.grids import Float32, Grid

__all__ = ["fit_rigid", "motion_about", "refine_rigid", "structure", "warp_grid"]

Matrix = NDArray[np.float64]

_ROBUST = 4.0
_FLOOR = 0.05  # of the window: weaker contrast is noise and not lifted
_LEAST_OVERLAP = 0.1  # share of the fixed voxels that must have a partner
_CONVERGED = 0.005  # of a voxel: largest movement of a corner in one step


def fit_rigid(source: NDArray[np.float64], target: NDArray[np.float64]) -> Matrix:
    """Fit the rigid motion (4, 4) that takes points (n, 3) to points (n, 3) in least squares.

    Source: Umeyama, "Least-squares estimation of transformation parameters", 1991, scale fixed at 1.
    """
    from_mean, to_mean = source.mean(axis=0), target.mean(axis=0)
    left, _, right = np.linalg.svd((target - to_mean).T @ (source - from_mean))
    sign = np.diag([1.0, 1.0, np.sign(np.linalg.det(left @ right))])
    matrix = np.eye(4)
    matrix[:3, :3] = left @ sign @ right
    matrix[:3, 3] = to_mean - matrix[:3, :3] @ from_mean
    return matrix


def motion_about(centre: NDArray[np.float64], turn: NDArray[np.float64], shift: Matrix) -> Matrix:
    """Return the motion that turns about a centre by a rotation vector (radians), then shifts (mm)."""
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_rotvec(turn).as_matrix()
    matrix[:3, 3] = centre - matrix[:3, :3] @ centre + shift
    return matrix


def warp_grid(moving: Grid, fixed: Grid, sampling: Matrix) -> tuple[Float32, Float32]:
    """Read the moving grid at the fixed grid's voxels; weight 0 outside."""
    chain = np.linalg.inv(moving.geometry.matrix) @ sampling @ fixed.geometry.matrix
    swap = chain[:3, :3][::-1, ::-1]  # x, y, z to z, y, x
    offset = chain[:3, 3][::-1]
    shape = fixed.image.shape
    image = ndimage.affine_transform(
        moving.image, swap, offset, shape, order=1, mode="constant", cval=0.0
    )
    weight = ndimage.affine_transform(
        moving.weight, swap, offset, shape, order=1, mode="constant", cval=0.0
    )
    return image, np.where(weight > 0.9, weight, np.float32(0.0))


@dataclass(frozen=True, eq=False)
class _Frame:
    """What stays the same over the steps: jacobian (rows, 6, columns), its centre and reach in mm."""

    jacobian: Float32
    weight: Float32
    centre: NDArray[np.float64]
    reach_mm: float


def _frame(fixed: Grid) -> _Frame:
    depth, rows, columns = fixed.image.shape
    axes = [np.gradient(fixed.image, axis=k) if n > 1 else 0 * fixed.image
            for k, n in enumerate(fixed.image.shape)]  # fmt: skip
    # d(image)/d(mm) = d(image)/d(index) · d(index)/d(mm)
    to_index = np.linalg.inv(fixed.geometry.matrix)[:3, :3].astype(np.float32)  # rows x, y, z
    slope = [axes[2] * to_index[0, k] + axes[1] * to_index[1, k] + axes[0] * to_index[2, k]
             for k in range(3)]  # fmt: skip
    centre = fixed.geometry.to_world(
        (np.array([[depth, rows, columns]], dtype=np.float64) - 1) / 2.0
    )[0]
    z, y, x = np.meshgrid(np.arange(depth), np.arange(rows), np.arange(columns), indexing="ij")
    index = np.stack([z, y, x], axis=-1).reshape(-1, 3).astype(np.float64)
    place = (fixed.geometry.to_world(index) - centre).reshape(*fixed.image.shape, 3)
    reach = float(np.abs(place).max())
    unit = (place / reach).astype(np.float32)
    turns = [unit[..., 1] * slope[2] - unit[..., 2] * slope[1],
             unit[..., 2] * slope[0] - unit[..., 0] * slope[2],
             unit[..., 0] * slope[1] - unit[..., 1] * slope[0]]  # fmt: skip
    jacobian = np.stack([*slope, *turns], axis=2).reshape(depth * rows, 6, columns)
    trusted = ndimage.minimum_filter(fixed.weight, 3, mode="nearest")
    return _Frame(np.ascontiguousarray(jacobian), trusted, centre, reach)


def refine_rigid(fixed: Grid, moving: Grid, sampling: Matrix, steps: int) -> Matrix | None:
    """Refine a rigid motion on intensities.

    Args:
        fixed: fixed volume at working spacing.
        moving: moving volume.
        sampling: (4, 4) start, fixed LPS mm to moving LPS mm.
        steps: most steps.

    Returns:
        The refined motion, or None when the volumes lost each other.
    """
    frame = _frame(fixed)
    for _ in range(steps):
        parameters = _solve(frame, fixed, moving, sampling)
        if parameters is None:
            return None
        shift, turn = parameters[:3], parameters[3:] / frame.reach_mm
        sampling = sampling @ np.linalg.inv(motion_about(frame.centre, turn, shift))
        moved = float(np.abs(shift).max() + np.abs(parameters[3:]).max())
        if moved < _CONVERGED * min(fixed.geometry.spacing_mm):
            break
    return sampling


def _solve(frame: _Frame, fixed: Grid, moving: Grid, sampling: Matrix) -> Matrix | None:
    warped, weight = warp_grid(moving, fixed, sampling)
    weight = weight * frame.weight
    total = float(weight.sum(dtype=np.float64))
    if total < _LEAST_OVERLAP * weight.size:
        return None
    one, scale = _normalised(fixed.image, weight, total)
    other, spread = _normalised(warped, weight, total)
    if scale < 1e-5 or spread < 1e-5:
        return None
    residual = other - one
    bound = np.float32(
        _ROBUST * float((np.abs(residual) * weight).sum(dtype=np.float64)) / total + 1e-6
    )
    weight = weight / (1.0 + (residual / bound) ** 2) ** 2
    rows = len(frame.jacobian)
    weighted = frame.jacobian * weight.reshape(rows, 1, -1)
    # One small product per row: no BLAS threads, so the bits do not depend on their number.
    hessian = (weighted @ frame.jacobian.transpose(0, 2, 1)).sum(axis=0, dtype=np.float64)
    slope = (weighted @ residual.reshape(rows, -1, 1)).sum(axis=0, dtype=np.float64)[:, 0]
    hessian += 1e-6 * np.trace(hessian) / 6 * np.eye(6)
    return np.asarray(np.linalg.solve(hessian, slope * scale))


def _normalised(image: Float32, weight: Float32, total: float) -> tuple[Float32, float]:
    mean = float((image * weight).sum(dtype=np.float64)) / total
    centred = image - np.float32(mean)
    spread = float((centred * centred * weight).sum(dtype=np.float64) / total) ** 0.5
    return centred / np.float32(max(spread, 1e-6)), spread


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
