"""The tables of a run while its driver writes them, derived from the ledger.

Whoever opens `tables/` meanwhile sees the rows of every unit once: a unit that ends writes its rows as parts
of its own, beside the one file that an earlier run of the same folder compacted. That file stays until
a unit changes whose rows it holds; then the rows of the unit's stage leave it for parts. At the end every
table is written anew, sorted, so that its bytes do not depend on the order in which units ended.
"""

import threading
from collections.abc import Callable, Iterable, Sequence, Set

from somray.domain.run import RunLayout
from somray.domain.tables import TABLES, FailureRow, Row, TimingRow
from somray.domain.work import Outcome, Result, Unit
from somray.io.ledger import Entry, Ledger
from somray.io.storage import Storage
from somray.io.tables import (
    COMPACTED,
    TableRows,
    compact,
    part_name,
    remove_others,
    row_to_plain,
    write_part,
)

__all__ = ["RunTables", "failure_result", "plain_rows", "timing_row"]


class RunTables:
    """Keeps `tables/` true to the ledger, in which an entry is changed after its rows are changed here."""

    def __init__(self, storage: Storage, ledger: Ledger) -> None:
        self._storage, self._ledger = storage, ledger
        self._in_parts: set[tuple[str, str]] = set()
        self._finished: dict[str, bool] = {}
        self._turning = threading.Lock()
        self._changed = False

    def replace(self, before: Entry | None, after: Entry) -> None:
        """Write the rows of a unit in the place of those that it had."""
        self._changed = True
        new = _filled(after)
        if before is not None:
            self.drop(before, new)
        for table in new:
            write_part(self._storage, table, after.protocol, after.part, after.rows[table])

    def drop(self, entry: Entry, kept: Set[str] = frozenset()) -> None:
        """Take the rows of a unit out of all tables; parts of the tables in `kept` are written anew next."""
        self._changed = True
        self._turn_into_parts(entry.stage, entry.protocol)
        for table in _filled(entry) - kept:
            self._storage.remove(part_name(table, entry.protocol, entry.part))

    def _turn_into_parts(self, stage: str, protocol: str) -> None:
        """Before the first change of a stage, take its rows out of compacted files; others wait for it."""
        with self._turning:
            if (stage, protocol) not in self._in_parts:
                self._turn(stage, protocol)
                self._in_parts.add((stage, protocol))

    def _turn(self, stage: str, protocol: str) -> None:
        if protocol not in self._finished:
            files = (self._parts(table, protocol) for table in TABLES)
            self._finished[protocol] = any(f"{COMPACTED}.parquet" in one for one in files)
        if not self._finished[protocol]:
            return
        entries = list(self._ledger.entries(protocol))
        for table in set[str]().union(*(_filled(e) for e in entries if e.stage == stage)):
            parts = self._parts(table, protocol)
            inside = [
                e for e in entries if table in _filled(e) and f"{e.part}.parquet" not in parts
            ]
            mine = [e for e in inside if e.stage == stage]
            if mine:
                rest = [row for e in inside if e.stage != stage for row in e.rows[table]]
                write_part(self._storage, table, protocol, COMPACTED, rest)
            for one in mine:
                write_part(self._storage, table, protocol, one.part, one.rows[table])

    def _parts(self, table: str, protocol: str) -> set[str]:
        return set(self._storage.names(RunLayout.partition(table, protocol)))

    def finish(
        self,
        protocols: Iterable[str],
        entries: Callable[[str], Iterable[Entry]],
        *,
        anew: bool,
    ) -> None:
        """Write every table as one file a protocol, unless all stand so already.

        What lies there of other protocols is removed. `entries` reads what the run stands for of a protocol, one
        after the other; `anew` tells whether rows have left that no unit took out.
        """
        names = list(protocols)
        done = not (anew or self._changed)
        if done and all(self._is_compact(table, name) for table in TABLES for name in names):
            return
        for table in TABLES:
            remove_others(self._storage, table, names)
        for protocol in names:
            gathered = {table: TableRows(table) for table in TABLES}
            for entry in entries(protocol):
                for table in _filled(entry):
                    gathered[table].add(entry.rows[table])
            for rows in gathered.values():
                compact(self._storage, protocol, rows)

    def _is_compact(self, table: str, protocol: str) -> bool:
        return self._storage.names(RunLayout.partition(table, protocol)) == [f"{COMPACTED}.parquet"]


def _filled(entry: Entry) -> set[str]:
    """Name the tables that a unit has rows in."""
    return {table for table, rows in entry.rows.items() if rows}


def failure_result(
    unit: Unit, outcome: Outcome, on_failure: Callable[[Outcome], Sequence[Row]] | None
) -> Result:
    """Make the rows that a failed unit leaves behind."""
    row = FailureRow(
        subject=unit.subject,
        session=unit.session,
        stage=unit.stage,
        code=outcome.code or "internal",
        message=outcome.message or "",
        attempts=outcome.attempts,
    )
    rows: dict[str, list[Row]] = {"failures": [row]}
    for extra in on_failure(outcome) if on_failure else ():
        rows.setdefault(extra.table, []).append(extra)
    return Result(rows=rows)


def plain_rows(rows: Sequence[Row]) -> dict[str, list[dict[str, object]]]:
    """Put rows under their tables, as the ledger keeps them."""
    found: dict[str, list[dict[str, object]]] = {}
    for row in rows:
        found.setdefault(row.table, []).append(row_to_plain(row))
    return found


def timing_row(outcome: Outcome) -> TimingRow:
    """Make the row that tells what a unit took."""
    return TimingRow(
        stage=outcome.stage,
        unit=outcome.name,
        seconds=outcome.seconds,
        peak_bytes=outcome.peak_bytes,
        node=outcome.node,
        device=outcome.device,
        attempts=outcome.attempts,
    )
