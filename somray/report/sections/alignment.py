"""What registration adds up to: chains along z, groups of sessions, what is left inside lesions and outside."""

from collections import Counter
from collections.abc import Iterable

import numpy as np

from somray.report.data import ReportData, Row, Rows
from somray.report.drawing.blocks import (
    Block,
    Cell,
    Details,
    Gallery,
    Heading,
    Notice,
    Picture,
    Table,
    Text,
)
from somray.report.drawing.listing import MISSING, listing, number, plural
from somray.report.figures.chain import chain_drift

__all__ = ["alignment_blocks", "residual_blocks"]

MOST_CHAINS = 6
SESSION_COLUMNS = (
    "session", "reference_session", "status", "reason", "cycle_error_mm", "drift_mm",
)  # fmt: skip
REGIONS = ("lesion", "outside")
FIGURES = ("mad_before", "mad_after", "ncc_before", "ncc_after")


def alignment_blocks(data: ReportData, scans: list[Row], kind: str, prefix: str) -> Iterable[Block]:
    """Show the chain of each scan's slices, or the group of a subject's sessions."""
    place = {"protocol": scans[0]["protocol"], "subject": scans[0]["subject"], "kind": kind}
    rows = data.rows("alignment", **place)
    if not rows:
        return
    if kind == "sessions":
        told = "Every session brought to the first, from all pairs that could be registered."
        yield listing("alignment", rows, SESSION_COLUMNS, (told, "no session was aligned."))
        yield from _refused(rows)
        return
    yield from _chains(scans, rows, prefix)


def _chains(scans: list[Row], rows: Rows, prefix: str) -> Iterable[Block]:
    pictures: list[Picture] = []
    for number_, scan in enumerate(scans):
        part = [r for r in rows if r["session"] == scan["session"] and r["t"] == 0]
        if not part:
            continue
        yield Text(_chain_text(part))
        yield from _refused(part)
        if len(pictures) < MOST_CHAINS and any(r["drift_mm"] is not None for r in part):
            told = (
                f"Session {scan['session']}: how far each slice would move to lie on slice "
                f"{part[0]['reference_z']}, all steps between them composed."
            )
            markup = chain_drift(part, f"{prefix}-chain{number_}")
            pictures.append(Picture(markup, told, f"Drift along z, session {scan['session']}."))
    if pictures:
        yield Details("Chains of slices along z", (Gallery(tuple(pictures), "chart"),))


def _chain_text(rows: Rows) -> str:
    counts = Counter(r["status"] for r in rows)
    order = ("ok", "weak", "repaired", "refused")
    states = ", ".join(f"{counts[s]} {s}" for s in order if counts[s])
    told = f"Session {rows[0]['session']}, chain of {plural(len(rows), 'slice')}: {states}"
    drift = [r["drift_mm"] for r in rows if r["drift_mm"] is not None]
    if drift:
        told += f"; largest drift {number(max(drift))} mm"
    return told + "."


def _refused(rows: Rows) -> Iterable[Block]:
    reasons = Counter(r["reason"] or "no reason was given" for r in rows if r["matrix"] is None)
    noun = "slice" if rows[0]["kind"] == "slices" else "session"
    for reason, count in sorted(reasons.items()):
        yield Notice(reason, "bad", f"{plural(count, noun)} not aligned:")


def residual_blocks(data: ReportData, scans: list[Row], kind: str) -> Iterable[Block]:
    """Tabulate |difference| and NCC inside the target and outside, before and after registration."""
    place = {"protocol": scans[0]["protocol"], "subject": scans[0]["subject"], "kind": kind}
    rows = data.rows("residuals", **place)
    if not rows:
        return
    unit = next((s["unit"].split(",")[0] for s in scans if s["unit"]), "raw")
    unit = "" if unit == "raw" else unit
    heads = [Heading("pair"), Heading("region", "", "the target in either image, or the rest")]
    heads += [
        Heading(label, unit if "difference" in label else "", "", True)
        for label in ("|difference| before", "after", "NCC before", "after")
    ]
    pairs = sorted({(r["fixed_session"], r["moving_session"]) for r in rows})
    body = tuple(_residual_cells(rows, pair, region) for pair in pairs for region in REGIONS)
    several = " Medians over all pairs of neighbours." if kind == "slices" else ""
    left = "anatomy" if kind == "slices" else "change"
    told = f"What is left inside lesions and outside; what is left after registration is {left}.{several}"
    yield Table(told, tuple(heads), body, "nothing was compared.")


def _residual_cells(rows: Rows, pair: tuple[str, str], region: str) -> tuple[Cell, ...]:
    part = [
        r for r in rows if (r["fixed_session"], r["moving_session"], r["region"]) == (*pair, region)
    ]
    name = pair[0] if pair[0] == pair[1] else f"{pair[0]} → {pair[1]}"
    return (Cell(name), Cell(region), *(_median(part, figure) for figure in FIGURES))


def _median(rows: Rows, figure: str) -> Cell:
    known = [r[figure] for r in rows if r[figure] is not None]
    return Cell(number(float(np.median(known)))) if known else Cell(MISSING, tone="muted")
