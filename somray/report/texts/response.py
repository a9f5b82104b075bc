"""Responses in words: by which thresholds they are called, and why one is not told."""

from collections.abc import Iterable, Mapping

from somray.config import ProtocolConfig
from somray.domain.teacher import TeacherModel
from somray.report.data import Row, Rows
from somray.report.drawing.blocks import Notice, Text
from somray.report.drawing.changes import DOUBTS
from somray.report.drawing.table import plural

__all__ = ["IN_DOUBT", "NO_RESPONSE", "care", "class_doubt", "doubts_of", "thresholds", "untold"]

NO_RESPONSE: Mapping[str, str] = {
    **DOUBTS,
    "baseline_missing": "a session before the first one shown could not be used, so there is no baseline",
    "no_target": "the first session shows no lesion large enough to be measured",
    "no_peak": "no sphere of 1 ml fits into the hottest lesion, so it has no SUVpeak",
    "no_suv": "the PET is not in SUV, so uptake of two sessions cannot be compared",
    "material": "this is no patient",
}
"""Code of `burden.doubt` to what it means."""

IN_DOUBT = "in doubt"
"""Stands behind every response that follows a class which must be read with care."""

_UPTAKE = ("PET", "PETCT")


def thresholds(config: ProtocolConfig) -> Text:
    """Tell by which thresholds responses are called."""
    by = config.lesions.response
    if config.modality in _UPTAKE:
        return Text(
            "Responses are PERCIST-like: SUVpeak of the hottest lesion against the first session, by "
            f"{by.uptake_fraction:.0%} and {by.uptake_floor_suv:g} SUV or more; a new lesion is progression. "
            "They are computed, not judged by a reader."
        )
    return Text(
        f"Responses are RECIST-like: the sum of up to five targets of {by.target_mm:g} mm or more; shrunk by "
        f"{by.shrink_fraction:.0%} or more since the first session, or grown by {by.growth_fraction:.0%} and "
        f"{by.growth_floor_mm:g} mm or more since the least; a new lesion is progression. They are computed, "
        "not judged by a reader."
    )


def class_doubt(config: ProtocolConfig, teacher: TeacherModel | None) -> str | None:
    """Return why all responses of a protocol are in doubt, None where they are not.

    They are no surer than the class that they follow. On PET, and in the lung, each object is called by figures of
    its own, and what stays in doubt is not followed, so there the class alone decides nothing.
    """
    if teacher is None or config.modality in _UPTAKE or config.objects.rule == "lung":
        return None
    return teacher.doubtful.get(config.teacher.target)


def care(config: ProtocolConfig, teacher: TeacherModel | None) -> tuple[Notice, ...]:
    """Warn where responses follow a class that must be read with care."""
    doubt = class_doubt(config, teacher)
    if doubt is None:
        return ()
    text = f"They follow class “{config.teacher.target}”, and {doubt.rstrip('.')}."
    return (Notice(text, "warn", "All responses are in doubt."),)


def untold(rows: Rows) -> Iterable[Notice]:
    """Say how many sessions have no response, and why."""
    doubted = [r for r in rows if r["doubt"] and not r["response"]]
    if doubted:
        codes = sorted({code for r in doubted for code in _codes(r)})
        told = "; ".join(NO_RESPONSE.get(code, code) for code in codes)
        lead = f"No response is told for {plural(len(doubted), 'session')}."
        yield Notice(f"{told[:1].upper()}{told[1:]}.", "warn", lead)


def doubts_of(row: Row) -> list[str]:
    """Tell each doubt of a row of `burden` in words."""
    return [NO_RESPONSE.get(code, code) for code in _codes(row)]


def _codes(row: Row) -> list[str]:
    return [code.strip() for code in str(row["doubt"]).split(",")] if row["doubt"] else []
