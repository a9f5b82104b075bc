"""Doubts and drift over the cohort: what to look at before a figure is believed."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from somray.report.data import ReportData
from somray.report.data.cohort import CONCERNS, SubjectFacts
from somray.report.drawing.blocks import Block, Cell, Notice, Section, Text
from somray.report.drawing.table import TableColumn, plural, rows_table, table_of
from somray.report.texts.attention import DRIFT_REMEDY, concern_told
from somray.report.texts.notices import lesion_doubts

__all__ = ["attention_section"]

MOST_ROWS = 50
MOST_NAMES = 8
DRIFT_COLUMNS = (
    "subject", "session", "distance_ratio", "far_fraction", "sharpness", "channel", "feature",
    "shift", "reason",
)  # fmt: skip
_LABELS = {
    "refused": "sessions not aligned", "drifted": "the teacher may not carry over",
    "changes": "changes of lesions in doubt", "objects": "objects in doubt",
    "weak": "sessions weakly aligned", "slices": "slices not aligned with their neighbours",
    "assumed": "spacing or position assumed",
}  # fmt: skip


def attention_section(
    data: ReportData, facts: Sequence[SubjectFacts], hrefs: Mapping[str, str]
) -> Section:
    """Sum up what is in doubt, which subjects that is, and which scans the teachers may not fit."""
    blocks: list[Block] = [*_classes(data)]
    blocks += _kinds(facts, hrefs)
    blocks += _drift(data)
    if not blocks:
        fits = "" if data.foreign else "every scan fits its teacher, "
        blocks = [Text(f"Nothing is in doubt: {fits}every pair was aligned.")]
    return Section("attention", "Doubts and drift", tuple(blocks))


def _classes(data: ReportData) -> Iterator[Notice]:
    """Warn of target classes that must be read with care, each reason once, with the protocols that it is about."""
    found: dict[Notice, list[str]] = {}
    for protocol in data.protocols:
        for notice in lesion_doubts(protocol.config, protocol.teacher):
            found.setdefault(notice, []).append(protocol.protocol)
    for notice, names in found.items():
        where = f" (protocol{'s' if len(names) > 1 else ''} {', '.join(names)})"
        several = len(data.protocols) > 1
        yield replace(notice, lead=f"{notice.lead[:-1]}{where if several else ''}.")


def _kinds(facts: Sequence[SubjectFacts], hrefs: Mapping[str, str]) -> Iterator[Block]:
    """List kinds of doubt, how often each was met, and whom it concerns most."""
    lines = []
    for kind in CONCERNS:
        if kind not in _LABELS:
            continue
        own = [(f, c) for f in facts for c in f.concerns if c.kind == kind]
        if not own:
            continue
        most, first = max(own, key=lambda pair: (pair[1].count, pair[0].name))
        names = [f.name for f, _ in sorted(own, key=lambda pair: (-pair[1].count, pair[0].name))]
        more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
        lines.append({
            "kind": _LABELS[kind], "count": sum(c.count for _, c in own), "subjects": len(own),
            "who": ", ".join(names[:MOST_NAMES]) + more,
            "most": Cell(f"{most.name}: {concern_told(first)}", href=hrefs.get(most.name, "")),
        })  # fmt: skip
    if lines:
        columns = (
            TableColumn("what", "kind"),
            TableColumn("times", "count", numeric=True),
            TableColumn("subjects", "subjects", numeric=True),
            TableColumn("who", "who", "", "subjects, most of it first"),
            TableColumn("for example", "most"),
        )
        told = "What is in doubt, how often, and where most of it lies."
        yield table_of(told, lines, columns)


def _drift(data: ReportData) -> Iterator[Block]:
    for protocol in data.protocols:
        rows = protocol.rows("drift")
        drifted = [r for r in rows if r["status"] != "ok"]
        if not drifted:
            continue
        lead = f"The teacher of {protocol.protocol} may not carry over to {plural(len(drifted), 'scan')}."
        yield Notice(DRIFT_REMEDY, "warn", lead)
        drifted.sort(key=lambda r: (-r["distance_ratio"], r["subject"], r["session"]))
        told = (
            f"Scans of protocol {protocol.protocol} that its teacher may not carry over to: {len(drifted)} of "
            f"{plural(len(rows), 'scan')}, the most distant first."
        )
        shown = drifted[:MOST_ROWS]
        columns = [c for c in DRIFT_COLUMNS if any(r[c] is not None for r in shown)]
        yield rows_table("drift", shown, columns, told, "")
        if len(drifted) > MOST_ROWS:
            yield Text(f"And {len(drifted) - MOST_ROWS} more, in tables/drift.")
