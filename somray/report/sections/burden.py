"""How much disease each session shows, what became of it, and why a response is told or not."""

from collections.abc import Callable, Iterable, Mapping

from somray.config import ProtocolConfig
from somray.report.data import ReportData, Row, Rows
from somray.report.drawing.blocks import (
    Block,
    Cell,
    Details,
    Gallery,
    Heading,
    Notice,
    Picture,
    Section,
    Table,
    Text,
)
from somray.report.drawing.listing import MISSING, number, plural
from somray.report.figures.burden import RESPONSES, burden_chart
from somray.report.figures.flow import DOUBTS
from somray.report.figures.lesions import TimeAxis

__all__ = ["NO_RESPONSE", "burden_section", "cohort_burden_section"]

MOST_ROWS_OPEN = 40
TITLE = "Burden over time"
NO_RESPONSE: Mapping[str, str] = {
    **DOUBTS,
    "no_target": "the first session shows no lesion large enough to be measured",
    "no_peak": "no sphere of 1 ml fits into the hottest lesion, so it has no SUVpeak",
    "no_suv": "the PET is not in SUV, so uptake of two sessions cannot be compared",
    "material": "this is no patient",
}
"""Code of `burden.doubt` to what it means."""

_TONES = {"PD": "bad", "PMD": "bad", "CR": "good", "CMR": "good", "PR": "good", "PMR": "good"}
_NUMBERS = (
    ("volume_mm3", "volume", "ml", "of all lesions; on PET the metabolic volume", 0.001),
    ("tlg", "TLG", "SUV·ml", "total lesion glycolysis", 1.0),
    ("dmax_mm", "Dmax", "mm", "largest distance within or between lesions", 1.0),
    ("axes_mm", "axes", "mm", "sum of up to five longest axes", 1.0),
    ("suv_peak", "SUVpeak", "", "of the hottest lesion", 1.0),
    ("targets_mm", "targets", "mm", "sum of the targets' longest axes in a slice", 1.0),
)
_CHANGES = (
    ("change_from_baseline", "axes, since first"), ("change_from_nadir", "axes, since least"),
    ("volume_change_from_baseline", "volume, since first"),
    ("targets_change_from_baseline", "targets, since first"),
    ("suv_peak_change_from_baseline", "SUVpeak, since first"),
)  # fmt: skip


def burden_section(data: ReportData, scans: Rows, protocol: str, prefix: str) -> Section:
    """Show one subject's burden, session by session.

    Args:
        data: of the run.
        scans: of the subject and protocol, in order of time.
        protocol: its name.
        prefix: of the section's anchors.
    """
    subject = str(scans[0]["subject"])
    rows = _in_time(data, scans)
    blocks: list[Block] = []
    if len([r for r in rows if r["t"] == 0]) > 1:
        blocks += [
            _thresholds(data.protocol(protocol)),
            *_chart({subject: _line(scans, rows)}, f"{prefix}-burden"),
        ]
        blocks += _untold(rows)
    told = "Burden of every session; changes are those of time index 0 since the first session and since the least."
    blocks.append(_table(told, rows, with_subject=False))
    return Section(f"{prefix}-burden", TITLE, tuple(blocks))


def cohort_burden_section(
    data: ReportData, protocol: str, prefix: str, hrefs: Mapping[str, str]
) -> Section:
    """Show the burden of all subjects of a protocol.

    Args:
        data: of the run.
        protocol: its name.
        prefix: of the section's anchors.
        hrefs: page of each subject.
    """
    subjects = sorted({str(r["subject"]) for r in data.rows("scans", protocol=protocol)})
    lines, table = {}, []
    for subject in subjects:
        scans = data.scans_of(subject, protocol)
        rows = [r for r in _in_time(data, scans) if r["t"] == 0]
        table += rows
        if len(rows) > 1:
            lines[subject] = _line(scans, rows)
    blocks: list[Block] = []
    if lines:
        blocks += [_thresholds(data.protocol(protocol)), *_chart(lines, f"{prefix}-burden")]
        blocks += _untold(table)
    full = _table("Burden of every session.", table, with_subject=True, hrefs=hrefs)
    folded = len(table) > MOST_ROWS_OPEN
    blocks.append(Details(f"Burden of all {len(table)} sessions", (full,)) if folded else full)
    return Section(f"{prefix}-burden", TITLE, tuple(blocks))


def _in_time(data: ReportData, scans: Rows) -> Rows:
    """Return a subject's rows of `burden` in order of time."""
    if not scans:
        return []
    order = {s["session"]: place for place, s in enumerate(scans)}
    rows = data.rows("burden", protocol=scans[0]["protocol"], subject=scans[0]["subject"])
    known = [r for r in rows if r["session"] in order]
    return sorted(known, key=lambda r: (order[r["session"]], r["t"]))


def _line(scans: Rows, rows: Rows) -> tuple[TimeAxis, Rows]:
    first = [r for r in rows if r["t"] == 0]
    met = {r["session"] for r in first}
    return TimeAxis.of([s for s in scans if s["session"] in met]), first


def _chart(lines: Mapping[str, tuple[TimeAxis, Rows]], name: str) -> Iterable[Block]:
    one = len(lines) == 1
    told = "Burden by session" + ("" if one else ", one line per subject with two sessions or more")
    told += "; marks tell the response, a question mark a session whose response cannot be known."
    yield Gallery((Picture(burden_chart(lines, name), told, "Burden over sessions."),), "large")
    met = {r["response"] for _, rows in lines.values() for r in rows}
    kinds = "; ".join(f"{name}: {RESPONSES[name][1]}" for name in RESPONSES if name in met)
    if kinds:
        yield Text(f"{kinds}.")


def _thresholds(config: ProtocolConfig) -> Text:
    """Tell by which thresholds responses are called."""
    by = config.lesions.response
    if config.modality in ("PET", "PETCT"):
        return Text(
            "Responses are PERCIST-like: SUVpeak of the hottest lesion against the first session, by "
            f"{by.uptake_fraction:.0%} and {by.uptake_floor_suv:g} SUV or more; a new lesion is progression. "
            "They are computed, not judged by a reader."
        )
    return Text(
        f"Responses are RECIST-like: the sum of up to five targets of {by.target_mm:g} mm or more; shrunk by "
        f"{by.shrink_fraction:.0%} or more since the first session, or grown by {by.growth_fraction:.0%} and "
        f"{by.growth_floor_mm:g} mm or more since the least; a new lesion is progression. They are computed, "
        "not judged by a reader."
    )


def _untold(rows: Rows) -> Iterable[Block]:
    """Say how many sessions have no response, and why."""
    doubted = [r for r in rows if r["doubt"] and not r["response"]]
    if doubted:
        codes = sorted({c for r in doubted for c in str(r["doubt"]).split(",")})
        lead = f"No response is told for {plural(len(doubted), 'session')}."
        told = "; ".join(_meaning(c) for c in codes)
        yield Notice(f"{told[:1].upper()}{told[1:]}.", "warn", lead)


def _meaning(code: str) -> str:
    return NO_RESPONSE.get(code.strip(), code.strip())


def _table(
    told: str, rows: Rows, *, with_subject: bool, hrefs: Mapping[str, str] | None = None
) -> Table:
    """List rows of `burden`; columns that are null in all of them are left out."""
    columns: list[tuple[Heading, list[Cell]]] = []
    if with_subject:
        cells = [
            Cell(str(r["subject"]), href=(hrefs or {}).get(str(r["subject"]), "")) for r in rows
        ]
        columns.append((Heading("subject"), cells))
    columns.append((Heading("session"), [Cell(str(r["session"])) for r in rows]))
    if any(r["t"] for r in rows):
        columns.append((Heading("t", "", "time index", True), [Cell(str(r["t"])) for r in rows]))
    columns.append((Heading("lesions", "", "", True), [Cell(str(r["lesions"])) for r in rows]))
    for name, label, unit, meaning, factor in _NUMBERS:
        if any(r.get(name) is not None for r in rows):
            columns.append(
                (Heading(label, unit, meaning, True), [_value(r.get(name), factor) for r in rows])
            )
    for name, label in _CHANGES:
        if any(r.get(name) is not None for r in rows):
            columns.append((Heading(label, "", "", True), [_change(r.get(name)) for r in rows]))
    columns.append((Heading("response"), _each(rows, _response)))
    columns.append((Heading("why"), _each(rows, _why)))
    body = tuple(zip(*(cells for _, cells in columns), strict=True))
    why = "no session has a burden yet; a run of an earlier version has none."
    return Table(told, tuple(head for head, _ in columns), body, why)


def _value(value: float | None, factor: float) -> Cell:
    return Cell(MISSING, "muted") if value is None else Cell(number(value * factor, 1))


def _change(share: float | None) -> Cell:
    return (
        Cell(MISSING, "muted") if share is None else Cell(f"{100 * share:+.0f} %".replace("-", "−"))
    )


def _each(rows: Rows, told: Callable[[Row, bool], Cell]) -> list[Cell]:
    """Tell something of every row, and whether it is its subject's first session."""
    seen: set[str] = set()
    cells = []
    for row in rows:
        first = row["subject"] not in seen
        seen.add(row["subject"])
        cells.append(told(row, first))
    return cells


def _response(row: Row, first: bool) -> Cell:
    name = row["response"]
    if name:
        return Cell(str(name), _TONES.get(name, ""))
    if row["doubt"]:
        return Cell("not told", "warn")
    return Cell("first session" if first else MISSING, "muted")


def _why(row: Row, first: bool) -> Cell:
    """Give the response's reason, or why there is none."""
    parts = [row.get("reason")] if row["response"] else []
    if row["doubt"]:
        parts += [_meaning(c) for c in str(row["doubt"]).split(",")]
    return Cell("; ".join(str(p) for p in parts if p) or MISSING, "" if any(parts) else "muted")
