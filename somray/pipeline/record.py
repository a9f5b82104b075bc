"""The record of a run: which units are due, what they gave, and what the tables show of it.

The driver alone writes here. A unit's table parts are written first and its ledger entry last.
"""

import asyncio
import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from somray.domain.tables import FailureRow, Row, TimingRow
from somray.domain.teacher import TeacherModel
from somray.domain.work import GIVEN_UP, Executor, Outcome, Result, StageFunction, Unit
from somray.errors import StoreError
from somray.io import leftovers, models
from somray.io.ledger import Entry, Ledger, entry_of
from somray.io.ome.marks import group_attributes, is_complete
from somray.io.storage import Storage
from somray.io.tables import row_to_plain
from somray.pipeline.run_state import Progress, RunState
from somray.pipeline.run_tables import RunTables
from somray.pipeline.stages import STAGES

__all__ = ["FailureRows", "Record", "RunRecord"]

HEARTBEAT_SECONDS = 15.0
FailureRows = Callable[[Outcome], Sequence[Row]]


class Record(Protocol):
    """What the walk asks of a run; a plan answers without one (`plan.PlannedRecord`)."""

    async def do(
        self,
        function: StageFunction,
        unit: Unit,
        *,
        shared: object = None,
        actor: str | None = None,
        on_failure: FailureRows | None = None,
    ) -> Entry:
        """Run a unit unless it is known to be done, and say how it ended.

        Args:
            function: the stage function.
            unit: what to do.
            shared: as `Executor.share` returned it.
            actor: name of the actor that runs it; None for a task.
            on_failure: further rows for a unit that failed.

        Raises:
            StoreError: storage failed; the run stops.
        """

    async def renew(self, function: StageFunction, unit: Unit) -> None:
        """Keep what a unit gave before, where a look shows that it would give the same again.

        Args:
            function: looks and tells what the unit would tell, but changes nothing.
            unit: due by its digest, perhaps for no reason but a file's time.
        """

    def is_due(self, unit: Unit) -> bool:
        """Whether a unit would be run."""

    def replace(self, entry: Entry, code: str, message: str, rows: Sequence[Row]) -> None:
        """Turn a done unit into a failed one after the fact (a duplicate is known only by comparison)."""

    def forget(self, entry: Entry) -> None:
        """Make a unit due again whose result is gone."""

    def has_scan(self, name: str) -> bool:
        """Whether a scan's group stands complete."""

    def has_group(self, name: str) -> bool:
        """Whether there is a group for a scan, complete or not."""

    def remove(self, name: str) -> None:
        """Remove a scan's group, or what a finished unit kept while under way."""

    def teacher(self, protocol: str) -> TeacherModel:
        """Return the teacher that a unit has fitted."""

    def student(self, protocol: str) -> Any:  # Any: only the executor's workers look inside
        """Return the student that a unit has trained."""


class RunRecord:
    """The record of one run while its driver works on it; see `Record`.

    Args:
        storage: the run; an older driver that still works on it will notice and stop.
        executor: where units run.
        progress: told of every stage's counts, at most once a second.
    """

    def __init__(
        self, storage: Storage, executor: Executor, progress: Progress | None = None
    ) -> None:
        self.state = RunState(storage, progress)
        self._storage = storage
        self._ledger = Ledger(storage)
        self._tables = RunTables(storage, self._ledger)
        self._executor = executor
        self._entries: dict[tuple[str, str, str], Entry] = {}
        self.executed = 0
        self.dropped = 0
        self.broken = 0

    async def do(
        self,
        function: StageFunction,
        unit: Unit,
        *,
        shared: object = None,
        actor: str | None = None,
        on_failure: FailureRows | None = None,
    ) -> Entry:
        """Run a unit unless the ledger knows it is done; record how it ended."""
        counts = self.state.counts[unit.stage]
        counts["left"] += 1
        entry = self._ledger.find(unit)
        if entry is None or entry.digest != unit.digest:
            self._wipe(unit)
            outcome = await self._executor.submit(function, unit, shared, actor)
            entry = self._record(unit, outcome, on_failure, entry)
        counts["left"] -= 1
        counts["done" if entry.ok else "failed"] += 1
        self.broken += _is_broken(entry)
        self._entries[_key(entry)] = entry
        self.state.write(force=False)
        return entry

    async def renew(self, function: StageFunction, unit: Unit) -> None:
        """Keep what a unit gave before, where a look shows that it would give the same again."""
        entry = self._ledger.find(unit)
        if entry is None or entry.digest == unit.digest or not entry.value:
            return
        seen = (await self._executor.submit(function, unit)).result
        if seen is None or dict(seen.value) != entry.value:
            return
        told = {table: [row_to_plain(row) for row in rows] for table, rows in seen.rows.items()}
        rows = {**entry.rows, **told} if entry.ok else entry.rows
        after = dataclasses.replace(entry, digest=unit.digest, rows=rows)
        if after.rows != entry.rows:  # the manifest may call it otherwise
            self.executed += 1
            self._tables.replace(entry, after)
        self._ledger.put(after)

    def is_due(self, unit: Unit) -> bool:
        """Whether a unit would be run."""
        entry = self._ledger.find(unit)
        return entry is None or entry.digest != unit.digest

    def _wipe(self, unit: Unit) -> None:
        """Forget the units whose results this one destroys, before it touches the first byte."""
        for stage, family in STAGES[unit.stage].wipes(unit):
            for gone in self._ledger.family(stage, unit.protocol, family):
                self._tables.drop(gone)
                self._ledger.remove(gone)

    def _record(
        self,
        unit: Unit,
        outcome: Outcome,
        on_failure: FailureRows | None,
        before: Entry | None,
    ) -> Entry:
        """Write parts, then the mark."""
        if outcome.code == "storage":
            raise StoreError(outcome.message or "storage failed")
        self.executed += 1
        result = outcome.result or _failure(unit, outcome, on_failure)
        rows = {**result.rows, "timings": [_timing(outcome)]}
        entry = entry_of(unit, outcome, dataclasses.replace(result, rows=rows))
        if not entry.ok and (not outcome.is_data_error or outcome.code in GIVEN_UP):
            entry = dataclasses.replace(entry, digest="")  # to be tried again by the next run
        self._tables.replace(before, entry)
        self._ledger.put(entry)
        return entry

    def replace(self, entry: Entry, code: str, message: str, rows: Sequence[Row]) -> None:
        """Turn a done unit into a failed one after the fact."""
        told = {**_by_table(rows), "timings": entry.rows.get("timings", [])}
        changed = dataclasses.replace(entry, code=code, message=message, rows=told)
        if entry.ok:
            self.state.counts[entry.stage]["done"] -= 1
            self.state.counts[entry.stage]["failed"] += 1
        if changed != entry:
            self._tables.replace(entry, changed)
            self._ledger.put(changed)
        self._entries[_key(entry)] = changed

    def forget(self, entry: Entry) -> None:
        """Make a unit due again whose result is gone."""
        self._tables.drop(entry)
        self._ledger.remove(entry)
        self.state.counts[entry.stage]["done" if entry.ok else "failed"] -= 1

    # -- what units left in storage --------------------------------------------------------------

    def has_scan(self, name: str) -> bool:
        """Whether a scan's group stands complete."""
        return is_complete(self._storage, name)

    def has_group(self, name: str) -> bool:
        """Whether there is a group for a scan, complete or not."""
        return group_attributes(self._storage, name) is not None

    def remove(self, name: str) -> None:
        """Remove a scan's group, or what a finished unit kept while under way."""
        self._storage.remove(name)

    def teacher(self, protocol: str) -> TeacherModel:
        """Read the teacher that a unit has fitted."""
        return models.read_teacher(self._storage, protocol)

    def student(self, protocol: str) -> Any:  # Any: only the executor's workers look inside
        """Read the student that a unit has trained."""
        return models.read_student(self._storage, protocol)

    # -- the end ---------------------------------------------------------------------------------

    def finish(self, protocols: Iterable[str]) -> None:
        """Drop what no longer belongs to the run and write every table as one sorted file a protocol."""
        self.state.write()  # the report reads it: nothing but itself is left
        stale = [e for e in self._ledger.entries() if _key(e) not in self._entries]
        self._tables.finish(protocols, self._rows, anew=bool(stale))
        self._sweep()
        for entry in stale:
            self._ledger.remove(entry)
        self.dropped = len(stale)

    def _sweep(self) -> None:
        """Remove scans and models that no unit of this run stands for."""
        made = [entry for entry in self._entries.values() if entry.ok]
        by_stage = {s: [e for e in made if e.stage == s] for s in ("ingest", "teacher", "student")}
        leftovers.remove_scans_but(self._storage, {e.name for e in by_stage["ingest"]})
        teachers, students = ({e.protocol for e in by_stage[s]} for s in ("teacher", "student"))
        leftovers.remove_models_but(self._storage, teachers, students)

    def _rows(self, table: str, protocol: str) -> list[Mapping[str, object]]:
        """Return the plain rows of one table and protocol that this run stands for."""
        entries = (e for e in self._entries.values() if e.protocol == protocol)
        return [row for entry in entries for row in entry.rows.get(table, [])]

    async def keep_alive(self) -> None:
        """Show a sign of life every few seconds, until cancelled."""
        while True:
            await asyncio.sleep(HEARTBEAT_SECONDS)
            self.state.write()


def _key(entry: Entry) -> tuple[str, str, str]:
    return entry.stage, entry.protocol, entry.name


def _is_broken(entry: Entry) -> bool:
    """Tell a failure of the run (exit 4) from a scan that was set aside (exit 3).

    Without a teacher or student a whole protocol is left undone, whatever the reason.
    """
    if entry.ok:
        return False
    ours = entry.digest == "" and entry.code not in GIVEN_UP
    return ours or entry.stage in ("teacher", "student")


def _by_table(rows: Sequence[Row]) -> dict[str, list[dict[str, object]]]:
    found: dict[str, list[dict[str, object]]] = {}
    for row in rows:
        found.setdefault(row.table, []).append(row_to_plain(row))
    return found


def _failure(unit: Unit, outcome: Outcome, on_failure: FailureRows | None) -> Result:
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


def _timing(outcome: Outcome) -> TimingRow:
    return TimingRow(
        stage=outcome.stage,
        unit=outcome.name,
        seconds=outcome.seconds,
        peak_bytes=outcome.peak_bytes,
        node=outcome.node,
        device=outcome.device,
        attempts=outcome.attempts,
    )
