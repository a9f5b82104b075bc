"""The cohort's page apart from its protocols: failures, results at a glance, what ran, the subjects."""

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from somray.domain.run import RunLayout
from somray.report.data import ReportData, Rows
from somray.report.drawing.blocks import (
    Block,
    Cell,
    Details,
    Facts,
    Heading,
    Notice,
    Section,
    Table,
    Text,
)
from somray.report.drawing.listing import MISSING, fact, failures_table, number, plural
from somray.report.figures.lesions import CHANGES

__all__ = ["failures_section", "glance", "subject_hrefs", "subjects_section", "what_ran_section"]

MIB = 2.0**20
MOST_FACTS = 40
_TIMES = ("started", "resumed", "finished")  # seconds since 1970 in run.json
_UNFINISHED = (
    "The run was not finished when this page was made; what is not yet done is missing here."
)


def subject_hrefs(subjects: list[str]) -> dict[str, str]:
    """Return the page of each subject, relative to the index."""
    return {s: quote(RunLayout.report_subject(s).rsplit("/", 1)[-1]) for s in subjects}


def failures_section(rows: Rows, hrefs: Mapping[str, str]) -> Section:
    """Show what went wrong; the first section of every page."""
    table = failures_table(rows, hrefs)
    return Section("failures", "Failures", (table,), "bad" if rows else "good")


def glance(data: ReportData) -> tuple[Block, ...]:
    """Tell the run in a line of figures, and whether it is finished."""
    scans, failures = data.rows("scans"), data.rows("failures")
    changes = Counter(r["change"] for r in data.rows("evolution"))
    lesions = data.frame("lesions")[["protocol", "subject", "lesion_id"]].drop_duplicates()
    pairs = [
        ("subjects", str(len({r["subject"] for r in scans}))),
        ("scans done", str(sum(r["status"] == "done" for r in scans))),
        ("scans quarantined", str(sum(r["status"] == "quarantined" for r in scans))),
        ("failures", str(len(failures))),
        ("protocols", str(len(data.protocols))),
        ("lesions followed", str(len(lesions))),
        ("changes found", ", ".join(f"{changes[k]} {k}" for k in CHANGES if changes[k]) or "none"),
    ]
    blocks: list[Block] = [Facts(tuple(pairs))]
    if data.is_unfinished:
        blocks.insert(0, Notice(_UNFINISHED, "warn", f"State: {data.state['state']}."))
    return tuple(blocks)


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, str]]:  # Any: JSON
    """Walk run.json: nested names joined by dots, lists of plain values in one line."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(inner, f"{path} · {key}" if path else str(key))
    elif isinstance(value, list) and any(isinstance(v, (Mapping, list)) for v in value):
        for place, inner in enumerate(value):
            yield from _flat(inner, f"{path} · {place}")
    elif value is not None:
        name = path.replace("_", " ")
        if name in _TIMES and isinstance(value, (int, float)):
            moment = datetime.fromtimestamp(value, UTC)
            yield name, moment.strftime("%Y-%m-%d %H:%M:%S UTC")
        else:
            yield name, str(value) if isinstance(value, int) else fact(value)


def what_ran_section(data: ReportData) -> Section:
    """Tell versions, digests, seeds, machine and times, and what each stage took."""
    pairs = tuple(_flat(data.info))
    blocks: list[Block] = [Facts(pairs[:MOST_FACTS])] if pairs else [Text("run.json is empty.")]
    if len(pairs) > MOST_FACTS:
        rest = Facts(pairs[MOST_FACTS:])
        blocks.append(Details(f"{len(pairs) - MOST_FACTS} further facts of run.json", (rest,)))
    return Section("what-ran", "What ran", (*blocks, _timings(data)))


def _timings(data: ReportData) -> Table:
    """Sum the timings per stage."""
    stages: dict[str, Rows] = {}
    for row in data.rows("timings"):
        stages.setdefault(row["stage"], []).append(row)
    heads = (
        Heading("stage"), Heading("units", "", "units of work", True),
        Heading("time in all", "s", "wall time of all units added up", True),
        Heading("longest unit", "s", "wall time", True),
        Heading("peak memory", "MiB", "largest resident memory of a worker", True),
        Heading("tried again", "", "tries beyond the first", True), Heading("nodes"), Heading("device"),
    )  # fmt: skip
    body = tuple(
        (
            Cell(stage), Cell(str(len(rows))),
            Cell(number(sum(r["seconds"] for r in rows), 1)),
            Cell(number(max(r["seconds"] for r in rows), 1)),
            Cell(number(max(r["peak_bytes"] for r in rows) / MIB, 0)),
            Cell(str(sum(max(r["attempts"] - 1, 0) for r in rows))),
            Cell(str(len({r["node"] for r in rows}))),
            Cell(", ".join(sorted({r["device"] for r in rows}))),
        )
        for stage, rows in stages.items()
    )  # fmt: skip
    return Table("What each stage took.", heads, body, "no unit of work has been timed yet.")


def subjects_section(data: ReportData, hrefs: Mapping[str, str]) -> Section:
    """List the subjects with links to their pages."""
    heads = (
        Heading("subject"), Heading("protocols"),
        Heading("sessions", "", "scans done / scans in the manifest", True),
        Heading("lesions", "", "lesion identities over all sessions", True),
        Heading("volume, first session", "ml", "all lesions together", True),
        Heading("volume, last session", "ml", "all lesions together; the same session where there is one",
                True),
        Heading("changes"), Heading("failures", "", "", True),
    )  # fmt: skip
    body = tuple(_subject_row(data, s, hrefs) for s in sorted(hrefs))
    told = (
        f"The {plural(len(body), 'subject')} of the cohort; each name leads to the subject's page."
    )
    return Section(
        "subjects", "Subjects", (Table(told, heads, body, "the manifest names no scan."),)
    )


def _subject_row(data: ReportData, subject: str, hrefs: Mapping[str, str]) -> tuple[Cell, ...]:
    scans = data.rows("scans", subject=subject)
    failures = data.rows("failures", subject=subject)
    protocols = sorted({r["protocol"] for r in scans})
    lesions = data.rows("lesions", subject=subject, t=0)
    volumes = {"first": 0.0, "last": 0.0}
    seen = False
    for protocol in protocols:
        done = [r["session"] for r in data.scans_of(subject, protocol) if r["status"] == "done"]
        for end, session in zip(("first", "last"), (done[:1], done[-1:]), strict=True):
            part = [r for r in lesions if r["protocol"] == protocol and r["session"] in session]
            volumes[end] += sum(r["volume_mm3"] for r in part) / 1000
        seen = seen or bool(done)
    changes = Counter(r["change"] for r in data.rows("evolution", subject=subject))
    done_count = sum(r["status"] == "done" for r in scans)
    return (
        Cell(subject, href=hrefs[subject]),
        Cell(", ".join(protocols)),
        Cell(f"{done_count} / {len(scans)}", "" if done_count == len(scans) else "bad"),
        Cell(str(len({(r["protocol"], r["lesion_id"]) for r in lesions})) if seen else MISSING),
        Cell(number(volumes["first"], 2) if seen else MISSING),
        Cell(number(volumes["last"], 2) if seen else MISSING),
        Cell(", ".join(f"{changes[k]} {k}" for k in CHANGES if changes[k]) or MISSING),
        Cell(str(len(failures)), "bad" if failures else ""),
    )
