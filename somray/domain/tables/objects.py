"""Rows about objects: what stands out in a scan, what it was called, and why."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from somray.domain.tables.columns import Column, Row, Session, Subject, TimeIndex

__all__ = ["ObjectRow"]


@dataclass(frozen=True)
class ObjectRow(Row):
    """One row per object of `labels/objects`, session and time index, lesions and physiology alike."""

    table: ClassVar[str] = "objects"
    sort_by: ClassVar[tuple[str, ...]] = ("subject", "session", "t", "object_id")
    subject: Subject
    session: Session
    t: TimeIndex
    object_id: Annotated[int, Column("", "its value in labels/objects at this time index")]
    called: Annotated[str, Column("", "lesion, physiological or doubt; lesions alone are followed")]
    name: Annotated[
        str | None, Column("", "organ or place that it was recognised as, such as brain or scalp")
    ]
    by: Annotated[
        str, Column("", "who decided: rule, cohort, anatomy (an organ mask) or configuration")
    ]
    reason: Annotated[str, Column("", "what decided, with the figures, in words")]
    salience: Annotated[
        float | None,
        Column(
            "mm^1.5",
            "edge of log2 uptake or intensity on its surface × √volume × sphericity²; null where a map drew it",
        ),
    ]
    level: Annotated[
        float | None,
        Column("unit of the lesion channel", "value that it was cut at; null where a map drew it"),
    ]
    volume_mm3: Annotated[float, Column("mm³", "volume")]
    centroid_z_mm: Annotated[float, Column("mm", "centroid, LPS z (superior)")]
    centroid_y_mm: Annotated[float, Column("mm", "centroid, LPS y (posterior)")]
    centroid_x_mm: Annotated[float, Column("mm", "centroid, LPS x (left)")]
    peak_intensity: Annotated[
        float, Column("unit of the lesion channel", "maximum on the grid that objects are found on")
    ]
    mean_intensity: Annotated[float, Column("unit of the lesion channel", "mean on the same grid")]
    contrast_log2: Annotated[
        float | None,
        Column("1", "log2 of its mean over what surrounds it; null where a map drew it"),
    ]
    sphericity: Annotated[float, Column("1", "(36πV²)^⅓ / surface, 1 for a ball")]
    ct_mean_hu: Annotated[float | None, Column("HU", "mean CT inside; null without CT")]
    ct_std_hu: Annotated[float | None, Column("HU", "spread of CT inside; null without CT")]
    height_fraction: Annotated[
        float | None,
        Column("1", "0 at the body's upper end, 1 at its lower; null where no end is seen"),
    ]
    midline_mm: Annotated[
        float | None, Column("mm", "distance from the body's midline, left positive")
    ]
    depth_mm: Annotated[float | None, Column("mm", "least distance from the body's surface")]
    twin: Annotated[
        float | None, Column("1", "overlap with the mirror image of another object, 0 to 1")
    ]
    cohort_fraction: Annotated[
        float | None,
        Column(
            "1", "share of the other subjects that are hot in the same place; null where unknown"
        ),
    ]
    cohort_subjects: Annotated[
        int | None, Column("", "other subjects that showed this place; null where none was asked")
    ]
    organ: Annotated[
        str | None, Column("", "organ of the anatomy mask that holds most of it; null without one")
    ]
