"""Rows about the run itself: scans taken in, failures, notes, timings."""

from dataclasses import fields
from typing import Any, ClassVar

from somray.domain.tables.columns import Row, Session, Subject, column, row

__all__ = ["FailureRow", "NoteRow", "ScanRow", "TimingRow"]


@row
class ScanRow(Row):
    """One row per scan of the manifest, quarantined ones too."""

    table: ClassVar[str] = "scans"
    sort_by: ClassVar[tuple[str, ...]] = ("subject", "session")
    subject: Subject
    session: Session
    path: str = column("", "source of the first channel, as in the manifest")
    shape_t: int | None = column("", "time points")
    shape_c: int | None = column("", "channels")
    shape_z: int | None = column("", "slices")
    shape_y: int | None = column("", "rows")
    shape_x: int | None = column("", "columns")
    spacing_z_mm: float | None = column("mm", "distance between slices")
    spacing_y_mm: float | None = column("mm", "distance between rows")
    spacing_x_mm: float | None = column("mm", "distance between columns")
    modality: str = column("", "modality of the protocol")
    unit: str | None = column("", "HU, SUVbw, Bq/ml or raw, one per channel")
    days: float | None = column("d", "days since the subject's first session, as given")
    repairs: str | None = column("", "codes of what was repaired, joined by commas")
    status: str = column("", "done or quarantined")

    @classmethod
    def quarantined(
        cls, subject: str, session: str, path: str, modality: str, days: float | None
    ) -> "ScanRow":
        """Return the row of a scan that could not be used: it has no figures."""
        told = {"subject": subject, "session": session, "path": path, "modality": modality, "days": days}  # fmt: skip
        none: dict[str, Any] = dict.fromkeys(one.name for one in fields(cls))
        return cls(**{**none, **told, "status": "quarantined"})


@row
class FailureRow(Row):
    """One row per scan or unit that could not be done."""

    table: ClassVar[str] = "failures"
    sort_by: ClassVar[tuple[str, ...]] = ("subject", "session", "stage", "code", "message")
    subject: str | None = column("", "subject, where it applies")
    session: str | None = column("", "session, where it applies")
    stage: str = column("", "stage that failed")
    code: str = column("", "reason, a code of the data dictionary")
    message: str = column("", "what, where and what to do")
    attempts: int = column("", "times it was tried")


@row
class NoteRow(Row):
    """One row per thing that was assumed, left out or decided of a scan or its masks, and is no failure."""

    table: ClassVar[str] = "notes"
    sort_by: ClassVar[tuple[str, ...]] = ("subject", "session", "stage", "note")
    subject: Subject
    session: Session
    stage: str = column("", "stage that tells it")
    note: str = column("", "what was done, in words")


@row
class TimingRow(Row):
    """One row per unit of work; measured, differs between runs."""

    table: ClassVar[str] = "timings"
    sort_by: ClassVar[tuple[str, ...]] = ("stage", "unit")
    stage: str = column("", "stage")
    unit: str = column("", "unit of work")
    seconds: float = column("s", "wall time")
    peak_bytes: int = column("B", "peak resident memory of the worker while it ran")
    node: str = column("", "node that ran it")
    device: str = column("", "cpu or cuda")
    attempts: int = column("", "times it was tried")
