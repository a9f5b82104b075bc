"""What ran and on what: in a line at the head of the cohort's page, in full at its end."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from somray.report.data import ReportData, Rows, change_counts
from somray.report.drawing.blocks import Block, Code, Details, Facts, Notice, Section, Text
from somray.report.drawing.changes import counted
from somray.report.drawing.table import fact, plural

__all__ = ["glance", "what_ran_section"]

MOST_FACTS = 40
_OURS = ("teacher", "student")
"""Stages whose failure leaves a whole protocol undone: the run counts as failed."""
_TIMES = ("started", "resumed", "finished")  # seconds since 1970 in run.json
_UNFINISHED = (
    "The run was not finished when this page was made; what is not yet done is missing here."
)


def glance(data: ReportData) -> tuple[Block, ...]:
    """Tell what ran on what, how it ended, and the results in a line of figures."""
    scans, info = data.rows("scans"), data.run.info
    lesions = data.columns("lesions", ("subject", "lesion_id")).drop_duplicates()
    failures = data.rows("failures")
    quarantined = sum(r["status"] == "quarantined" for r in scans)
    pairs = [
        ("subjects", str(len({r["subject"] for r in scans}))),
        ("scans done", f"{sum(r['status'] == 'done' for r in scans)} of {len(scans)}"),
        ("scans quarantined", str(quarantined)),
        ("failures", str(len(failures))),
        ("protocols", str(len(data.protocols))),
        ("lesions followed", str(len(lesions))),
        ("state", _state(data, failures)),
        *_what_ran(info),
        ("changes found", counted(change_counts(data.columns("evolution", ("change",)))) or "none"),
    ]
    if not data.is_unfinished:
        return (Facts(tuple(pairs)),)
    lead = f"State: {data.state['state']}."
    return (Notice(_UNFINISHED, "warn", lead), Facts(tuple(pairs)))


def _state(data: ReportData, failures: Rows) -> str:
    """Say how the run ended; the report, its last act, is written before it has."""
    if data.is_unfinished:
        return "not finished"
    if not failures:
        return "done (exit 0)"
    broken = any(r["stage"] in _OURS or r["code"] == "internal" for r in failures)
    return f"done, {plural(len(failures), 'failure')} (exit {4 if broken else 3})"


def _what_ran(info: Mapping[str, Any]) -> Iterator[tuple[str, str]]:  # Any: JSON
    """Name version, machine and beginning, where run.json has them."""
    if info.get("somray"):
        yield "somray", str(info["somray"])
    machine = info.get("machine")
    if isinstance(machine, Mapping):
        named = (str(machine[k]) for k in ("node", "system", "processor") if machine.get(k))
        yield "machine", ", ".join(named)
    if isinstance(info.get("started"), (int, float)):
        yield "started", _moment(info["started"])


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def what_ran_section(data: ReportData) -> Section:
    """Tell versions, digests, seeds, machine, times and configuration in full."""
    pairs = tuple(_flat(data.run.info))
    blocks: list[Block] = [Facts(pairs[:MOST_FACTS])] if pairs else [Text("run.json is empty.")]
    if len(pairs) > MOST_FACTS:
        rest = Facts(pairs[MOST_FACTS:])
        blocks.append(Details(f"{len(pairs) - MOST_FACTS} further facts of run.json", (rest,)))
    blocks.append(Details("The resolved configuration", (Code(data.config_text),)))
    return Section("what-ran", "What ran, in full", tuple(blocks))


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
            yield name, _moment(value)
        else:
            yield name, str(value) if isinstance(value, int) else fact(value)
