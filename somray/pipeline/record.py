"""The record of a run: which units are due, what they gave, and what the tables show of it.

The driver alone writes here. A unit's table parts are written first and its ledger entry last.
"""

import asyncio
import contextlib
import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from somray.domain.tables import Row
from somray.domain.teacher import TeacherModel
from somray.domain.work import GIVEN_UP, Executor, Outcome, StageFunction, Unit
from somray.errors import StoreError
from somray.io import leftovers, models
from somray.io.ledger import Entry, Ledger, entry_of
from somray.io.ome.marks import group_attributes, is_complete
from somray.io.storage import Storage
from somray.io.tables import row_to_plain
from somray.pipeline.run_state import Progress, RunState
from somray.pipeline.run_tables import RunTables, failure_result, plain_rows, timing_row
from somray.pipeline.stages import STAGES
from somray.pipeline.units.kept import PRETRAINING, finetuned, pretrained
from somray.runtime.threads import StorageThreads

__all__ = ["FailureRows", "Record", "RunRecord"]

READ_AT_ONCE = 1024
Key = tuple[str, str, str]
MODELS = "teacher", "student", "pretrain"
"""Stages that leave a protocol's models."""
FailureRows = Callable[[Outcome], Sequence[Row]]


class Record:
    """What the walk asks of a run; by itself a record of none: all stands that is asked for, nothing is kept."""

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

        `shared` is as `Executor.share` returned it, `actor` names the actor that runs it (None for a task), and
        `on_failure` makes further rows for a unit that failed.

        Raises:
            StoreError: storage failed; the run stops.
        """
        raise NotImplementedError

    async def renew(self, function: StageFunction, unit: Unit) -> None:
        """Keep what a unit gave before, where a look shows that it would give the same again.

        The function tells what the unit would tell, but changes nothing; the unit is due by its digest, perhaps for
        no reason but a file's time.
        """

    async def retell(self, entry: Entry, table: str, **columns: object) -> None:
        """Correct what a unit's rows say of the manifest."""

    async def is_due(self, unit: Unit) -> bool:
        """Whether a unit would be run."""
        return False

    async def replace(self, entry: Entry, code: str, message: str, rows: Sequence[Row]) -> None:
        """Turn a done unit into a failed one after the fact (a duplicate is known only by comparison)."""

    async def forget(self, entry: Entry) -> None:
        """Make a unit due again whose result is gone."""

    async def has_scan(self, name: str) -> bool:
        """Whether a scan's group stands complete."""
        return True

    async def has_group(self, name: str) -> bool:
        """Whether there is a group for a scan, complete or not."""
        return True

    async def remove(self, name: str) -> None:
        """Remove a scan's group, or what a finished unit kept while under way."""

    async def teacher(self, protocol: str) -> TeacherModel:
        """Return the teacher that a unit has fitted."""
        raise NotImplementedError

    async def student(self, protocol: str) -> Any:  # Any: only the executor's workers look inside
        """Return the student that a unit has trained."""


class RunRecord(Record):
    """The record of one run while its driver works on it; see `Record`.

    An older driver that still works on the run will notice this one and stop.

    Storage is never waited for on the event loop: what one unit reads and writes goes to a thread, one after the
    other, that of different units side by side.
    """

    def __init__(
        self, storage: Storage, executor: Executor, progress: Progress | None = None
    ) -> None:
        self.state = RunState(storage, progress)
        self._storage = storage
        self._ledger = Ledger(storage)
        self._tables = RunTables(storage, self._ledger)
        self._executor = executor
        self._threads = StorageThreads()
        self._ended: dict[Key, bool] = {}
        self._changed: set[str] = set()
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
        is_new = self._ledger.is_new(unit)
        entry: Entry | None = None if is_new else await self._off(self._found, unit)
        if entry is None or entry.digest != unit.digest:
            if wiped := STAGES[unit.stage].wipes(unit):
                await self._off(self._wipe, unit.protocol, wiped)
            outcome = await self._executor.submit(function, unit, shared, actor)
            if outcome.code == "storage":
                raise StoreError(outcome.message or "storage failed")
            self.executed += 1
            self._changed.add(unit.stage)
            made: Entry = await self._off(self._record, unit, outcome, on_failure, entry)
            entry = made
        counts["left"] -= 1
        counts["done" if entry.ok else "failed"] += 1
        self.broken += _is_broken(entry)
        self._ended[_key(entry)] = entry.ok
        return entry

    async def _off(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Wait for a thread to do what touches storage.

        Raises:
            SomrayError: why this driver must stop, where that is known.
        """
        if self.state.fault is not None:
            raise self.state.fault
        # What a unit gave is written even where the run is stopped meanwhile: see `close`.
        return await asyncio.shield(asyncio.wrap_future(self._threads.submit(function, *arguments)))

    async def renew(self, function: StageFunction, unit: Unit) -> None:
        """Keep what a unit gave before, where a look shows that it would give the same again."""
        entry = await self._off(self._ledger.find, unit)
        if entry is None or entry.digest == unit.digest or not entry.value:
            return
        seen = (await self._executor.submit(function, unit)).result
        if seen is None or dict(seen.value) != entry.value:
            return
        told = {table: [row_to_plain(row) for row in rows] for table, rows in seen.rows.items()}
        rows = {**entry.rows, **told} if entry.ok else entry.rows
        await self._change(entry, dataclasses.replace(entry, digest=unit.digest, rows=rows))

    async def retell(self, entry: Entry, table: str, **columns: object) -> None:
        """Correct what a unit's rows say of the manifest."""
        rows = [{**row, **columns} for row in entry.rows.get(table, ())]
        if rows:
            after = dataclasses.replace(entry, rows={**entry.rows, table: rows})
            await self._change(entry, after)

    async def _change(self, before: Entry, after: Entry) -> None:
        """Write an entry anew, and its rows where they differ."""
        if after.rows != before.rows:
            self.executed += 1
            await self._off(self._tables.replace, before, after)
        if after != before:
            await self._off(self._ledger.put, after)

    async def is_due(self, unit: Unit) -> bool:
        """Whether a unit would be run."""
        entry = await self._off(self._found, unit)
        return entry is None or entry.digest != unit.digest

    def _found(self, unit: Unit) -> Entry | None:
        """Return what is known of a unit; nothing where the model that it left was cleared away."""
        entry = self._ledger.find(unit)
        if entry is None or "digest" not in entry.value or unit.stage not in MODELS[:2]:
            return entry
        return entry if unit.stage in models.read_model_info(self._storage, unit.protocol) else None

    def _wipe(self, protocol: str, wiped: Sequence[tuple[str, str]]) -> None:
        """Forget the units whose results another one destroys, before it touches the first byte."""
        for stage, family in wiped:
            for gone in self._ledger.family(stage, protocol, family):
                self._tables.drop(gone)
                self._ledger.remove(gone)

    def _record(
        self, unit: Unit, outcome: Outcome, on_failure: FailureRows | None, before: Entry | None
    ) -> Entry:
        """Write parts, then the mark."""
        result = outcome.result or failure_result(unit, outcome, on_failure)
        rows = {**result.rows, "timings": [timing_row(outcome)]}
        entry = entry_of(unit, outcome, dataclasses.replace(result, rows=rows))
        if not entry.ok and (not outcome.is_data_error or outcome.code in GIVEN_UP):
            entry = dataclasses.replace(entry, digest="")  # to be tried again by the next run
        self._tables.replace(before, entry)
        self._ledger.put(entry)
        return entry

    async def replace(self, entry: Entry, code: str, message: str, rows: Sequence[Row]) -> None:
        """Turn a done unit into a failed one after the fact."""
        told = {**plain_rows(rows), "timings": entry.rows.get("timings", [])}
        changed = dataclasses.replace(entry, code=code, message=message, rows=told)
        if entry.ok:
            self.state.counts[entry.stage]["done"] -= 1
            self.state.counts[entry.stage]["failed"] += 1
        await self._change(entry, changed)
        self._ended[_key(entry)] = False

    async def forget(self, entry: Entry) -> None:
        """Make a unit due again whose result is gone."""
        await self._off(self._tables.drop, entry)
        await self._off(self._ledger.remove, entry)
        self.state.counts[entry.stage]["done" if entry.ok else "failed"] -= 1

    # -- what units left in storage --------------------------------------------------------------

    async def has_scan(self, name: str) -> bool:
        """Whether a scan's group stands complete."""
        return bool(await self._off(is_complete, self._storage, name))

    async def has_group(self, name: str) -> bool:
        """Whether there is a group for a scan, complete or not."""
        return await self._off(group_attributes, self._storage, name) is not None

    async def remove(self, name: str) -> None:
        """Remove a scan's group, or what a finished unit kept while under way."""
        await self._off(self._storage.remove, name)

    async def teacher(self, protocol: str) -> TeacherModel:
        """Read the teacher that a unit has fitted."""
        return await self._off(models.read_teacher, self._storage, protocol)  # type: ignore[no-any-return]

    async def student(self, protocol: str) -> Any:  # Any: only the executor's workers look inside
        """Read the student that a unit has trained."""
        return await self._off(models.read_student, self._storage, protocol)

    # -- the end ---------------------------------------------------------------------------------

    def finish(self, protocols: Iterable[str]) -> None:
        """Drop what no longer belongs to the run and write every table as one sorted file a protocol."""
        self.state.write()  # the report reads it: nothing but itself is left
        self._ended.update(pretrained(self._ledger, self._ended))
        self._ended.update(finetuned(self._ledger, self._ended))
        stale = [key for key in self._ledger.units() if key not in self._ended]
        self._tables.finish(protocols, self._entries, anew=bool(stale))
        leftovers.remove_all_but(self._storage, [key for key, ok in self._ended.items() if ok])
        if self.executed and not self.state.was_done:  # it looks at every file
            leftovers.remove_partial(self._storage)
        for key in stale:
            self._ledger.drop(*key)
        self.dropped = len(stale)

    def finish_part(self, *, awaited: bool) -> dict[str, object]:
        """End a walk that pretrained alone: drop and sort nothing, and say how the run stands.

        A run that was done stays so where nothing but the pretraining was done now, and no student waits for it
        (`awaited`); else the rest is left for a run.
        """
        allowed = set() if awaited else set(PRETRAINING)
        if self.state.was_done and self._changed <= allowed:
            self.state.carry_over()
            return self.state.write("done")
        return self.state.write("stopped")

    def _entries(self, protocol: str) -> Iterator[Entry]:
        """Read what this run stands for of one protocol, many files at once, a few of them held."""
        mine = [key for key in self._ended if key[1] == protocol]
        for start in range(0, len(mine), READ_AT_ONCE):
            some = mine[start : start + READ_AT_ONCE]
            found = self._threads.map(lambda key: self._ledger.read(*key), some)
            yield from (entry for entry in found if entry is not None)

    @contextlib.contextmanager
    def driving(self) -> Iterator[None]:
        """Drive the run; where that fails, give it up last: another driver may wait for it."""
        try:
            self.state.begin()
            yield
        except BaseException:
            self._executor.close()
            self.close()
            self.state.give_up()
            raise
        finally:
            self.close()

    def close(self) -> None:
        """Wait until what is being written is written, and end the threads."""
        self._threads.shutdown()


def _key(entry: Entry) -> Key:
    return entry.stage, entry.protocol, entry.name


def _is_broken(entry: Entry) -> bool:
    """Tell a failure of the run (exit 4) from a scan that was set aside (exit 3).

    Without a teacher or student a whole protocol is left undone, whatever the reason.
    """
    if entry.ok:
        return False
    ours = entry.digest == "" and entry.code not in GIVEN_UP
    return ours or entry.stage in MODELS
