"""What a registration returns: a verdict with its reason, the motion, and the evidence for both.

Matrices take *moving to fixed*. A refused pair has no matrix: nothing is invented.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from somray.errors import ShapeError
from somray.kernels.grids.resample import warp_slice

__all__ = ["SliceRegistration", "VolumeRegistration"]


def _no_points() -> NDArray[np.float64]:
    return np.zeros((0, 2), dtype=np.float64)


@dataclass(frozen=True, eq=False)
class SliceRegistration:
    """One slice brought onto another.

    Args:
        status: ok, weak or refused.
        reason: why it is weak or refused; None when ok.
        matrix: (3, 3) float64, moving to fixed in pixels (x, y, 1), centres on whole numbers, positive
            determinant; None when refused.
        model: similarity, affine or homography.
        fixed_shape: rows and columns of the fixed slice: the grid that `warp` fills.
        keypoints_fixed: keypoints found; None where intensities alone decided.
        keypoints_moving: the same in the moving slice.
        matches: matches after the ratio test.
        inliers: matches that RANSAC kept.
        inlier_fraction: inliers / matches.
        rmse_px: root mean square residual of the inliers under the RANSAC model, fixed pixels.
        mad_before: mean |difference| before, window scaled to 0..1.
        mad_after: the same after.
        ncc_before: normalised cross-correlation before.
        ncc_after: the same after.
        fixed_points: (n, 2) x, y of the inliers in the fixed slice, for drawing.
        moving_points: (n, 2) their partners in the moving slice.
    """

    status: str
    reason: str | None
    matrix: NDArray[np.float64] | None
    model: str
    fixed_shape: tuple[int, int]
    keypoints_fixed: int | None = None
    keypoints_moving: int | None = None
    matches: int | None = None
    inliers: int | None = None
    inlier_fraction: float | None = None
    rmse_px: float | None = None
    mad_before: float | None = None
    mad_after: float | None = None
    ncc_before: float | None = None
    ncc_after: float | None = None
    fixed_points: NDArray[np.float64] = field(default_factory=_no_points)
    moving_points: NDArray[np.float64] = field(default_factory=_no_points)

    def warp(self, moving: NDArray[np.generic]) -> NDArray[np.float32]:
        """Resample a moving slice onto the fixed slice's grid.

        Args:
            moving: (y, x) on the moving slice's grid; NaN means no data.

        Returns:
            (y, x) float32, linear; NaN where moving shows nothing.

        Raises:
            ShapeError: if the registration was refused (there is no motion to apply) or moving is not 2D.
        """
        if self.matrix is None:
            raise ShapeError(f"the registration was refused ({self.reason}): nothing can be warped")
        return warp_slice(moving, np.asarray(np.linalg.inv(self.matrix)), self.fixed_shape)


@dataclass(frozen=True, eq=False)
class VolumeRegistration:
    """One volume brought onto another of the same subject.

    Args:
        status: ok, weak or refused.
        reason: why it is weak or refused; None when ok.
        matrix: (4, 4) float64, moving to fixed in LPS mm (x, y, z, 1); None when refused.
        model: rigid3d or affine3d.
        fixed_z: a fixed slice that is well covered after registration, for pictures; None when refused.
        moving_z: the moving slice nearest to it after registration; None when refused.
        structure: correlation of band-passed volumes that the best motion reached, also when refused.
        keypoints_fixed: keypoints found on the slices looked at; None where none were needed.
        keypoints_moving: the same in the moving volume.
        matches: matches after the ratio test.
        inliers: matches that the final motion explains within RANSAC's tolerance.
        inlier_fraction: inliers / matches.
        rmse_px: root mean square residual of the inliers, in fixed in-plane pixels.
        mad_before: mean |difference| before (scanner coordinates), window scaled to 0..1.
        mad_after: the same after.
        ncc_before: normalised cross-correlation before.
        ncc_after: the same after.
    """

    status: str
    reason: str | None
    matrix: NDArray[np.float64] | None
    model: str = "rigid3d"
    fixed_z: int | None = None
    moving_z: int | None = None
    structure: float | None = None
    keypoints_fixed: int | None = None
    keypoints_moving: int | None = None
    matches: int | None = None
    inliers: int | None = None
    inlier_fraction: float | None = None
    rmse_px: float | None = None
    mad_before: float | None = None
    mad_after: float | None = None
    ncc_before: float | None = None
    ncc_after: float | None = None
