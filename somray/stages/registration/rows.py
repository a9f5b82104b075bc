"""Findings of a registration as rows of the table `registration`."""

import numpy as np
from numpy.typing import NDArray

from somray.domain.run import ScanPlace
from somray.domain.tables import RegistrationRow
from somray.kernels.registration import SliceRegistration, VolumeRegistration

__all__ = ["registration_row"]


def registration_row(
    kind: str,
    fixed: ScanPlace,
    moving: ScanPlace,
    found: SliceRegistration | VolumeRegistration,
    where: tuple[int | None, int | None, int | None],
    matrix: NDArray[np.float64] | None = None,
) -> RegistrationRow:
    """Turn a finding into a row; `where` is t, fixed z, moving z."""
    chosen = found.matrix if matrix is None else matrix
    return RegistrationRow(
        subject=fixed.subject,
        kind=kind,
        fixed_session=fixed.session,
        moving_session=moving.session,
        t=where[0],
        fixed_z=where[1],
        moving_z=where[2],
        keypoints_fixed=found.keypoints_fixed,
        keypoints_moving=found.keypoints_moving,
        matches=found.matches,
        inliers=found.inliers,
        inlier_fraction=found.inlier_fraction,
        rmse_px=found.rmse_px,
        model=found.model,
        matrix=None if chosen is None else [float(v) for v in chosen.ravel()],
        status=found.status,
        reason=found.reason,
        mad_before=found.mad_before,
        mad_after=found.mad_after,
        ncc_before=found.ncc_before,
        ncc_after=found.ncc_after,
    )
