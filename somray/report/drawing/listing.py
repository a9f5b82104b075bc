"""Rows of a run's tables as tables of a page.

Heads, units and meanings come from `domain/tables/`, so the page and the data dictionary never differ.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from somray.domain.tables import TABLES, FieldSpec, field_specs
from somray.errors import QUARANTINE_CODES
from somray.report.drawing.blocks import Cell, Heading, Table
from somray.report.drawing.style import class_colour

__all__ = ["MISSING", "fact", "failures_table", "listing", "number", "plural"]

MISSING = "–"
THIN = "\u202f"  # narrow no-break space between thousands

_TONES = {
    "status": {
        "quarantined": "bad",
        "refused": "bad",
        "weak": "warn",
        "repaired": "warn",
        "drifted": "warn",
        "ok": "good",
    },
    "change": {"new": "bad", "enlarging": "bad", "resolved": "good", "shrinking": "good"},
    "registered": {"no": "warn"},
}
_UNITS_TOLD = {"mm", "mm²", "mm³", "ml", "px", "s", "d", "std"}
_LABELS = {
    "volume_mm3": "volume", "volume_from_mm3": "volume before", "volume_to_mm3": "volume after",
    "volume_change_fraction": "change of volume", "hd95_mm": "HD95", "ncc_before": "NCC before",
    "ncc_after": "NCC after", "mad_before": "|difference| before",
    "mad_after": "|difference| after", "iou": "IoU", "dice": "Dice", "mean_iou": "mean IoU",
    "delta_iou": "ΔIoU", "copy_forward_iou": "baseline: A copied",
    "control_iou": "control: A alone", "ref": "measured against", "rmse_px": "RMSE",
    "false_positive_ml": "false positive", "false_negative_ml": "false negative",
    "suv_peak": "SUVpeak", "tlg_ml": "TLG (SUV·ml)", "axial_axis_mm": "longest axis in a slice",
    "axial_perpendicular_mm": "across it",
    "lesion_id": "lesion", "linked_ids": "linked lesions",
}  # fmt: skip


def number(value: float, digits: int = 3) -> str:
    """Write a number for people: thousands apart, a real minus sign, no more digits than useful."""
    if abs(value) >= 1000:
        text = f"{value:,.0f}".replace(",", THIN)
    elif abs(value) >= 100:
        text = f"{value:.1f}"
    else:
        text = f"{value:.{digits}f}" if abs(value) < 10 else f"{value:.2f}"
    return text.replace("-", "−")


def plural(count: int, one: str, many: str = "") -> str:
    """Write a count with its noun."""
    return f"{count} {one if count == 1 else many or one + 's'}"


def fact(value: Any) -> str:  # Any: a value of a table or of run.json
    """Write any value of a cell."""
    if value is None:
        return MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return number(value)
    if isinstance(value, int):
        return f"{value:,}".replace(",", THIN) if abs(value) >= 10000 else str(value)
    if isinstance(value, (list, tuple)):
        return ", ".join(fact(v) for v in value) or MISSING
    return str(value)


def _heading(spec: FieldSpec) -> Heading:
    unit = spec.unit if spec.unit in _UNITS_TOLD else ""
    label = _LABELS.get(spec.name)
    if label is None:
        name = spec.name
        for ending in ("_mm3", "_mm2", "_mm", "_ml", "_px"):
            name = name.removesuffix(ending)
        label = name.replace("_", " ")
    return Heading(label, unit, spec.meaning, spec.kind in ("int", "float"))


def _cell(spec: FieldSpec, value: Any, hrefs: Mapping[str, str]) -> Cell:  # Any: a table's value
    if value is None:
        return Cell(MISSING, tone="muted")
    text = f"{value:g}" if spec.unit == "d" else fact(value)
    swatch = class_colour(text) if spec.name == "class_name" else ""
    href = hrefs.get(text, "") if spec.name == "subject" else ""
    return Cell(text, _TONES.get(spec.name, {}).get(text, ""), href, swatch)


def listing(
    table: str,
    rows: Sequence[Mapping[str, Any]],  # Any: plain table rows
    columns: Sequence[str],
    words: tuple[str, str],
    hrefs: Mapping[str, str] | None = None,
) -> Table:
    """Show chosen columns of a table's rows.

    Args:
        table: a key of `TABLES`.
        rows: plain rows.
        columns: names, in order; `protocol` is known too.
        words: caption, and the reason why there may be nothing to show.
        hrefs: page of each subject, where the subject should be a link.
    """
    specs = {s.name: s for s in field_specs(TABLES[table])}
    specs["protocol"] = FieldSpec("protocol", "str", False, "", "protocol of the configuration")
    chosen = [specs[c] for c in columns]
    body = tuple(tuple(_cell(s, r[s.name], hrefs or {}) for s in chosen) for r in rows)
    return Table(words[0], tuple(_heading(s) for s in chosen), body, words[1])


def failures_table(rows: Sequence[Mapping[str, Any]], hrefs: Mapping[str, str]) -> Table:
    """Show what could not be done, and what each code means."""
    headings = tuple(
        Heading(label, "", meaning)
        for label, meaning in (
            ("subject", "subject of the scan"), ("session", "session of the scan"),
            ("protocol", "protocol of the configuration"), ("stage", "stage that failed"),
            ("code", "reason, in one word"), ("what the code means", ""),
            ("message", "what is wrong, where, and what to do"), ("attempts", "times it was tried"),
        )
    )  # fmt: skip
    body = tuple(
        (
            Cell(fact(r["subject"]), href=hrefs.get(str(r["subject"]), "")),
            Cell(fact(r["session"])), Cell(fact(r["protocol"])), Cell(fact(r["stage"])),
            Cell(fact(r["code"]), "bad"),
            Cell(QUARANTINE_CODES.get(r["code"], "not a code of the data dictionary")),
            Cell(fact(r["message"])), Cell(fact(r["attempts"])),
        )
        for r in rows
    )  # fmt: skip
    return Table(
        "Scans that were quarantined and units of work that failed.",
        headings,
        body,
        "no scan was quarantined and no unit of work failed.",
    )
