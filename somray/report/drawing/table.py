"""Tables of a page, and numbers as people write them.

Heads, units and meanings of a run's columns come from `domain/tables/`, so that the page and the data
dictionary never differ.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from somray.domain.tables import TABLES, FieldSpec, field_specs
from somray.report.data import Row, Rows
from somray.report.drawing.blocks import Cell, Heading, Table
from somray.report.drawing.scales import SMALL_MM
from somray.report.drawing.style import class_colour

__all__ = [
    "MISSING",
    "TableColumn",
    "cell",
    "fact",
    "number",
    "plural",
    "rows_table",
    "signed",
    "subject_column",
    "table_of",
]

MISSING = "–"
THIN = "\u202f"  # narrow no-break space between thousands

_TONES = {
    "status": {"quarantined": "bad", "refused": "bad", "weak": "warn", "repaired": "warn",
               "drifted": "warn", "ok": "good"},
    "change": {"new": "bad", "enlarging": "bad", "resolved": "good", "shrinking": "good"},
    "registered": {"no": "warn"},
}  # fmt: skip
_UNITS_TOLD = {"mm", "mm²", "mm³", "ml", "px", "s", "d", "std", "°"}
_POWERS = {"mm": 1, "mm²": 2, "mm³": 3}
_LABELS = {
    "volume_mm3": "volume", "volume_from_mm3": "volume before", "volume_to_mm3": "volume after",
    "hd95_mm": "HD95", "ncc_before": "NCC before",
    "ncc_after": "NCC after", "mad_before": "|difference| before",
    "mad_after": "|difference| after", "iou": "IoU", "dice": "Dice", "mean_iou": "mean IoU",
    "delta_iou": "ΔIoU", "copy_forward_iou": "baseline: A copied",
    "control_iou": "control: A alone", "ref": "measured against", "rmse_px": "RMSE",
    "false_positive_ml": "false positive", "false_negative_ml": "false negative",
    "suv_peak": "SUVpeak", "tlg_ml": "TLG (uptake·ml)", "axial_axis_mm": "longest axis in a slice",
    "axial_perpendicular_mm": "across it",
    "polar_angle_deg": "long axis from z", "nearest_mm": "nearest lesion", "touches_border": "at the border",
    "lesion_id": "lesion", "linked_ids": "linked lesions",
}  # fmt: skip


LEAST = 1e-6
"""What is smaller than that is noise of rounding, and is written as 0."""


def number(value: float, digits: int = 3) -> str:
    """Write a number for people: thousands apart, a real minus sign, no more digits than useful."""
    if abs(value) >= 1000:
        text = f"{value:,.0f}".replace(",", THIN)
    else:
        most = 1 if abs(value) >= 100 else 2 if abs(value) >= 10 else digits
        text = f"{value:.{min(digits, most)}f}"
        if abs(value) >= LEAST and not float(text):
            text = f"{value:.2g}"  # a small lesion's volume in ml is not 0
    return text.replace("-", "−")


def signed(value: float, form: str) -> str:
    """Write a number by a format that shows its sign, with a real minus."""
    return f"{value:{form}}".replace("-", "−")


def plural(count: int, one: str) -> str:
    """Write a count with its noun."""
    return f"{count} {one if count == 1 else one + 's'}"


def fact(value: object) -> str:
    """Write any value of a table or of run.json."""
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


def cell(value: object, digits: int = 3) -> Cell:
    """Write any value as a cell; one that does not exist is a muted dash, never 0."""
    if isinstance(value, Cell):
        return value
    if value is None:
        return Cell(MISSING, "muted")
    return Cell(number(value, digits) if isinstance(value, float) else fact(value))


@dataclass(frozen=True)
class TableColumn:
    """A column of a page's table.

    Args:
        label: its head.
        value: the item's key, or what tells its value of an item: None, text, a number, or a whole cell.
        unit: of the numbers.
        meaning: what it is, where the head does not say so.
        numeric: whether it stands to the right.
        digits: of floats.
        optional: left out where no item has a value.
    """

    label: str
    value: (
        str | Callable[[Any], object]
    )  # Any: a row, or whatever else a line of the table is about
    unit: str = ""
    meaning: str = ""
    numeric: bool = False
    digits: int = 3
    optional: bool = False

    def of(self, item: Any) -> object:  # Any: as above
        """Tell the value of an item; None where a run of an earlier version has no such key."""
        return item.get(self.value) if isinstance(self.value, str) else self.value(item)


def table_of(
    caption: str, items: Iterable[Any], columns: Iterable[TableColumn], empty: str = ""
) -> Table:
    """Show items as rows, a column each for what is told of them; `empty` says why there may be none."""
    shown = list(items)
    told = [(c, [cell(c.of(item), c.digits) for item in shown]) for c in columns]
    kept = [(c, own) for c, own in told if not c.optional or any(v.text != MISSING for v in own)]
    headings = tuple(Heading(c.label, c.unit, c.meaning, c.numeric) for c, _ in kept)
    return Table(caption, headings, tuple(zip(*(own for _, own in kept), strict=True)), empty)


def rows_table(
    table: str,
    rows: Rows,
    columns: Sequence[str | TableColumn],
    caption: str,
    empty: str,
    is_small: bool = False,
) -> Table:
    """Show chosen columns of a table's rows, as the data dictionary names them.

    Args:
        table: a key of `TABLES`.
        rows: plain rows.
        columns: names, in order, `protocol` is known too; or columns of another make between them.
        caption: what the table shows.
        empty: why there may be nothing to show.
        is_small: whether a column of small lengths, areas or volumes is told in µm, µm² or µm³.
    """
    specs = {s.name: s for s in field_specs(TABLES[table])}
    specs["protocol"] = FieldSpec("protocol", "str", False, "", "protocol of the configuration")
    shown = [
        c
        if isinstance(c, TableColumn)
        else _spec_column(specs[c], is_small and _is_micro(specs[c], rows))
        for c in columns
    ]
    return table_of(caption, rows, shown, empty)


def _is_micro(spec: FieldSpec, rows: Rows) -> bool:
    """Whether a column's values are so small that micrometres tell them better."""
    power = _POWERS.get(spec.unit, 0)
    values = [abs(r[spec.name]) for r in rows if power and r[spec.name] is not None]
    return bool(values) and max(values) < SMALL_MM**power


def _spec_column(spec: FieldSpec, is_micro: bool = False) -> TableColumn:
    name = spec.name
    for ending in ("_mm3", "_mm2", "_mm", "_ml", "_px", "_deg"):
        name = name.removesuffix(ending)
    label = _LABELS.get(spec.name, name.replace("_", " "))
    unit = spec.unit if spec.unit in _UNITS_TOLD else ""
    unit = unit.replace("mm", "µm") if is_micro else unit
    scale = 1000.0 ** _POWERS[spec.unit] if is_micro else 1.0

    def told(row: Row) -> Cell:
        value = row[spec.name]
        if value is None:
            return cell(None)
        text = f"{value:g}" if spec.unit == "d" else fact(value * scale if is_micro else value)
        swatch = class_colour(text) if spec.name == "class_name" else ""
        return Cell(text, _TONES.get(spec.name, {}).get(text, ""), swatch=swatch)

    return TableColumn(label, told, unit, spec.meaning, spec.kind in ("int", "float"))


def subject_column(hrefs: Mapping[str, str], meaning: str = "") -> TableColumn:
    """Make the column of rows' subjects, each a link where it has a page."""

    def named(row: Row) -> Cell:
        return Cell(fact(row["subject"]), href=hrefs.get(str(row["subject"]), ""))

    return TableColumn("subject", named, "", meaning)
