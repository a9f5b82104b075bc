"""Rows about objects: what stands out in a scan, what it was called, and why."""

from typing import ClassVar

from somray.domain.tables.columns import Row, Session, Subject, TimeIndex, column, row

__all__ = ["ObjectRow"]


@row
class ObjectRow(Row):
    """One row per object of `labels/objects`, session and time index, lesions and physiology alike."""

    table: ClassVar[str] = "objects"
    sort_by: ClassVar[tuple[str, ...]] = ("subject", "session", "t", "object_id")
    subject: Subject
    session: Session
    t: TimeIndex
    object_id: int = column("", "its value in labels/objects at this time index")
    called: str = column("", "lesion, physiological or doubt; lesions alone are followed")
    name: str | None = column(
        "", "organ or place that it was recognised as, such as brain or scalp"
    )
    by: str = column("", "who decided: rule, cohort, anatomy (an organ mask) or configuration")
    reason: str = column("", "what decided, with the figures, in words")
    salience: float | None = column(
        "mm^1.5",
        "edge of log2 uptake or intensity on its surface × √volume × sphericity²; null where a map drew it",
    )
    level: float | None = column(
        "unit of the lesion channel", "value that it was cut at; null where a map drew it"
    )
    volume_mm3: float = column("mm³", "volume")
    centroid_z_mm: float = column("mm", "centroid, LPS z (superior)")
    centroid_y_mm: float = column("mm", "centroid, LPS y (posterior)")
    centroid_x_mm: float = column("mm", "centroid, LPS x (left)")
    peak_intensity: float = column(
        "unit of the lesion channel", "maximum on the grid that objects are found on"
    )
    mean_intensity: float = column("unit of the lesion channel", "mean on the same grid")
    contrast_log2: float | None = column(
        "1", "log2 of its mean over what surrounds it; null where a map drew it"
    )
    sphericity: float = column("1", "(36πV²)^⅓ / surface, 1 for a ball")
    ct_mean_hu: float | None = column("HU", "mean CT inside; null without CT")
    ct_std_hu: float | None = column("HU", "spread of CT inside; null without CT")
    height_fraction: float | None = column(
        "1", "0 at the body's upper end, 1 at its lower; null where no end is seen"
    )
    midline_mm: float | None = column("mm", "distance from the body's midline, left positive")
    depth_mm: float | None = column("mm", "least distance from the body's surface")
    twin: float | None = column("1", "overlap with the mirror image of another object, 0 to 1")
    cohort_fraction: float | None = column(
        "1", "share of the other subjects that are hot in the same place; null where unknown"
    )
    cohort_subjects: int | None = column(
        "", "other subjects that showed this place; null where none was asked"
    )
    organ: str | None = column(
        "", "organ of the anatomy mask that holds most of it; null without one"
    )
