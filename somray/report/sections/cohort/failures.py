"""What could not be done, why, and what to do about it: first on every page that it belongs to."""

from collections import Counter
from collections.abc import Mapping

from somray.errors import QUARANTINE_CODES, REMEDIES
from somray.report.data import Row, Rows
from somray.report.drawing.blocks import Block, Cell, Section, Text
from somray.report.drawing.table import TableColumn, fact, plural, subject_column, table_of

__all__ = ["failures_section"]

MOST_ROWS = 200
_UNKNOWN_CODE = "not a code of the data dictionary"
_NO_REMEDY = "see the message"


def failures_section(rows: Rows, notes: Rows, hrefs: Mapping[str, str]) -> Section:
    """Show what could not be done, and what each code means; the first section of every page.

    Args:
        rows: of `failures`; a unit may belong to a subject alone, or to none.
        notes: of `notes`: what was assumed, left out or decided.
        hrefs: page of each subject, where the subject should be a link.
    """
    told = "Scans that were quarantined and units of work that failed."
    why = "no scan was quarantined and no unit of work failed."
    columns = (
        subject_column(hrefs, "subject of the scan"),
        _column("session", "session of the scan"),
        _column("protocol", "protocol of the configuration"),
        _column("stage", "stage that failed"),
        TableColumn("code", lambda r: Cell(r["code"], "bad"), "", "reason, in one word"),
        _column("message", "what is wrong, where, and what to do"),
        TableColumn("tried", "attempts", "", "times it was tried", True),
    )
    table = table_of(told, rows[:MOST_ROWS], columns, why)
    blocks: list[Block] = [_codes(rows), table] if rows else [table]
    if len(rows) > MOST_ROWS:
        blocks.append(Text(f"And {len(rows) - MOST_ROWS} more, in tables/failures."))
    blocks += _notes(notes, hrefs)
    return Section("failures", "Failures", tuple(blocks), "bad" if rows else "good")


def _notes(rows: Rows, hrefs: Mapping[str, str]) -> list[Block]:
    """Show what is no failure, and yet to be known."""
    if not rows:
        return []
    columns = (
        subject_column(hrefs, "subject of the scan"),
        _column("session", "session of the scan"),
        _column("note", "what was done"),
    )
    told = "Noted: what was assumed, left out or decided of scans and their masks."
    more = (
        [Text(f"And {len(rows) - MOST_ROWS} more, in tables/notes.")]
        if len(rows) > MOST_ROWS
        else []
    )
    return [table_of(told, rows[:MOST_ROWS], columns), *more]


def _column(name: str, meaning: str) -> TableColumn:
    return TableColumn(name, lambda r: fact(r[name]), "", meaning)


def _codes(rows: Rows) -> Block:
    """Sum failures up by code: how many, what it means, what to do."""
    counts = Counter(r["code"] for r in rows)
    lines: list[Row] = [
        {
            "code": Cell(code, "bad"),
            "count": count,
            "means": QUARANTINE_CODES.get(code, _UNKNOWN_CODE).replace("`", ""),
            "do": REMEDIES.get(code, _NO_REMEDY).replace("`", ""),
        }
        for code, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    ]
    columns = (
        TableColumn("code", "code"),
        TableColumn("times", "count", numeric=True),
        TableColumn("what the code means", "means"),
        TableColumn("what to do", "do"),
    )
    return table_of(f"{plural(len(rows), 'failure')} in short, and what to do.", lines, columns)
