"""Rows of registration: pairs, what they add up to along chains and in groups, and what they leave."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from somray.domain.tables.columns import Column, Row, Session, Subject

__all__ = ["AlignmentRow", "RegistrationRow", "ResidualRow"]


@dataclass(frozen=True)
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
    kind: Annotated[
        str, Column("", "slices (neighbours in a scan) or sessions (the same anatomy later)")
    ]
    fixed_session: Annotated[str, Column("", "session of the fixed image")]
    moving_session: Annotated[str, Column("", "session of the moving image")]
    t: Annotated[int | None, Column("", "time index; null for 3D models")]
    fixed_z: Annotated[int | None, Column("", "fixed slice; null for 3D models")]
    moving_z: Annotated[int | None, Column("", "moving slice; null for 3D models")]
    keypoints_fixed: Annotated[int | None, Column("", "keypoints found in the fixed image")]
    keypoints_moving: Annotated[int | None, Column("", "keypoints found in the moving image")]
    matches: Annotated[int | None, Column("", "matches after the ratio test")]
    inliers: Annotated[int | None, Column("", "matches that RANSAC kept")]
    inlier_fraction: Annotated[float | None, Column("1", "inliers / matches")]
    rmse_px: Annotated[float | None, Column("px", "root mean square residual of the inliers")]
    model: Annotated[str, Column("", "similarity, affine, homography, rigid3d or affine3d")]
    matrix: Annotated[
        list[float] | None,
        Column(
            "", "row-major, moving to fixed: 9 values in pixels (x y 1) or 16 in mm LPS (x y z 1)"
        ),
    ]
    status: Annotated[str, Column("", "ok, weak or refused")]
    reason: Annotated[str | None, Column("", "why it is weak or refused")]
    mad_before: Annotated[
        float | None, Column("window", "mean |difference| before, window scaled to 0..1")
    ]
    mad_after: Annotated[
        float | None, Column("window", "mean |difference| after, window scaled to 0..1")
    ]
    ncc_before: Annotated[float | None, Column("1", "normalised cross-correlation before")]
    ncc_after: Annotated[float | None, Column("1", "normalised cross-correlation after")]


@dataclass(frozen=True)
class AlignmentRow(Row):
    """One row per slice of a scan's chain, and per session of a subject's group."""

    table: ClassVar[str] = "alignment"
    sort_by: ClassVar[tuple[str, ...]] = ("subject", "kind", "session", "t", "z")
    subject: Subject
    kind: Annotated[str, Column("", "slices (one slice of a scan) or sessions (a whole session)")]
    session: Session
    t: Annotated[int | None, Column("", "time index; null for sessions")]
    z: Annotated[int | None, Column("", "slice; null for sessions")]
    reference_session: Annotated[str, Column("", "session that it is brought to")]
    reference_z: Annotated[int | None, Column("", "slice that it is brought to; null for sessions")]
    matrix: Annotated[
        list[float] | None,
        Column(
            "",
            "row-major, to the reference, all steps composed: 9 values in pixels (x y 1) or 16 in mm "
            "LPS (x y z 1); null where nothing leads there",
        ),
    ]
    status: Annotated[
        str,
        Column("", "ok, weak, repaired (a step was taken from its neighbours) or refused"),
    ]
    reason: Annotated[str | None, Column("", "why it is not ok")]
    cycle_error_mm: Annotated[
        float | None,
        Column("mm", "how far its steps disagree with a direct registration that leaves it out"),
    ]
    drift_mm: Annotated[
        float | None,
        Column(
            "mm",
            "mean way that it moves: slices against how they lie in the file; sessions, the chain of "
            "consecutive pairs against the group's own answer",
        ),
    ]
    walk_mm: Annotated[
        float | None,
        Column(
            "mm",
            "way that its middle would move if every step counted as found; steps that move less than "
            "their own uncertainty do not; null for sessions",
        ),
    ] = None


@dataclass(frozen=True)
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
    kind: Annotated[
        str, Column("", "slices (what is left is anatomy) or sessions (what is left is change)")
    ]
    fixed_session: Annotated[str, Column("", "session of the fixed image")]
    moving_session: Annotated[str, Column("", "session of the moving image")]
    t: Annotated[int | None, Column("", "time index; null for sessions")]
    fixed_z: Annotated[int | None, Column("", "fixed slice; null for whole sessions")]
    moving_z: Annotated[int | None, Column("", "moving slice; null for whole sessions")]
    region: Annotated[str, Column("", "lesion (the target in either image) or outside")]
    pixels: Annotated[int, Column("", "pixels of the region that both images show")]
    mad_before: Annotated[
        float | None, Column("unit of the first channel", "mean |difference| as the files lie")
    ]
    mad_after: Annotated[
        float | None, Column("unit of the first channel", "mean |difference| after registration")
    ]
    ncc_before: Annotated[float | None, Column("1", "normalised cross-correlation before")]
    ncc_after: Annotated[float | None, Column("1", "normalised cross-correlation after")]
