"""Rows about how much disease a session shows, and what became of it since the first."""

from typing import ClassVar

from somray.domain.tables.columns import Row, Session, Subject, TimeIndex, column, row

__all__ = ["BurdenRow"]


@row
class BurdenRow(Row):
    """One row per subject, session and time index, without lesions too.

    Changes and responses are those of time index 0 against the subject's first session, the baseline, whose
    own are null.
    """

    table: ClassVar[str] = "burden"
    sort_by: ClassVar[tuple[str, ...]] = ("subject", "session", "t")
    subject: Subject
    session: Session
    t: TimeIndex
    lesions: int = column("", "number of lesions")
    volume_mm3: float = column("mm³", "volume of all of them; on PET the MTV")
    tlg: float | None = column(
        "SUVbw·ml", "sum of the lesions' tlg_ml, with its unit; null without PET"
    )
    dmax_mm: float | None = column(
        "mm",
        "largest distance between two lesion voxel centres, of different lesions or of one; null "
        "without lesions",
    )
    axes_mm: float = column(
        "mm",
        "sum of the up to five longest longest_axis_mm of this session's lesions, whichever they are",
    )
    change_from_baseline: float | None = column(
        "1", "(axes_mm − that of the first session) / that of the first session"
    )
    change_from_nadir: float | None = column(
        "1", "the same against the smallest axes_mm of all earlier sessions"
    )
    response: str | None = column(
        "",
        "CT, MR: CR, PR, SD or PD, RECIST-like by targets_mm; PET: CMR, PMR, SMD or PMD, PERCIST-like "
        "by suv_peak; null at the first session and where doubt says why",
    )
    doubt: str | None = column(
        "",
        "why there is no response, joined by commas: not_registered, not_covered, misaligned (as in "
        "evolution, of a lesion that matters here), baseline_missing (a session before the first one "
        "here could not be used), no_target (nothing measurable at the first "
        "session), no_peak (no 1 ml sphere fits the hottest lesion), no_suv (PET in another unit), "
        "material (not a patient); null where none",
    )
    reason: str | None = column(
        "", "what decided the response, with figures, in words", default=None
    )
    targets: list[int] | None = column(
        "",
        "lesion_ids of the targets: up to five longest axial_axis_mm of the first session that reach "
        "the configured length, what they split into and what absorbed them; null after t 0",
        default=None,
    )
    targets_mm: float | None = column(
        "mm",
        "sum of the targets' axial_axis_mm, 0 for one that is gone; new lesions never count; null "
        "without targets, in doubt and after t 0",
        default=None,
    )
    targets_change_from_baseline: float | None = column(
        "1", "(targets_mm − that of the first session) / the latter", default=None
    )
    targets_change_from_nadir: float | None = column(
        "1", "the same against the smallest targets_mm of all earlier sessions", default=None
    )
    volume_change_from_baseline: float | None = column(
        "1", "(volume_mm3 − that of the first session) / the latter", default=None
    )
    suv_peak: float | None = column(
        "SUVbw",
        "highest suv_peak of all lesions; null where the hottest lesion has none",
        default=None,
    )
    suv_peak_change_from_baseline: float | None = column(
        "1", "(suv_peak − that of the first session) / the latter", default=None
    )
