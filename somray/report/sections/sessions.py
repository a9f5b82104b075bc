"""Whether the teacher carries over: each scan's distance to its nodes, and each class's signature by session."""

from collections.abc import Iterable, Sequence

import numpy as np

from somray.domain.teacher import TeacherModel
from somray.kernels.teacher.signature import EVERY
from somray.report.data import ReportData, Row, Rows
from somray.report.drawing.blocks import Block, Gallery, Picture, Section, Text
from somray.report.drawing.listing import listing
from somray.report.drawing.style import class_colours
from somray.report.drift import drift_notices
from somray.report.figures.classes import Profile, radar_limit, short_names
from somray.report.figures.sessions import radar_over_sessions
from somray.report.notices import doubts
from somray.report.sections.teacher import profiles_of

__all__ = ["signatures_section"]

DRIFT_COLUMNS = (
    "session", "status", "distance_ratio", "far_fraction", "sharpness", "channel", "feature",
    "shift", "reason",
)  # fmt: skip


def signatures_section(data: ReportData, scans: list[Row], protocol: str, prefix: str) -> Section:
    """Show a subject's sessions against the reference: distances, and one radar per class."""
    subject, teacher = scans[0]["subject"], data.teacher(protocol)
    drift = data.rows("drift", protocol=protocol, subject=subject)
    told = (
        "How well the centroids carry over: distances to the nearest node against the reference's, and "
        "the feature whose mean moved most."
    )
    table = listing("drift", drift, DRIFT_COLUMNS, (told, "no scan of it carries a class map yet."))
    blocks: list[Block] = [*drift_notices(drift), table]
    if teacher is not None:
        blocks += _radars(data, scans, teacher, prefix)
    return Section(f"{prefix}-signatures", "Does the teacher carry over?", tuple(blocks))


def _radars(
    data: ReportData, scans: list[Row], teacher: TeacherModel, prefix: str
) -> Iterable[Block]:
    protocol, subject = scans[0]["protocol"], scans[0]["subject"]
    rows = data.rows("profiles", protocol=protocol, subject=subject)
    order = [s["session"] for s in scans if s["status"] == "done"]
    clusters = data.rows("clusters", protocol=protocol)
    known = {p.name: p for p in profiles_of(clusters, teacher, "class")}
    labels = short_names([(c, f) for c in teacher.channels for f in teacher.features])
    found = {name: _by_session(rows, teacher, name, order) for name in teacher.class_names.values()}
    shown = {name: sessions for name, sessions in found.items() if sessions}
    if not shown:
        yield Text("Nothing to show: no class of this protocol covers anything here yet.")
        return
    limit = radar_limit([p for sessions in shown.values() for p in sessions])
    pictures = []
    for number, (name, sessions) in enumerate(shown.items()):
        reference = known.get(name)
        if reference is not None and not np.isfinite(reference.mean).any():
            reference = None
        markup = radar_over_sessions(reference, sessions, labels, limit, f"{prefix}-sig{number}")
        shares = ", ".join(f"{p.name} {100 * p.share:.1f} %" for p in sessions)
        doubt = " (doubtful, see above)" if name in teacher.doubtful else ""
        told = f"Class {name}{doubt} in each session; share of the scan: {shares}."
        pictures.append(Picture(markup, told, f"Signature of class {name} over sessions."))
    yield from doubts(teacher, tuple(shown))
    yield Text(
        f"Signatures are means over a class's pixels of the whole scan (one row in {EVERY}), in standard "
        "deviations of the reference. A class that means the same in every session keeps its shape."
    )
    yield Gallery(tuple(pictures), "medium")


def _by_session(
    rows: Rows, teacher: TeacherModel, class_name: str, order: Sequence[str]
) -> list[Profile]:
    """Gather one class's profile in each session, in order of time; those it covers nothing in not."""
    keys = [(c, f) for c in teacher.channels for f in teacher.features]
    value = next(v for v, name in teacher.class_names.items() if name == class_name)
    colour = class_colours(teacher.class_names)[value]
    profiles = []
    for session in order:
        part = {
            (r["channel"], r["feature"]): r
            for r in rows
            if r["session"] == session and r["class_name"] == class_name and r["mean"] is not None
        }
        if len(part) == len(keys):
            mean, std = (np.array([float(part[k][c]) for k in keys]) for c in ("mean", "std"))
            profiles.append(Profile(session, colour, mean, std, part[keys[0]]["share_fraction"]))
    return profiles
