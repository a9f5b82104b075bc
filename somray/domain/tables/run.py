"""Rows about the run itself: scans taken in, failures, notes, timings."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from somray.domain.tables.columns import (
    Column,
    Row,
    Session,
    Subject,
)

__all__ = ["FailureRow", "NoteRow", "ScanRow", "TimingRow"]


@dataclass(frozen=True)
class ScanRow(Row):
    """One row per scan of the manifest, quarantined ones too."""

    table: ClassVar[str] = "scans"
    sort_by: ClassVar[tuple[str, ...]] = ("subject", "session")
    subject: Subject
    session: Session
    path: Annotated[str, Column("", "source of the first channel, as in the manifest")]
    shape_t: Annotated[int | None, Column("", "time points")]
    shape_c: Annotated[int | None, Column("", "channels")]
    shape_z: Annotated[int | None, Column("", "slices")]
    shape_y: Annotated[int | None, Column("", "rows")]
    shape_x: Annotated[int | None, Column("", "columns")]
    spacing_z_mm: Annotated[float | None, Column("mm", "distance between slices")]
    spacing_y_mm: Annotated[float | None, Column("mm", "distance between rows")]
    spacing_x_mm: Annotated[float | None, Column("mm", "distance between columns")]
    modality: Annotated[str, Column("", "modality of the protocol")]
    unit: Annotated[str | None, Column("", "HU, SUVbw, Bq/ml or raw, one per channel")]
    days: Annotated[float | None, Column("d", "days since the subject's first session, as given")]
    repairs: Annotated[str | None, Column("", "codes of what was repaired, joined by commas")]
    status: Annotated[str, Column("", "done or quarantined")]


@dataclass(frozen=True)
class FailureRow(Row):
    """One row per scan or unit that could not be done."""

    table: ClassVar[str] = "failures"
    sort_by: ClassVar[tuple[str, ...]] = ("subject", "session", "stage", "code", "message")
    subject: Annotated[str | None, Column("", "subject, where it applies")]
    session: Annotated[str | None, Column("", "session, where it applies")]
    stage: Annotated[str, Column("", "stage that failed")]
    code: Annotated[str, Column("", "reason, a code of the data dictionary")]
    message: Annotated[str, Column("", "what, where and what to do")]
    attempts: Annotated[int, Column("", "times it was tried")]


@dataclass(frozen=True)
class NoteRow(Row):
    """One row per thing that was assumed, left out or decided of a scan or its masks, and is no failure."""

    table: ClassVar[str] = "notes"
    sort_by: ClassVar[tuple[str, ...]] = ("subject", "session", "stage", "note")
    subject: Subject
    session: Session
    stage: Annotated[str, Column("", "stage that tells it")]
    note: Annotated[str, Column("", "what was done, in words")]


@dataclass(frozen=True)
class TimingRow(Row):
    """One row per unit of work; measured, differs between runs."""

    table: ClassVar[str] = "timings"
    sort_by: ClassVar[tuple[str, ...]] = ("stage", "unit")
    stage: Annotated[str, Column("", "stage")]
    unit: Annotated[str, Column("", "unit of work")]
    seconds: Annotated[float, Column("s", "wall time")]
    peak_bytes: Annotated[int, Column("B", "peak resident memory of the worker while it ran")]
    node: Annotated[str, Column("", "node that ran it")]
    device: Annotated[str, Column("", "cpu or cuda")]
    attempts: Annotated[int, Column("", "times it was tried")]
