"""A teacher's classes in a subject's scans: how they fill them along z, and whether the teacher carries over."""

from collections.abc import Iterator

import numpy as np

from somray.domain.teacher import TeacherModel
from somray.kernels.teacher.signature import EVERY
from somray.report.data import Rows, SubjectData, is_4d
from somray.report.drawing.blocks import Block, Gallery, Picture, Section, Text
from somray.report.drawing.classes import (
    Profile,
    doubt_told,
    profiles_of,
    short_names,
)
from somray.report.drawing.style import class_colour
from somray.report.drawing.table import rows_table
from somray.report.figures.classes import areas_along_z, classes_in, shown_legend
from somray.report.figures.radar import CROWDED, radar_limit, radar_over_sessions
from somray.report.texts.notices import doubts, drift_notices

__all__ = ["areas_section", "signatures_section"]

DRIFT_COLUMNS = (
    "session", "status", "distance_ratio", "far_fraction", "sharpness", "channel", "feature",
    "shift", "reason",
)  # fmt: skip
MOST_AREAS = 8  # sessions whose areas are pictured


def areas_section(subject: SubjectData, prefix: str) -> Section:
    """Show the share of each class slice by slice, session by session."""
    teacher, pictures = subject.teacher, []
    seen: set[str] = set()
    for number, scan in enumerate(subject.scans[:MOST_AREAS]):
        if teacher is None:
            break
        rows = subject.rows("areas", session=scan["session"], t=0)
        where = f"session {scan['session']}" + (" at time index 0" if is_4d(scan) else "")
        pictures.append(areas_along_z(rows, teacher, where, f"{prefix}-areas{number}"))
        seen |= classes_in(rows)
    drawn = tuple(p for p in pictures if p is not None)
    if teacher is None or not drawn:
        told = "Nothing to show: no scan of this protocol carries a class map yet."
        return Section(f"{prefix}-areas", "Classes along z", (Text(told),))
    blocks = (
        *doubts(teacher, seen),
        Gallery(drawn, "chart"),
        shown_legend(teacher, seen),
    )
    return Section(f"{prefix}-areas", "Classes along z", blocks)


def signatures_section(subject: SubjectData, prefix: str) -> Section:
    """Show a subject's sessions against the reference: distances, and one radar per class."""
    teacher, drift = subject.teacher, subject.rows("drift")
    told = (
        "How well the centroids carry over: distances to the nearest node against the reference's, and "
        "the feature whose mean moved most."
    )
    table = rows_table(
        "drift", drift, DRIFT_COLUMNS, told, "no scan of it carries a class map yet."
    )
    radars = () if teacher is None else _radars(subject, teacher, prefix)
    blocks = (*drift_notices(drift), table, *radars)
    return Section(f"{prefix}-signatures", "Does the teacher carry over?", blocks)


def _radars(subject: SubjectData, teacher: TeacherModel, prefix: str) -> Iterator[Block]:
    rows, order = subject.rows("profiles"), [s["session"] for s in subject.done]
    found = {
        name: _by_session([r for r in rows if r["class_name"] == name], teacher, value, order)
        for value, name in teacher.class_names.items()
    }
    shown = {name: sessions for name, sessions in found.items() if sessions}
    if not shown:
        yield Text("Nothing to show: no class of this protocol covers anything here yet.")
        return
    clusters = subject.whole.rows("clusters")
    known = {p.name: p for p in profiles_of(clusters, teacher, "class") if p.is_known}
    limit = radar_limit([p for sessions in shown.values() for p in sessions])
    labels, pictures = short_names(teacher), []
    for number, (name, sessions) in enumerate(shown.items()):
        anchor = f"{prefix}-sig{number}"
        markup = radar_over_sessions(known.get(name), sessions, labels, limit, anchor)
        shares = ", ".join(f"{p.name} {100 * p.share:.1f} %" for p in sessions)
        doubt = doubt_told(teacher, name)
        told = f"Class {name}{doubt} in each session; share of the scan: {shares}."
        pictures.append(Picture(markup, told))
    yield from doubts(teacher, tuple(shown))
    yield Text(
        f"Signatures are means over a class's pixels of the whole scan (one row in {EVERY}), in standard "
        "deviations of the reference. A class that means the same in every session keeps its shape."
    )
    yield Gallery(tuple(pictures), "chart" if len(labels) > CROWDED else "medium")


def _by_session(rows: Rows, teacher: TeacherModel, value: int, order: list[str]) -> list[Profile]:
    """Gather one class's profile in each session, in order of time; those it covers nothing in not."""
    colour = class_colour(teacher.class_names[value], value)
    parts = {session: [r for r in rows if r["session"] == session] for session in order}
    profiles = [Profile.of(s, colour, part, teacher) for s, part in parts.items() if part]
    return [p for p in profiles if np.isfinite(p.mean).all()]
