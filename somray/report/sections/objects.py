"""A subject's objects of one protocol: projections or slices with their calls, every reason, how to overrule."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from somray.kernels.objects.found import DOUBT, LESION, PHYSIOLOGICAL
from somray.kernels.objects.prior import LEAST_SUBJECTS
from somray.report.data import Row, Rows, ScanPixels, SubjectData, is_4d
from somray.report.data.projections import Projection, project
from somray.report.drawing.blocks import (
    Block,
    Cell,
    Code,
    Details,
    Gallery,
    Section,
    Table,
    Text,
)
from somray.report.drawing.style import CALLS
from somray.report.drawing.table import TableColumn, plural, table_of
from somray.report.drawing.tiles import outline_legend
from somray.report.figures.objects import (
    CALL_NAMES,
    object_slices,
    projection_picture,
    uptake_window,
)

__all__ = ["objects_section"]

TITLE = "Objects: lesions, physiology, doubt"
MOST_SESSIONS = 6  # with pictures: the first and the latest
MOST_SLICES = 3
MOST_ROWS_OPEN = 40
MOST_ROWS = 150  # of a folded table, and of lines to overrule
_TONES = {LESION: "bad", DOUBT: "warn", PHYSIOLOGICAL: "muted"}
_OTHER = {LESION: PHYSIOLOGICAL, DOUBT: LESION, PHYSIOLOGICAL: LESION}
_NONE = (
    "Nothing to show: objects are not looked for in this protocol, or no session has come so far; lesions are "
    "followed as the map or the student draws them, with the borders that the method page tells of."
)
_KEPT = (
    "Nothing is deleted: an object that is called physiological or in doubt stays in labels/objects and in "
    "this table with its reason; lesions alone are followed over sessions. Who decided: the rule, the cohort "
    "(other subjects are hot in the same place), anatomy (an organ mask) or the configuration (a person)."
)


@dataclass(frozen=True, eq=False)
class SessionObjects:
    """One session's objects.

    Args:
        pixels: of its scan, which holds `labels/objects`.
        rows: of `objects`.
        calls: object number to call, at time index 0.
        where: the session in words.
        unit: of the channel that measures uptake; None without such a channel.
        views: that channel projected at time index 0.
        in_lung: whether they are what the lung encloses.
    """

    pixels: ScanPixels
    rows: Rows
    calls: Mapping[int, str]
    where: str
    unit: str | None = None
    views: tuple[Projection, ...] = ()
    in_lung: bool = False

    def called(self, *calls: str) -> Rows:
        """Return the rows called so, call by call."""
        return [r for call in calls for r in self.rows if r["called"] == call]


def objects_section(subject: SubjectData, prefix: str) -> Section:
    """Show what stands out in a subject's sessions, and what each object was called and why."""
    rows = subject.rows("objects")
    found = (_session(subject, scan, rows) for scan in subject.done)
    sessions = [session for session in found if session is not None]
    if not sessions:
        return Section(f"{prefix}-objects", TITLE, (Text(_NONE),))
    pictured = sessions
    if len(sessions) > MOST_SESSIONS:
        pictured = [*sessions[:1], *sessions[1 - MOST_SESSIONS :]]
    blocks: list[Block] = [Text(_KEPT), *_pictures(pictured)]
    if len(pictured) < len(sessions):
        left_out = plural(len(sessions) - len(pictured), "session")
        blocks.append(Text(f"{left_out} between them not pictured."))
    for session in sessions:
        blocks += _tables(session, subject.protocol)
    return Section(f"{prefix}-objects", TITLE, tuple(blocks))


def _session(subject: SubjectData, scan: Row, rows: Rows) -> SessionObjects | None:
    """Gather a session's objects and look at them; None where they were not looked for."""
    pixels = subject.scan(scan["session"])
    if pixels is None or "objects" not in pixels.labels:
        return None
    own = [r for r in rows if r["session"] == scan["session"]]
    calls = {r["object_id"]: r["called"] for r in own if r["t"] == 0}
    where = f"session {scan['session']}"
    where += "" if scan["days"] is None else f", day {scan['days']:g}"
    where += ", time index 0" if is_4d(scan) else ""
    channel = pixels.uptake_channel(subject.config.modality)
    if channel is None:
        in_lung = subject.config.objects.rule == "lung"
        return SessionObjects(pixels, own, calls, where, in_lung=in_lung)
    views = project(pixels, channel, 0, calls)
    return SessionObjects(pixels, own, calls, where, pixels.units[channel], views)


def _pictures(sessions: Sequence[SessionObjects]) -> Iterator[Block]:
    """Show projections, all sessions in SUV in one window; slices where there is no PET."""
    in_suv = [v for s in sessions if s.unit == "SUVbw" for v in s.views]
    shown: list[Gallery] = []
    for session in sessions:
        if session.unit is None:
            heights, calls = _heights(session), session.calls
            pictures = object_slices(session.pixels, heights, calls, session.where, session.in_lung)
        else:
            of = in_suv if session.unit == "SUVbw" else session.views
            window = uptake_window(of, session.unit)
            pictures = [
                projection_picture(v, window, session.calls, session.where) for v in session.views
            ]
        if pictures:
            told = session.where[0].upper() + session.where[1:]
            shown.append(Gallery(tuple(pictures), "small", f"{told}."))
    if any(s.views for s in sessions):
        told = (
            "The hottest value along each line of sight, from the front and from the side, in colour where an "
            "object lies anywhere along it. Numbers are lesion ids, the same over all sessions"
        )
        if all(v.frame.towards for s in sessions for v in s.views):
            told += "; L is the patient's left, P the back, F the feet"
        yield Text(f"{told}.")
    if shown:
        yield outline_legend(CALL_NAMES, CALLS)
    yield from shown


def _heights(session: SessionObjects) -> list[int]:
    """Choose up to three slices through the middle of the largest lesions, or of what else there is."""
    order = sorted(
        (r for r in session.rows if r["t"] == 0),
        key=lambda r: (list(CALL_NAMES).index(r["called"]), -r["volume_mm3"]),
    )
    meta = session.pixels.meta
    last = meta.shape[2] - 1
    if not order:
        return [last // 2]
    centres = np.array([[r[f"centroid_{a}_mm"] for a in "xyz"] for r in order])
    heights = np.clip(meta.geometry.to_index(centres)[:, 0].round(), 0, last).astype(int)
    return sorted(list(dict.fromkeys(heights.tolist()))[:MOST_SLICES])


def _tables(session: SessionObjects, protocol: str) -> Iterator[Block]:
    """List lesions and doubts, fold what is physiological, and tell how to overrule."""
    open_rows, folded = session.called(LESION, DOUBT), session.called(PHYSIOLOGICAL)
    spots = session.views[0].spots if session.views else {}
    lesions = {number: spot.lesion for number, spot in spots.items() if spot.lesion is not None}
    told = f"Lesions and objects in doubt, {session.where}."
    yield _table(told, open_rows[:MOST_ROWS_OPEN], lesions)
    if len(open_rows) > MOST_ROWS_OPEN:
        noun = f"lesions and objects in doubt of {session.where}"
        yield _folded(f"All {len(open_rows)} {noun}", told, open_rows, lesions)
    if folded:
        told = f"Physiological objects, {session.where}."
        title = f"{plural(len(folded), 'physiological object')} of {session.where}"
        yield _folded(title, told, folded, lesions)
    if session.rows:
        title = f"Overrule a call of {session.where}"
        yield Details(title, _overrule(protocol, _largest(open_rows) + _largest(folded)))


def _largest(rows: Rows) -> Rows:
    """Return all rows of `objects`, or where they are many so many of the largest, in their own order."""
    order = sorted(range(len(rows)), key=lambda n: (-rows[n]["volume_mm3"], n))
    return [rows[n] for n in sorted(order[:MOST_ROWS])]


def _folded(title: str, told: str, rows: Rows, lesions: Mapping[int, int]) -> Details:
    """Fold a table away; a very long one is cut to the largest, and says so."""
    listed = _largest(rows)
    if len(listed) < len(rows):
        told = (
            f"{told[:-1]}: the {len(listed)} largest of {len(rows)}; all stand in tables/objects."
        )
        title = f"{title.removeprefix('All ')}: the {len(listed)} largest"
    return Details(title, (_table(told, listed, lesions),))


def _table(told: str, rows: Rows, lesions: Mapping[int, int]) -> Table:
    """List objects, each with the lesion that it became; columns that say nothing are left out."""

    def lesion(row: Row) -> str | None:
        one = lesions.get(row["object_id"]) if row["called"] == LESION else None
        return None if one is None else f"#{one}"

    columns = (
        TableColumn("t", lambda r: r["t"] if any(r["t"] for r in rows) else None, "", "time index", True,
                    optional=True),
        TableColumn("object", lambda r: str(r["object_id"]), "", "its value in labels/objects", True),
        TableColumn("lesion", lesion, "", "lesion id over all sessions", True, optional=True),
        *_COLUMNS,
    )  # fmt: skip
    why = "no object was called lesion, and none is in doubt."
    return table_of(told, rows, columns, why)


def _called(row: Row) -> Cell:
    call = str(row["called"])
    swatch = CALLS[call].colour if call in CALLS else ""
    return Cell(CALL_NAMES.get(call, call), _TONES.get(call, ""), swatch=swatch)


def _side(row: Row) -> str | None:
    if row["midline_mm"] is None:
        return None
    return f"{abs(row['midline_mm']):.0f} {'left' if row['midline_mm'] > 0 else 'right'}"


def _cohort(row: Row) -> str | None:
    share, count = row.get("cohort_fraction"), row.get("cohort_subjects")
    return None if share is None or not count else f"{100 * share:.0f} % of {count}"


_COLUMNS = (
    TableColumn("called", _called),
    TableColumn("name", "name", "", "organ or place that it was recognised as", optional=True),
    TableColumn("by", "by", "", "who decided", optional=True),
    TableColumn("volume", lambda r: r["volume_mm3"] / 1000.0, "ml", "", True, 1),
    TableColumn("peak", "peak_intensity", "", "highest value on the grid that objects are found on",
                True, 1, optional=True),
    TableColumn("reason", "reason", optional=True),
    TableColumn("height", "height_fraction", "", "0 at the shoulders, 1 where the legs part", True, 2,
                optional=True),
    TableColumn("side", _side, "mm", "from the midline", optional=True),
    TableColumn("depth", "depth_mm", "mm", "from the body's surface", True, 0, optional=True),
    TableColumn("cohort", _cohort, "", "share of the other subjects that are hot there; heard from "
                f"{LEAST_SUBJECTS} subjects on", True, optional=True),
    TableColumn("organ", "organ", "", "of the anatomy mask", optional=True),
)  # fmt: skip


def _overrule(protocol: str, rows: Rows) -> tuple[Block, ...]:
    """Give each object's line of the configuration, calling it something else."""
    lines = ["objects:", "  calls:"]
    for r in rows:
        at = ", ".join(f"{r[f'centroid_{a}_mm']:.1f}" for a in "xyz")
        who = f"subject: {json.dumps(r['subject'])}, session: {json.dumps(r['session'])}"
        lines.append(
            f"  - {{{who}, at_mm: [{at}], call: {_OTHER[r['called']]}}}"
            f"  # object {r['object_id']}, now {r['called']}"
        )
    told = (
        f"A person's word beats every rule: copy the lines that are to change below protocol {protocol} in "
        "cohort.yaml, keep or change the call (lesion, physiological or doubt), and run again; only calls and "
        "what follows from them are made anew."
    )
    return (Text(told), Code("\n".join(lines)))
