"""Change of disease over a protocol's subjects: waterfall, courses, totals by session, and the tables behind."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from somray.report.data import ProtocolData, Row, Rows
from somray.report.data.courses import DiseaseCourse, courses
from somray.report.drawing.blocks import Block, Cell, Details, Gallery, Picture, Section, Text
from somray.report.drawing.changes import RESPONSES
from somray.report.drawing.scales import volume_unit
from somray.report.drawing.table import TableColumn, plural, signed, subject_column, table_of
from somray.report.figures.cohort.change import session_totals, spaghetti, waterfall
from somray.report.texts.response import IN_DOUBT, care, class_doubt, thresholds, untold

__all__ = ["change_section"]

MOST_ROWS = 100
VolumeUnit = tuple[str, float]  # name, and how many there are in a mm³
TITLE = "Lesion change over the cohort"
_TONES = {"PD": "bad", "PMD": "bad", "CR": "good", "CMR": "good", "PR": "good", "PMR": "good"}


def change_section(protocol: ProtocolData, prefix: str, hrefs: Mapping[str, str]) -> Section:
    """Show how disease changed over a protocol's subjects; `hrefs` holds the page of each."""
    found = courses(protocol)
    if not found:
        text = Text(
            "Nothing to show: no session has a burden yet; a run of an earlier version has none."
        )
        return Section(f"{prefix}-burden", TITLE, (text,))
    followed = [c for c in found if len(c.rows) > 1]
    unit = volume_unit(max(float(c.values("volume_mm3").max()) for c in found))
    blocks: list[Block] = []
    if followed:
        doubted = class_doubt(protocol.config, protocol.teacher) is not None
        blocks += [thresholds(protocol.config), *_responses(followed)]
        if any(c.response for c in followed):
            blocks += care(protocol.config, protocol.teacher)
        blocks += _pictures(followed, unit, prefix, doubted)
        blocks += untold([r for c in followed for r in c.rows[1:]])
        blocks.append(_subjects(followed, unit, hrefs, doubted))
    else:
        told = f"No subject of {len(found)} has two sessions with a burden, so no change is known."
        blocks.append(Text(told))
    blocks += _totals(found, unit, prefix)
    return Section(f"{prefix}-burden", TITLE, tuple(blocks))


def _responses(found: Sequence[DiseaseCourse]) -> Iterator[Block]:
    counts = {name: sum(c.response == name for c in found) for name in RESPONSES}
    told = [f"{n} {name} ({RESPONSES[name].meaning})" for name, n in counts.items() if n]
    open_ = sum(c.response is None for c in found)
    told += [f"{open_} without a response"] if open_ else []
    yield Text(f"At the last session of {plural(len(found), 'subject')}: {'; '.join(told)}.")


def _pictures(
    found: Sequence[DiseaseCourse], unit: VolumeUnit, prefix: str, doubted: bool
) -> Iterator[Block]:
    pictures = []
    if any(c.change is not None for c in found):
        told = (
            "Change of the volume of all lesions from the first session to the last, one bar a subject, coloured "
            "by the response at the last session; a plus stands over subjects with new lesions."
        )
        pictures.append(Picture(waterfall(found, f"{prefix}-waterfall", doubted), told))
    told = (
        "Volume of all lesions over time, one line a subject; where there are many, bands, and those that grew "
        "and shrank most by name."
    )
    markup = spaghetti(found, "volume_mm3", f"volume ({unit[0]})", f"{prefix}-volumes", unit[1])
    pictures.append(Picture(markup, told))
    if any(np.isfinite(c.values("tlg")).any() for c in found):
        markup = spaghetti(found, "tlg", "TLG (SUV·ml)", f"{prefix}-tlg")
        pictures.append(Picture(markup, "Total lesion glycolysis over time, drawn alike."))
    yield Gallery(tuple(pictures), "large")


def _subjects(
    found: Sequence[DiseaseCourse], unit: VolumeUnit, hrefs: Mapping[str, str], doubted: bool
) -> Block:
    """List the subjects behind the pictures, those that changed most first."""

    def size(course: DiseaseCourse) -> float:
        return -1.0 if course.change is None else abs(course.change)

    ordered = sorted(found, key=lambda c: (-size(c), c.subject))
    columns = (
        subject_column(hrefs),
        TableColumn("sessions", "sessions", numeric=True),
        TableColumn("first", "first", unit[0], "volume at the first session", True, 2),
        TableColumn("last", "last", unit[0], "volume at the last session", True, 2),
        TableColumn("change", "change", "%", "of volume", True),
        TableColumn("new", "new", "", "lesions found new between any two sessions", True),
        TableColumn("response", "response", "", "at the last session"),
        TableColumn("why", "why"),
    )
    told = "Change of every subject with two sessions or more."
    if len(ordered) > MOST_ROWS:
        told = f"The {MOST_ROWS} subjects of {len(ordered)} that changed most; all stand in tables/burden."
    rows = [_line(c, unit, doubted) for c in ordered[:MOST_ROWS]]
    return Details(f"{told[:-1]}", (table_of(told, rows, columns),))


def _line(course: DiseaseCourse, unit: VolumeUnit, doubted: bool) -> Row:
    change, response = course.change, course.response
    told = answer = None
    if response is not None:
        answer = Cell(response, _TONES.get(response, ""))
        answer = Cell(f"{response}, {IN_DOUBT}", "warn") if doubted else answer
    if change is not None:
        text = "from none" if np.isinf(change) else signed(100 * change, "+.0f")
        told = Cell(text, sort=1e9 if np.isinf(change) else round(change, 4))
    return {
        "subject": course.subject,
        "sessions": len(course.rows),
        "first": course.rows[0]["volume_mm3"] * unit[1],
        "last": course.rows[-1]["volume_mm3"] * unit[1],
        "change": told,
        "new": course.new or None,
        "response": answer,
        "why": course.rows[-1].get("reason"),
    }


def _totals(found: Sequence[DiseaseCourse], unit: VolumeUnit, prefix: str) -> Iterator[Block]:
    """Sum up each session over all subjects that have it, in order of time."""
    rows: Rows = []
    for place in range(max(len(c.rows) for c in found)):
        own = [c for c in found if len(c.rows) > place]
        volumes = np.array([c.rows[place]["volume_mm3"] * unit[1] for c in own])
        names = sorted({str(c.rows[place]["session"]) for c in own})
        rows.append({
            "place": float(place + 1), "subjects": float(len(own)),
            "names": ", ".join(names[:4]) + (" …" if len(names) > 4 else ""),
            "lesions": float(sum(c.rows[place]["lesions"] for c in own)),
            "volume": float(volumes.sum()), "median": float(np.median(volumes)),
            "lower": float(np.percentile(volumes, 25)), "upper": float(np.percentile(volumes, 75)),
        })  # fmt: skip
    if len(rows) > 1:
        totals = [{k: v for k, v in r.items() if k != "names"} for r in rows]
        told = "Total volume and number of lesions by session, over all subjects that have it."
        yield Gallery(
            (Picture(session_totals(totals, unit[0], f"{prefix}-totals"), told),), "large"
        )
    columns = (
        TableColumn("session", lambda r: int(r["place"]), "", "in order of time", True),
        TableColumn("called", "names"),
        TableColumn("subjects", lambda r: int(r["subjects"]), numeric=True),
        TableColumn("lesions", lambda r: int(r["lesions"]), numeric=True),
        TableColumn("total volume", "volume", unit[0], "", True, 1),
        TableColumn("median", "median", unit[0], "volume of a subject", True, 2),
        TableColumn("quarter below", "lower", unit[0], "25th percentile", True, 2),
        TableColumn("quarter above", "upper", unit[0], "75th percentile", True, 2),
    )
    yield table_of("Totals by session.", rows, columns)
