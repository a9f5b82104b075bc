"""Rows of registration: pairs, what they add up to along chains and in groups, and what they leave."""

from typing import ClassVar

from somray.domain.tables.columns import Row, Session, Subject, column, row

__all__ = ["AlignmentRow", "RegistrationRow", "ResidualRow"]


@row
class RegistrationRow(Row):
    """One row per registered pair; matrix takes moving to fixed."""

    table: ClassVar[str] = "registration"
    sort_by: ClassVar[tuple[str, ...]] = (
        "subject",
        "kind",
        "fixed_session",
        "moving_session",
        "t",
        "fixed_z",
        "model",
    )
    subject: Subject
    kind: str = column("", "slices (neighbours in a scan) or sessions (the same anatomy later)")
    fixed_session: str = column("", "session of the fixed image")
    moving_session: str = column("", "session of the moving image")
    t: int | None = column("", "time index; null for 3D models")
    fixed_z: int | None = column("", "fixed slice; null for 3D models")
    moving_z: int | None = column("", "moving slice; null for 3D models")
    keypoints_fixed: int | None = column("", "keypoints found in the fixed image")
    keypoints_moving: int | None = column("", "keypoints found in the moving image")
    matches: int | None = column("", "matches after the ratio test")
    inliers: int | None = column("", "matches that RANSAC kept")
    inlier_fraction: float | None = column("1", "inliers / matches")
    rmse_px: float | None = column("px", "root mean square residual of the inliers")
    model: str = column("", "similarity, affine, homography, rigid3d or affine3d")
    matrix: list[float] | None = column(
        "", "row-major, moving to fixed: 9 values in pixels (x y 1) or 16 in mm LPS (x y z 1)"
    )
    status: str = column("", "ok, weak or refused")
    reason: str | None = column("", "why it is weak or refused")
    mad_before: float | None = column("window", "mean |difference| before, window scaled to 0..1")
    mad_after: float | None = column("window", "mean |difference| after, window scaled to 0..1")
    ncc_before: float | None = column("1", "normalised cross-correlation before")
    ncc_after: float | None = column("1", "normalised cross-correlation after")


@row
class AlignmentRow(Row):
    """One row per slice of a scan's chain, and per session of a subject's group."""

    table: ClassVar[str] = "alignment"
    sort_by: ClassVar[tuple[str, ...]] = ("subject", "kind", "session", "t", "z")
    subject: Subject
    kind: str = column("", "slices (one slice of a scan) or sessions (a whole session)")
    session: Session
    t: int | None = column("", "time index; null for sessions")
    z: int | None = column("", "slice; null for sessions")
    reference_session: str = column("", "session that it is brought to")
    reference_z: int | None = column("", "slice that it is brought to; null for sessions")
    matrix: list[float] | None = column(
        "",
        "row-major, to the reference, all steps composed: 9 values in pixels (x y 1) or 16 in mm "
        "LPS (x y z 1); null where nothing leads there",
    )
    status: str = column("", "ok, weak, repaired (a step was taken from its neighbours) or refused")
    reason: str | None = column("", "why it is not ok")
    cycle_error_mm: float | None = column(
        "mm", "how far its steps disagree with a direct registration that leaves it out"
    )
    drift_mm: float | None = column(
        "mm",
        "mean way that it moves: slices against how they lie in the file; sessions, the chain of "
        "consecutive pairs against the group's own answer",
    )
    walk_mm: float | None = column(
        "mm",
        "way that its middle would move if every step counted as found; steps that move less than "
        "their own uncertainty do not; null for sessions",
        default=None,
    )


@row
class ResidualRow(Row):
    """One row per registered pair and region: what is left inside the lesions and outside."""

    table: ClassVar[str] = "residuals"
    sort_by: ClassVar[tuple[str, ...]] = (
        "subject",
        "kind",
        "fixed_session",
        "moving_session",
        "t",
        "fixed_z",
        "region",
    )
    subject: Subject
    kind: str = column("", "slices (what is left is anatomy) or sessions (what is left is change)")
    fixed_session: str = column("", "session of the fixed image")
    moving_session: str = column("", "session of the moving image")
    t: int | None = column("", "time index; null for sessions")
    fixed_z: int | None = column("", "fixed slice; null for whole sessions")
    moving_z: int | None = column("", "moving slice; null for whole sessions")
    region: str = column("", "lesion (the target in either image) or outside")
    pixels: int = column("", "pixels of the region that both images show")
    mad_before: float | None = column(
        "unit of the first channel", "mean |difference| as the files lie"
    )
    mad_after: float | None = column(
        "unit of the first channel", "mean |difference| after registration"
    )
    ncc_before: float | None = column("1", "normalised cross-correlation before")
    ncc_after: float | None = column("1", "normalised cross-correlation after")
