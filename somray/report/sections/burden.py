"""How much disease each session shows, what became of it, and why a response is told or not."""

from collections.abc import Iterator

from somray.report.data import Row, Rows, SubjectData
from somray.report.drawing.blocks import (
    Block,
    Cell,
    Gallery,
    Picture,
    Section,
    Table,
    Text,
)
from somray.report.drawing.changes import RESPONSES, TimeAxis
from somray.report.drawing.table import TableColumn, signed, table_of
from somray.report.figures.burden import BurdenUnits, SubjectBurden, burden_chart
from somray.report.texts.response import (
    IN_DOUBT,
    care,
    class_doubt,
    doubts_of,
    thresholds,
    untold,
)

__all__ = ["burden_section"]

TITLE = "Burden over time"

_TONES = {"PD": "bad", "PMD": "bad", "CR": "good", "CMR": "good", "PR": "good", "PMR": "good"}
_FIGURES = (
    ("volume_mm3", "volume", "volume", "of all lesions; on PET the metabolic volume"),
    ("tlg", "TLG", "uptake·ml", "total lesion glycolysis; SUV·ml where the scan is in SUV"),
    ("dmax_mm", "Dmax", "length", "largest distance within or between lesions"),
    ("axes_mm", "axes", "length", "sum of up to five longest axes"),
    ("suv_peak", "SUVpeak", "", "of the hottest lesion"),
    ("targets_mm", "targets", "length", "sum of the targets' longest axes in a slice"),
)
"""Column of `burden`, its head, unit (or what `BurdenUnits` has one of) and meaning."""

_CHANGES = (
    ("change_from_baseline", "axes, since first"), ("change_from_nadir", "axes, since least"),
    ("volume_change_from_baseline", "volume, since first"),
    ("targets_change_from_baseline", "targets, since first"),
    ("suv_peak_change_from_baseline", "SUVpeak, since first"),
)  # fmt: skip


def burden_section(subject: SubjectData, prefix: str) -> Section:
    """Show one subject's burden, session by session."""
    rows = _in_time(subject)
    first = [r for r in rows if r["t"] == 0]
    line = _line(subject, first) if len(first) > 1 else None
    told = "Burden of every session; changes are those of time index 0 since the first session and since the least."
    doubted = class_doubt(subject.config, subject.teacher) is not None
    blocks = (*_over_time(subject, line, rows, prefix), _table(told, rows, doubted))
    return Section(f"{prefix}-burden", TITLE, blocks)


def _in_time(subject: SubjectData) -> Rows:
    """Return a subject's rows of `burden` in order of time."""
    order = subject.order
    known = [r for r in subject.rows("burden") if r["session"] in order]
    return sorted(known, key=lambda r: (order[r["session"]], r["t"]))


def _line(subject: SubjectData, rows: Rows) -> SubjectBurden:
    met = {r["session"] for r in rows}
    time = TimeAxis.of([s for s in subject.scans if s["session"] in met])
    return SubjectBurden(time, rows, class_doubt(subject.config, subject.teacher) is not None)


def _over_time(
    subject: SubjectData, line: SubjectBurden | None, rows: Rows, prefix: str
) -> Iterator[Block]:
    """Draw a subject with two sessions or more; nothing of another."""
    if line is None:
        return
    yield thresholds(subject.config)
    if any(r["response"] for r in line.rows):
        yield from care(subject.config, subject.teacher)
    told = "Burden by session; marks tell the response, a question mark a session whose response cannot be known."
    yield Gallery(
        (Picture(burden_chart(subject.subject, line, f"{prefix}-burden"), told),), "large"
    )
    met = {r["response"] for r in line.rows}
    kinds = "; ".join(f"{name}: {RESPONSES[name].meaning}" for name in RESPONSES if name in met)
    if kinds:
        yield Text(f"{kinds}.")
    yield from untold(rows)


def _table(told: str, rows: Rows, doubted: bool) -> Table:
    """List rows of `burden`; `doubted` says whether their class must be read with care."""
    units = BurdenUnits.of(rows)
    columns = [
        TableColumn("session", "session"),
        *([TableColumn("t", "t", "", "time index", True)] if any(r["t"] for r in rows) else []),
        TableColumn("lesions", "lesions", numeric=True),
        *(_figure(units, *told) for told in _FIGURES),
        *(TableColumn(label, name, numeric=True, optional=True) for name, label in _CHANGES),
        TableColumn("response", "told"),
        TableColumn("why", "why"),
    ]
    lines, seen = [], set()
    for row in rows:
        lines.append({**row, **_line_of(row, row["subject"] not in seen, doubted)})
        seen.add(row["subject"])
    why = "no session has a burden yet; a run of an earlier version has none."
    return table_of(told, lines, columns, why)


def _figure(units: BurdenUnits, name: str, label: str, unit: str, meaning: str) -> TableColumn:
    """Make the column of a figure."""
    sizes = {
        "volume": (units.volume, units.per_mm3),
        "length": (units.length.name, units.length.per_mm),
    }
    unit, times = sizes.get(unit, (unit, 1.0))

    def told(row: Row) -> float | None:
        return None if row.get(name) is None else row[name] * times

    return TableColumn(label, told, unit, meaning, True, 1, optional=True)


def _line_of(row: Row, is_first: bool, doubted: bool) -> Row:
    """Tell changes and response of a session as people write them, and the response's reason."""
    changes = {name: row.get(name) for name, _ in _CHANGES}
    response = row["response"]
    told = Cell("first session", "muted") if is_first else None
    if row["doubt"]:
        told = Cell("not told", "warn")
    if response:
        told = Cell(response, _TONES.get(response, ""))
    if response and doubted:
        told = Cell(f"{response}, {IN_DOUBT}", "warn")
    reason = [str(row["reason"])] if response and row.get("reason") else []
    return {
        **{n: None if v is None else f"{signed(100 * v, '+.0f')} %" for n, v in changes.items()},
        "told": told,
        "why": "; ".join([*reason, *doubts_of(row)]) or None,
    }
