"""Motions in space refined on intensities.

`sampling` matrices take fixed LPS mm to moving LPS mm, the direction that warping needs. The refinement is
the inverse compositional Gauss–Newton of `plane.refine`, with three shifts and three turns, or with three
shifts and all nine numbers of an affine motion.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from somray.kernels.grids.index_map import index_map, linear_part
from somray.kernels.registration.space.motions import motion_about
from somray.kernels.registration.space.prepare import Float32, Grid

__all__ = ["refine_space", "warp_grid"]

Matrix = NDArray[np.float64]

_ROBUST = 4.0
_LEAST_OVERLAP = 0.1  # share of the fixed voxels that must have a partner
_CONVERGED = 0.005  # of a voxel: largest movement of a corner in one step


def warp_grid(moving: Grid, fixed: Grid, sampling: Matrix) -> tuple[Float32, Float32]:
    """Read the moving grid at the fixed grid's voxels; weight 0 outside."""
    place = linear_part(index_map(moving.geometry, fixed.geometry, sampling))
    image, weight = (
        ndimage.affine_transform(
            array, *place, fixed.image.shape, order=1, mode="constant", cval=0.0
        )
        for array in (moving.image, moving.weight)
    )
    return image, np.where(weight > 0.9, weight, np.float32(0.0))


@dataclass(frozen=True, eq=False)
class _Linearization:
    """What stays the same over the steps.

    Args:
        jacobian: (rows, parameters, columns): three shifts, then three turns or nine slopes.
        weight: trusted voxels of fixed.
        centre: of turns and slopes, LPS mm.
        reach_mm: distance that turns and slopes are scaled by, so that all parameters are in mm.
    """

    jacobian: Float32
    weight: Float32
    centre: NDArray[np.float64]
    reach_mm: float

    @property
    def parameters(self) -> int:
        """Number of parameters: 6 rigid, 12 affine."""
        return int(self.jacobian.shape[1])

    def step(self, parameters: Matrix) -> Matrix:
        """Return the motion (4, 4) that parameters stand for."""
        shift, rest = parameters[:3], parameters[3:] / self.reach_mm
        if self.parameters == 6:
            return motion_about(self.centre, rest, shift)
        matrix = np.eye(4)
        matrix[:3, :3] += rest.reshape(3, 3)
        matrix[:3, 3] = self.centre - matrix[:3, :3] @ self.centre + shift
        return matrix


def _linearized(fixed: Grid, model: str) -> _Linearization:
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
    reach = float(np.abs(place).max()) or 1.0  # of a single voxel
    unit = (place / reach).astype(np.float32)
    if model == "rigid3d":
        further = [unit[..., 1] * slope[2] - unit[..., 2] * slope[1],
                   unit[..., 2] * slope[0] - unit[..., 0] * slope[2],
                   unit[..., 0] * slope[1] - unit[..., 1] * slope[0]]  # fmt: skip
    else:
        further = [slope[row] * unit[..., column] for row in range(3) for column in range(3)]
    jacobian = np.stack([*slope, *further], axis=2).reshape(depth * rows, -1, columns)
    trusted = ndimage.minimum_filter(fixed.weight, 3, mode="nearest")
    return _Linearization(np.ascontiguousarray(jacobian), trusted, centre, reach)


def refine_space(
    fixed: Grid, moving: Grid, sampling: Matrix, steps: int, model: str = "rigid3d"
) -> Matrix | None:
    """Refine a motion on intensities.

    Args:
        fixed: fixed volume at working spacing.
        moving: moving volume.
        sampling: (4, 4) start, fixed LPS mm to moving LPS mm.
        steps: most steps.
        model: rigid3d (the start must be rigid, too) or affine3d.

    Returns:
        The refined motion, or None when the volumes lost each other.

    Source: Baker & Matthews, "Lucas–Kanade 20 years on", 2004, inverse compositional form, weights after
        Geman & McClure.
    """
    fixed_terms = _linearized(fixed, model)
    for _ in range(steps):
        parameters = _solve(fixed_terms, fixed, moving, sampling)
        if parameters is None:
            return None
        sampling = sampling @ np.linalg.inv(fixed_terms.step(parameters))
        moved = float(np.abs(parameters[:3]).max() + np.abs(parameters[3:]).max())
        if moved < _CONVERGED * min(fixed.geometry.spacing_mm):
            break
    return sampling


def _solve(
    fixed_terms: _Linearization, fixed: Grid, moving: Grid, sampling: Matrix
) -> Matrix | None:
    warped, weight = warp_grid(moving, fixed, sampling)
    weight = weight * fixed_terms.weight
    total = float(weight.sum(dtype=np.float64))
    if total < _LEAST_OVERLAP * float(fixed_terms.weight.sum(dtype=np.float64)):
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
    rows, count = len(fixed_terms.jacobian), fixed_terms.parameters
    weighted = fixed_terms.jacobian * weight.reshape(rows, 1, -1)
    # One small product per row: no BLAS threads, so the bits do not depend on their number.
    hessian = (weighted @ fixed_terms.jacobian.transpose(0, 2, 1)).sum(axis=0, dtype=np.float64)
    slope = (weighted @ residual.reshape(rows, -1, 1)).sum(axis=0, dtype=np.float64)[:, 0]
    hessian += 1e-6 * np.trace(hessian) / count * np.eye(count)
    return np.asarray(np.linalg.solve(hessian, slope * scale))


def _normalised(image: Float32, weight: Float32, total: float) -> tuple[Float32, float]:
    mean = float((image * weight).sum(dtype=np.float64)) / total
    centred = image - np.float32(mean)
    spread = float((centred * centred * weight).sum(dtype=np.float64) / total) ** 0.5
    return centred / np.float32(max(spread, 1e-6)), spread
