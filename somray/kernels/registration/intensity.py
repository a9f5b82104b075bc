"""Plane motions refined on intensities: Gauss–Newton on zero-mean normalised differences.

The inverse compositional scheme (Baker & Matthews, "Lucas–Kanade 20 years on", 2004): gradients are those
of the fixed image and computed once a level; each step warps the moving image, normalises both over their
common data to mean 0 and deviation 1, and solves for the small motion of the fixed image that would
explain the rest. Pixels that no motion explains (anatomy that changed) lose weight as r grows
(Geman–McClure), so that they do not pull the result.

`sampling` matrices here take fixed pixels to moving pixels, the direction that warping needs.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from somray.kernels.registration.prepare import Float32, Level, Prepared

__all__ = ["local_contrast", "refine", "refine_level", "structure", "to_level", "warp_level"]

Matrix = NDArray[np.float64]

PARAMETERS = {"translation": 2, "similarity": 4, "affine": 6}
_ROBUST = 1.5  # residuals of so many mean absolute residuals lose 3/4 of their weight
_CONVERGED_PX = 0.01  # of the level: largest movement of a corner in one step
_LEAST_OVERLAP = 0.15  # share of the fixed pixels that must have a partner


@dataclass(frozen=True, eq=False)
class _Frame:
    """What stays the same over the steps of one level."""

    fixed: Level
    fixed_weight: Float32  # 0 where a gradient would touch missing data
    jacobian: Float32  # (rows, parameters, columns): change of the fixed image per parameter
    to_unit: Matrix  # pixels to coordinates within ±1, for conditioning


def warp_level(moving: Level, sampling: Matrix, shape: tuple[int, int]) -> tuple[Float32, Float32]:
    """Warp image and weight of a level; linear, weight 0 outside.

    Args:
        moving: the level to warp.
        sampling: (3, 3) pixels of the result to pixels of `moving`.
        shape: (rows, columns) of the result.
    """
    size = (shape[1], shape[0])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    if np.array_equal(sampling[2], (0.0, 0.0, 1.0)):
        image = cv2.warpAffine(moving.image, sampling[:2], size, flags=flags)
        weight = cv2.warpAffine(moving.weight, sampling[:2], size, flags=flags)
    else:
        image = cv2.warpPerspective(moving.image, sampling, size, flags=flags)
        weight = cv2.warpPerspective(moving.weight, sampling, size, flags=flags)
    return image, np.where(weight > 0.99, weight, np.float32(0.0))


def to_level(sampling: Matrix, step: float) -> Matrix:
    """Express a sampling matrix of the full grid in pixels of a level (or back with 1 / step)."""
    scale = np.diag([step, step, 1.0])
    return np.asarray(np.linalg.inv(scale) @ sampling @ scale)


def local_contrast(level: Level, sigma: float = 2.0, floor: float = 0.02) -> Level:
    """Divide fine structure by its own local strength, so that faint and strong edges count alike.

    Contrast below `floor` (share of the window) is noise and stays small.
    """
    fine = structure(level, sigma)
    strength = cv2.GaussianBlur(fine * fine, (0, 0), 2.0 * sigma) ** 0.5
    return Level(np.asarray(fine / (strength + floor), dtype=np.float32), level.weight, level.step)


def structure(level: Level, sigma: float) -> Float32:
    """Remove slow brightness: the image minus its own blur of `sigma` pixels, weight-aware."""
    blurred = cv2.GaussianBlur(level.image * level.weight, (0, 0), sigma)
    share = cv2.GaussianBlur(level.weight, (0, 0), sigma)
    slow = np.divide(blurred, share, out=np.zeros_like(blurred), where=share > 1e-3)
    return np.asarray((level.image - slow) * level.weight)


def refine(
    fixed: Prepared,
    moving: Prepared,
    sampling: Matrix,
    model: str,
    levels: tuple[tuple[int, int], ...],
) -> Matrix | None:
    """Refine a motion over pyramid levels.

    Args:
        fixed: fixed slice.
        moving: moving slice.
        sampling: (3, 3) start, fixed pixels to moving pixels, full grid.
        model: translation, similarity or affine.
        levels: (index of the level, most steps there), in the order to run.

    Returns:
        The refined sampling matrix, or None when the images lost each other.
    """
    current: Matrix | None = sampling
    for index, steps in levels:
        a, b = fixed.levels[index], moving.levels[index]
        current = refine_level(a, b, to_level(sampling, a.step), model, steps)
        if current is None:
            return None
        sampling = to_level(current, 1.0 / a.step)
    return sampling


def refine_level(
    fixed: Level, moving: Level, sampling: Matrix, model: str, steps: int
) -> Matrix | None:
    """Run Gauss–Newton steps on one level; see `refine` (here in the level's own pixels)."""
    frame = _frame(fixed, model)
    for _ in range(steps):
        step = _solve(frame, moving, sampling, model)
        if step is None:
            return None
        motion = np.linalg.inv(frame.to_unit) @ step @ frame.to_unit
        if abs(np.linalg.det(motion[:2, :2])) < 0.25:
            return None
        sampling = sampling @ np.linalg.inv(motion)
        if not _is_plausible(sampling):
            return None
        if _largest_move(motion, fixed.image.shape) < _CONVERGED_PX:
            break
    return sampling


def _frame(fixed: Level, model: str) -> _Frame:
    rows, columns = fixed.image.shape
    half = max(rows, columns) / 2.0
    to_unit = np.array(
        [[1 / half, 0, -(columns - 1) / 2 / half], [0, 1 / half, -(rows - 1) / 2 / half], [0, 0, 1]]
    )
    gx = cv2.Scharr(fixed.image, cv2.CV_32F, 1, 0, scale=half / 32.0)  # per unit coordinate
    gy = cv2.Scharr(fixed.image, cv2.CV_32F, 0, 1, scale=half / 32.0)
    x = ((np.arange(columns) - (columns - 1) / 2) / half).astype(np.float32)[None, :]
    y = ((np.arange(rows) - (rows - 1) / 2) / half).astype(np.float32)[:, None]
    parts = [gx, gy]
    if model == "similarity":
        parts += [gx * x + gy * y, gy * x - gx * y]
    elif model == "affine":
        parts += [gx * x, gx * y, gy * x, gy * y]
    trusted = cv2.erode(
        np.where(fixed.weight > 0.99, fixed.weight, np.float32(0.0)), np.ones((3, 3))
    )
    return _Frame(fixed, trusted, np.stack(parts, axis=1), to_unit)


def _solve(frame: _Frame, moving: Level, sampling: Matrix, model: str) -> Matrix | None:
    """Return the small motion (3, 3), in unit coordinates, that one Gauss–Newton step asks for."""
    rows, columns = frame.fixed.image.shape
    warped, weight = warp_level(moving, sampling, (rows, columns))
    weight = weight * frame.fixed_weight
    total = float(weight.sum(dtype=np.float64))
    if total < _LEAST_OVERLAP * weight.size:
        return None
    fixed, scale = _normalised(frame.fixed.image, weight, total)
    other, spread = _normalised(warped, weight, total)
    if scale < 1e-4 or spread < 1e-4:
        return None
    residual = other - fixed
    mean_residual = float((np.abs(residual) * weight).sum(dtype=np.float64)) / total
    bound = np.float32(_ROBUST * mean_residual + 1e-6)
    weight = weight / (1.0 + (residual / bound) ** 2) ** 2
    # One small product per row: no BLAS threads, so the bits do not depend on their number.
    weighted = frame.jacobian * weight[:, None, :]
    hessian = (weighted @ frame.jacobian.transpose(0, 2, 1)).sum(axis=0, dtype=np.float64)
    slope = (weighted @ residual[:, :, None]).sum(axis=0, dtype=np.float64)[:, 0]
    size = len(hessian)
    hessian = hessian + 1e-6 * np.trace(hessian) / size * np.eye(size)
    return _motion(np.linalg.solve(hessian, slope * scale), model)


def _normalised(image: Float32, weight: Float32, total: float) -> tuple[Float32, float]:
    """Bring an image to weighted mean 0 and deviation 1; also return that deviation."""
    mean = float((image * weight).sum(dtype=np.float64)) / total
    centred = image - np.float32(mean)
    spread = float((centred * centred * weight).sum(dtype=np.float64) / total) ** 0.5
    return centred / np.float32(max(spread, 1e-6)), spread


def _motion(parameters: Matrix, model: str) -> Matrix:
    step = np.eye(3)
    step[:2, 2] = parameters[:2]
    if model == "similarity":
        grow, turn = parameters[2:]
        step[:2, :2] += [[grow, -turn], [turn, grow]]
    elif model == "affine":
        step[:2, :2] += parameters[2:].reshape(2, 2)
    return step


def _is_plausible(sampling: Matrix) -> bool:
    stretch = np.linalg.svd(sampling[:2, :2], compute_uv=False)
    upright = float(np.linalg.det(sampling[:2, :2])) > 0
    return bool(upright and stretch[0] < 2.5 and stretch[1] > 0.4)


def _largest_move(motion: Matrix, shape: tuple[int, ...]) -> float:
    rows, columns = shape
    corners = np.array([[0, 0, 1], [columns, 0, 1], [0, rows, 1], [columns, rows, 1]], dtype=float)
    return float(np.abs(corners @ motion.T - corners)[:, :2].max())
