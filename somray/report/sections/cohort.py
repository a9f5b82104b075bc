"""The cohort's page apart from its protocols: failures, results at a glance, what ran, the subjects."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from somray.errors import QUARANTINE_CODES
from somray.report.data import ReportData, Row, Rows, SubjectData, change_counts
from somray.report.drawing.blocks import Block, Cell, Details, Facts, Notice, Section, Text
from somray.report.drawing.changes import counted
from somray.report.drawing.table import TableColumn, fact, plural, subject_column, table_of

__all__ = ["failures_section", "glance", "subjects_section", "what_ran_section"]

MIB = 2.0**20
MOST_FACTS = 40
_TIMES = ("started", "resumed", "finished")  # seconds since 1970 in run.json
_UNFINISHED = (
    "The run was not finished when this page was made; what is not yet done is missing here."
)
_UNKNOWN_CODE = "not a code of the data dictionary"

TIMING_COLUMNS = (
    TableColumn("stage", lambda rows: rows[0]["stage"]),
    TableColumn("units", len, "", "units of work", True),
    TableColumn("time in all", lambda rows: sum(r["seconds"] for r in rows), "s",
                "wall time of all units added up", True, 1),
    TableColumn("longest unit", lambda rows: max(r["seconds"] for r in rows), "s", "wall time", True, 1),
    TableColumn("peak memory", lambda rows: max(r["peak_bytes"] for r in rows) / MIB, "MiB",
                "largest resident memory of a worker", True, 0),
    TableColumn("tried again", lambda rows: sum(max(r["attempts"] - 1, 0) for r in rows), "",
                "tries beyond the first", True),
    TableColumn("nodes", lambda rows: len({r["node"] for r in rows})),
    TableColumn("device", lambda rows: ", ".join(sorted({r["device"] for r in rows}))),
)  # fmt: skip


def failures_section(rows: Rows, hrefs: Mapping[str, str]) -> Section:
    """Show what could not be done, and what each code means; the first section of every page.

    Args:
        rows: of `failures`; a unit may belong to a subject alone, or to none.
        hrefs: page of each subject, where the subject should be a link.
    """

    def column(name: str, meaning: str) -> TableColumn:
        return TableColumn(name, lambda r: fact(r[name]), "", meaning)

    columns = (
        subject_column(hrefs, "subject of the scan"),
        column("session", "session of the scan"),
        column("protocol", "protocol of the configuration"),
        column("stage", "stage that failed"),
        TableColumn("code", lambda r: Cell(r["code"], "bad"), "", "reason, in one word"),
        TableColumn(
            "what the code means", lambda r: QUARANTINE_CODES.get(r["code"], _UNKNOWN_CODE)
        ),
        column("message", "what is wrong, where, and what to do"),
        column("attempts", "times it was tried"),
    )
    told = "Scans that were quarantined and units of work that failed."
    why = "no scan was quarantined and no unit of work failed."
    table = table_of(told, rows, columns, why)
    return Section("failures", "Failures", (table,), "bad" if rows else "good")


def glance(data: ReportData) -> tuple[Block, ...]:
    """Tell the run in a line of figures, and whether it is finished."""
    scans = data.rows("scans")
    lesions = data.table("lesions")[["protocol", "subject", "lesion_id"]].drop_duplicates()
    facts = Facts((
        ("subjects", str(len({r["subject"] for r in scans}))),
        ("scans done", str(sum(r["status"] == "done" for r in scans))),
        ("scans quarantined", str(sum(r["status"] == "quarantined" for r in scans))),
        ("failures", str(len(data.table("failures")))),
        ("protocols", str(len(data.protocols))),
        ("lesions followed", str(len(lesions))),
        ("changes found", counted(change_counts(data.frame("evolution"))) or "none"),
    ))  # fmt: skip
    if not data.is_unfinished:
        return (facts,)
    return (Notice(_UNFINISHED, "warn", f"State: {data.state['state']}."), facts)


def what_ran_section(data: ReportData) -> Section:
    """Tell versions, digests, seeds, machine and times, and what each stage took."""
    pairs = tuple(_flat(data.run.info))
    blocks: list[Block] = [Facts(pairs[:MOST_FACTS])] if pairs else [Text("run.json is empty.")]
    if len(pairs) > MOST_FACTS:
        rest = Facts(pairs[MOST_FACTS:])
        blocks.append(Details(f"{len(pairs) - MOST_FACTS} further facts of run.json", (rest,)))
    stages: dict[str, Rows] = {}
    for row in data.rows("timings"):
        stages.setdefault(row["stage"], []).append(row)
    why = "no unit of work has been timed yet."
    blocks.append(table_of("What each stage took.", stages.values(), TIMING_COLUMNS, why))
    return Section("what-ran", "What ran", tuple(blocks))


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


def subjects_section(data: ReportData, hrefs: Mapping[str, str]) -> Section:
    """List the subjects with links to their pages."""
    columns = (
        subject_column(hrefs),
        TableColumn("protocols", "protocols"),
        TableColumn("sessions", "sessions", "", "scans done / scans in the manifest", True),
        TableColumn("lesions", "lesions", "", "lesion identities over all sessions", True),
        TableColumn("volume, first session", "first", "ml", "all lesions together", True, 2),
        TableColumn("volume, last session", "last", "ml",
                    "all lesions together; the same session where there is one", True, 2),
        TableColumn("changes", "changes"),
        TableColumn("failures", "failures", numeric=True),
    )  # fmt: skip
    rows = [_subject_row(data, name) for name in sorted(hrefs)]
    told = (
        f"The {plural(len(rows), 'subject')} of the cohort; each name leads to the subject's page."
    )
    table = table_of(told, rows, columns, "the manifest names no scan.")
    return Section("subjects", "Subjects", (table,))


def _subject_row(data: ReportData, name: str) -> Row:
    """Sum one subject up; lesions and volumes are null while none of its scans is done."""
    scans = data.rows("scans", subject=name)
    lesions = data.frame("lesions", subject=name, t=0)
    failures = len(data.rows("failures", subject=name))
    protocols = sorted({r["protocol"] for r in scans})
    volumes = {0: 0.0, -1: 0.0}  # of the first and of the last session, over all protocols
    for protocol in protocols:
        done = SubjectData(data, protocol, name).done
        for end in volumes if done else ():
            where = (protocol, done[end]["session"])
            part = lesions[(lesions["protocol"] == where[0]) & (lesions["session"] == where[1])]
            volumes[end] += float(part["volume_mm3"].sum()) / 1000
    done_count = sum(r["status"] == "done" for r in scans)
    identities = len(lesions[["protocol", "lesion_id"]].drop_duplicates())
    tone = "" if done_count == len(scans) else "bad"
    return {
        "subject": name,
        "protocols": ", ".join(protocols),
        "sessions": Cell(f"{done_count} / {len(scans)}", tone),
        "lesions": identities if done_count else None,
        "first": volumes[0] if done_count else None,
        "last": volumes[-1] if done_count else None,
        "changes": counted(change_counts(data.frame("evolution", subject=name))) or None,
        "failures": Cell(str(failures), "bad" if failures else ""),
    }
