"""A subject's objects of one protocol: projections or slices with their calls, every reason, how to overrule."""

import json
from collections.abc import Iterable, Mapping

import numpy as np

from somray.domain.channel import channels_of, kinds_of
from somray.kernels.objects.found import DOUBT, LESION, PHYSIOLOGICAL
from somray.kernels.objects.prior import LEAST_SUBJECTS
from somray.report.data import ReportData, Row, Rows, ScanPixels
from somray.report.drawing.blocks import (
    Block,
    Cell,
    Code,
    Details,
    Gallery,
    Heading,
    Picture,
    Section,
    Table,
    Text,
)
from somray.report.drawing.display import grey, presets
from somray.report.drawing.listing import MISSING, fact, number, plural
from somray.report.drawing.projections import Projection, project
from somray.report.drawing.style import CALL_COLOURS
from somray.report.figures.projection import (
    CALL_NAMES,
    call_key,
    counted,
    outlined_slice,
    projection_picture,
    shown_to,
)

__all__ = ["objects_section"]

MOST_SESSIONS = 6  # with pictures: the first and the latest
MOST_SLICES = 3
MOST_ROWS_OPEN = 40
_TONES = {LESION: "bad", DOUBT: "warn", PHYSIOLOGICAL: "muted"}
_OTHER = {LESION: PHYSIOLOGICAL, DOUBT: LESION, PHYSIOLOGICAL: LESION}
_KEPT = (
    "Nothing is deleted: an object that is called physiological or in doubt stays in labels/objects and in "
    "this table with its reason; lesions alone are followed over sessions. Who decided: the rule, the cohort "
    "(other subjects are hot in the same place), anatomy (an organ mask) or the configuration (a person)."
)


def objects_section(data: ReportData, scans: Rows, protocol: str, prefix: str) -> Section:
    """Show what stands out in a subject's sessions, and what each object was called and why.

    Args:
        data: of the run.
        scans: of the subject and protocol, in order of time.
        protocol: its name.
        prefix: of the section's anchors.
    """
    subject, title = scans[0]["subject"], "Objects: lesions, physiology, doubt"
    rows = data.rows("objects", protocol=protocol, subject=subject)
    done = [s for s in scans if s["status"] == "done"]
    seen = {s["session"]: _Session(data, s, rows) for s in done}
    if not any(s.has_objects for s in seen.values()):
        why = (
            "objects are not looked for in this protocol, or no session has come so far; lesions are "
            "followed as the map or the student draws them."
        )
        return Section(f"{prefix}-objects", title, (Text(f"Nothing to show: {why}"),))
    pictured = _ends([s for s in seen.values() if s.has_objects])
    blocks: list[Block] = [Text(_KEPT), *_pictures(pictured)]
    left_out = sum(s.has_objects for s in seen.values()) - len(pictured)
    if left_out:
        blocks.append(Text(f"{plural(left_out, 'session')} between them not pictured."))
    for session in seen.values():
        blocks += session.tables(protocol)
    return Section(f"{prefix}-objects", title, tuple(blocks))


def _ends(sessions: "list[_Session]") -> "list[_Session]":
    if len(sessions) <= MOST_SESSIONS:
        return sessions
    return [*sessions[:1], *sessions[-(MOST_SESSIONS - 1) :]]


def _pictures(sessions: "list[_Session]") -> Iterable[Block]:
    """Show projections, all sessions in SUV in one window; slices where there is no PET."""
    projected = [s for s in sessions if s.pet is not None]
    suv = [v for s in projected if s.unit == "SUVbw" for v in s.views]
    pictures: list[Picture] = []
    for session in projected:
        window = shown_to(suv if session.unit == "SUVbw" else session.views, session.unit)
        pictures += [
            projection_picture(view, window, session.calls, session.where) for view in session.views
        ]
    for session in sessions:
        if session.pet is None:
            pictures += session.slices()
    if not pictures:
        return
    yield call_key()
    told = "Numbers are lesion ids, the same over all sessions"
    if projected:
        told = (
            "The hottest value along each line of sight, from the front and from the side, in colour where an "
            f"object lies anywhere along it. {told}"
        )
        if all(v.frame.towards for s in projected for v in s.views):
            told += "; L is the patient's left, P the back, F the feet"
    yield Gallery(tuple(pictures), "small", f"{told}." if projected else "")


class _Session:
    """One session's objects.

    Args:
        data: of the run.
        scan: its row.
        rows: of `objects` of the subject.
    """

    def __init__(self, data: ReportData, scan: Row, rows: Rows) -> None:
        self.scan = scan
        self.rows = [r for r in rows if r["session"] == scan["session"]]
        self.calls: Mapping[int, str] = {
            r["object_id"]: r["called"] for r in self.rows if r["t"] == 0
        }
        self.pixels: ScanPixels | None = data.scan(scan["subject"], scan["session"])
        self.pet: int | None = None
        self.views: tuple[Projection, ...] = ()
        if self.pixels is None or not self.has_objects:
            return
        modality = data.protocol(scan["protocol"]).modality
        kinds = kinds_of(channels_of(modality, self.pixels.meta.channels))
        self.pet = kinds.index("PET") if "PET" in kinds else None
        if self.pet is not None:
            self.views = project(self.pixels, self.pet, 0, self.calls)

    @property
    def has_objects(self) -> bool:
        """Whether objects were looked for in this scan."""
        return self.pixels is not None and "objects" in self.pixels.labels

    @property
    def unit(self) -> str:
        """Unit of the projected channel."""
        return "" if self.pixels is None or self.pet is None else self.pixels.units[self.pet]

    @property
    def where(self) -> str:
        """The session in words."""
        days = self.scan["days"]
        told = f"session {self.scan['session']}" + ("" if days is None else f", day {days:g}")
        is_4d = (self.scan["shape_t"] or 1) > 1
        return told + (", time index 0" if is_4d else "")

    def slices(self) -> list[Picture]:
        """Show up to three slices through the middle of the largest lesions, or of what else there is."""
        if self.pixels is None:
            return []
        geometry, frame = self.pixels.meta.geometry, self.pixels.frame
        order = sorted(
            (r for r in self.rows if r["t"] == 0),
            key=lambda r: (list(CALL_NAMES).index(r["called"]), -r["volume_mm3"]),
        )
        centres = [[r[f"centroid_{a}_mm"] for a in "xyz"] for r in order]
        index = geometry.to_index(np.array(centres)) if centres else np.zeros((0, 3))
        last = self.pixels.meta.shape[2] - 1
        heights = [int(np.clip(round(float(z)), 0, last)) for z in index[:, 0]] or [last // 2]
        chosen = sorted(dict.fromkeys(heights).keys(), key=heights.index)[:MOST_SLICES]
        images = np.stack([self.pixels.image(0, z) for z in sorted(chosen)])
        window = presets(self.pixels.units[0], None, images[:, 0])[0]
        found = []
        for z, image in zip(sorted(chosen), images, strict=True):
            labels = self.pixels.label("objects", 0, z)
            masks = {
                call: np.isin(labels, [n for n, c in self.calls.items() if c == call])
                for call in CALL_NAMES
            } if labels is not None else {}  # fmt: skip
            told = f"Slice {z}, {self.where}, {window}; in the whole scan {counted(self.calls)}."
            found.append(outlined_slice(grey(image[0], window), masks, frame, told, f"z {z}"))
        return found

    def tables(self, protocol: str) -> Iterable[Block]:
        """List lesions and doubts, fold what is physiological, and tell how to overrule."""
        if not self.has_objects:
            return
        open_rows = [r for c in (LESION, DOUBT) for r in self.rows if r["called"] == c]
        folded = [r for r in self.rows if r["called"] == PHYSIOLOGICAL]
        lesions = self._lesions()
        told = f"Lesions and objects in doubt, {self.where}."
        why = "no object was called lesion, and none is in doubt."
        yield _table(told, open_rows[:MOST_ROWS_OPEN], lesions, why)
        if len(open_rows) > MOST_ROWS_OPEN:
            title = f"All {len(open_rows)} lesions and objects in doubt of {self.where}"
            yield Details(title, (_table(told, open_rows, lesions, why),))
        if folded:
            told = f"Physiological objects, {self.where}."
            title = f"{plural(len(folded), 'physiological object')} of {self.where}"
            yield Details(title, (_table(told, folded, lesions, ""),))
        if self.rows:
            yield Details(
                f"Overrule a call of {self.where}", _overrule(protocol, open_rows + folded)
            )

    def _lesions(self) -> dict[int, int]:
        spots = self.views[0].spots if self.views else {}
        return {n: s.lesion for n, s in spots.items() if s.lesion is not None}


def _table(told: str, rows: Rows, lesions: Mapping[int, int], why: str) -> Table:
    """List objects; columns that say nothing of any of them are left out."""
    has_times = any(r["t"] for r in rows)
    columns: list[tuple[Heading, list[Cell]]] = [
        (Heading("object", "", "its value in labels/objects", True),
         [Cell(str(r["object_id"])) for r in rows]),
        (Heading("lesion", "", "lesion id over all sessions", True),
         [_lesion(r, lesions) for r in rows]),
        (Heading("called"), [_called(r["called"]) for r in rows]),
        (Heading("name", "", "organ or place that it was recognised as"), _cells(rows, "name")),
        (Heading("by", "", "who decided"), _cells(rows, "by")),
        (Heading("volume", "ml", "", True),
         [Cell(number(r["volume_mm3"] / 1000.0, 1)) for r in rows]),
        (Heading("peak", "", "highest value on the grid that objects are found on", True),
         _cells(rows, "peak_intensity", 1)),
        (Heading("reason"), _cells(rows, "reason")),
        (Heading("height", "", "0 at the shoulders, 1 where the legs part", True),
         _cells(rows, "height_fraction", 2)),
        (Heading("side", "mm", "from the midline"), [_side(r["midline_mm"]) for r in rows]),
        (Heading("depth", "mm", "from the body's surface", True), _cells(rows, "depth_mm", 0)),
        (Heading("cohort", "", "share of the other subjects that are hot there; heard from "
                 f"{LEAST_SUBJECTS} subjects on", True),
         [_cohort(r) for r in rows]),
        (Heading("organ", "", "of the anatomy mask"), _cells(rows, "organ")),
    ]  # fmt: skip
    if has_times:
        columns.insert(0, (Heading("t", "", "time index", True), _cells(rows, "t")))
    kept = [c for c in columns if any(cell.text != MISSING for cell in c[1])]
    body = tuple(zip(*(cells for _, cells in kept), strict=True))
    return Table(told, tuple(head for head, _ in kept), body, why)


def _cells(rows: Rows, column: str, digits: int = 3) -> list[Cell]:
    values = [r.get(column) for r in rows]
    return [
        Cell(MISSING, "muted") if v is None
        else Cell(number(v, digits) if isinstance(v, float) else fact(v))
        for v in values
    ]  # fmt: skip


def _called(call: str) -> Cell:
    return Cell(CALL_NAMES.get(call, call), _TONES.get(call, ""), swatch=CALL_COLOURS.get(call, ""))


def _lesion(row: Row, lesions: Mapping[int, int]) -> Cell:
    one = lesions.get(row["object_id"]) if row["called"] == LESION else None
    return Cell(MISSING, "muted") if one is None else Cell(f"#{one}")


def _side(midline_mm: float | None) -> Cell:
    if midline_mm is None:
        return Cell(MISSING, "muted")
    return Cell(f"{abs(midline_mm):.0f} {'left' if midline_mm > 0 else 'right'}")


def _cohort(row: Row) -> Cell:
    share, count = row.get("cohort_fraction"), row.get("cohort_subjects")
    if share is None or not count:
        return Cell(MISSING, "muted")
    return Cell(f"{100 * share:.0f} % of {count}")


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
