"""A subject's scans as they were taken in: what says nothing here is left out."""

from somray.report.data import Row, Rows
from somray.report.drawing.blocks import Block, Cell, Notice, Section
from somray.report.drawing.table import TableColumn, fact, table_of

__all__ = ["scans_section"]

_TONES = {"quarantined": "bad", "done": "good"}
_CROSS = " × "
_AXES = ("t", "c", "z", "y", "x")


def scans_section(rows: Rows, trouble: str | None) -> Section:
    """List a subject's rows of `scans`; `trouble` says why the manifest cannot be read any more, if it cannot."""
    why = "the manifest names no scan of it."
    blocks: list[Block] = [table_of("Scans of this subject.", rows, _columns(rows), why)]
    if trouble is not None:
        lead = "The manifest cannot be read any more, so no truth is drawn."
        blocks.append(Notice(trouble, "warn", lead))
    return Section("scans", "Scans", tuple(blocks))


def _columns(rows: Rows) -> list[TableColumn]:
    several = len({r["protocol"] for r in rows}) > 1
    sizes = [c for c in _AXES if c in "zyx" or any((r[f"shape_{c}"] or 1) > 1 for r in rows)]
    return [
        TableColumn("session", "session"),
        *([TableColumn("protocol", "protocol")] if several else []),
        TableColumn("status", lambda r: Cell(r["status"], _TONES.get(r["status"], ""))),
        TableColumn("days", lambda r: None if r["days"] is None else f"{r['days']:g}", "",
                    "since the subject's first session, as given", True, optional=True),
        TableColumn("path", "path", "", "source of the first channel, as in the manifest"),
        TableColumn("modality", "modality"),
        TableColumn("unit", "unit", "", "one per channel", optional=True),
        TableColumn(_CROSS.join(sizes), lambda r: _joined(r, [f"shape_{a}" for a in sizes]), "",
                    "voxels along each axis", True, optional=True),
        TableColumn("spacing z × y × x", _spacing, "mm", "distance between voxels", True, optional=True),
        TableColumn("repairs", lambda r: r["repairs"] or None, "", "what was repaired or assumed", optional=True),
    ]  # fmt: skip


def _spacing(row: Row) -> str | None:
    return _joined(row, [f"spacing_{a}_mm" for a in "zyx"])


def _joined(row: Row, columns: list[str]) -> str | None:
    """Join numbers of several columns; None where any of them does not exist."""
    values = [row[c] for c in columns]
    if any(v is None for v in values):
        return None
    return _CROSS.join(f"{v:.3g}" if isinstance(v, float) else fact(v) for v in values)
