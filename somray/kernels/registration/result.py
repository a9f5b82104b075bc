"""What a registration returns: a verdict with its reason, the motion, and the evidence for both.

Matrices take *moving to fixed*. A refused pair has no matrix: nothing is invented.
"""

from dataclasses import KW_ONLY, dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from somray.errors import ShapeError
from somray.kernels.grids.resample import warp_slice

__all__ = ["MotionVerdict", "Registration", "SliceRegistration", "VolumeRegistration"]


class MotionVerdict(NamedTuple):
    """Status ok, weak or refused, and why it is not ok."""

    status: str = "ok"
    reason: str | None = None

    @property
    def is_refused(self) -> bool:
        """Whether nothing may be made of the motion."""
        return self.status == "refused"


def _no_points() -> NDArray[np.float64]:
    return np.zeros((0, 2), dtype=np.float64)


@dataclass(frozen=True, eq=False)
class Registration:
    """What is told of any registered pair; fields are columns of the table `registration`.

    Args:
        status: ok, weak or refused.
        reason: why it is weak or refused; None when ok.
        matrix: float64, moving to fixed, positive determinant; None when refused.
        model: kind of motion.
        keypoints_fixed: keypoints found; None where intensities alone decided.
        keypoints_moving: the same of moving.
        matches: matches after the ratio test.
        inliers: matches that agree with the motion.
        inlier_fraction: inliers / matches.
        rmse_px: root mean square residual of the inliers, fixed pixels.
        mad_before: mean |difference| before, window scaled to 0..1.
        mad_after: the same after.
        ncc_before: normalised cross-correlation before.
        ncc_after: the same after.
    """

    status: str
    reason: str | None
    matrix: NDArray[np.float64] | None
    model: str
    _: KW_ONLY
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


@dataclass(frozen=True, eq=False)
class SliceRegistration(Registration):
    """One slice brought onto another: a `Registration` whose matrix is (3, 3) in pixels.

    Pixels are (x, y, 1), centres on whole numbers; the model is similarity, affine or homography; inliers are
    those of the robust fit, their residual that under its motion.

    Args:
        fixed_shape: rows and columns of the fixed slice: the grid that `warp` fills.
        fixed_points: (n, 2) x, y of the inliers in the fixed slice, for drawing.
        moving_points: (n, 2) their partners in the moving slice.
    """

    fixed_shape: tuple[int, int]
    _: KW_ONLY
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
class VolumeRegistration(Registration):
    """One volume brought onto another of the same subject: a `Registration` whose matrix is (4, 4) in LPS mm.

    The model is rigid3d or affine3d; inliers are matches that the final motion explains within RANSAC's
    tolerance; "before" means scanner coordinates.

    Args:
        fixed_z: a fixed slice that is well covered after registration, for pictures; None when refused.
        moving_z: the moving slice nearest to it after registration; None when refused.
        structure: correlation of band-passed volumes that the best motion reached, also when refused.
    """

    model: str = "rigid3d"
    _: KW_ONLY
    fixed_z: int | None = None
    moving_z: int | None = None
    structure: float | None = None
