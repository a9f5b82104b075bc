"""Bookkeeping of a run: which units are due, what they gave, and what the tables show of it.

The driver alone writes here. A unit's table parts are written first and its ledger entry last; at the end
the tables are written anew from the ledger, sorted, so that their bytes do not depend on the order in
which units ended.
"""

import asyncio
import contextlib
import dataclasses
import json
import os
import platform
import secrets
import time
from collections.abc import Callable, Iterable, Sequence

from somray.domain.run import RunLayout
from somray.domain.tables import TABLES, FailureRow, Row, TimingRow
from somray.domain.work import Executor, Outcome, Result, StageFunction, Unit
from somray.errors import StoreError
from somray.io.ledger import Entry, Ledger, entry_of, plain_rows
from somray.io.storage import Storage
from somray.io.tables import COMPACTED, compact, row_to_plain, write_part

__all__ = ["STAGES", "Book", "FailureRows", "Progress"]

STAGES = (
    "ingest", "register", "teacher", "student", "open", "som", "drift", "segment", "close",
    "objects", "calls", "evolve", "residuals", "publish", "truth",
)  # fmt: skip
"""Every stage of a run in the order that `status` shows."""

HEARTBEAT_SECONDS = 15.0
STATE_SECONDS = 1.0  # least time between two writes of the run's state
Progress = Callable[[Sequence[dict[str, object]]], None]
FailureRows = Callable[[Outcome], Sequence[Row]]


class Book:
    """The state of one run while its driver works on it."""

    def __init__(
        self, storage: Storage, executor: Executor, progress: Progress | None = None
    ) -> None:
        """Take over the run; an older driver that still works on it will notice and stop."""
        self._storage = storage
        self._ledger = Ledger(storage)
        self._executor = executor
        self._progress = progress
        self._owner = secrets.token_hex(8)
        self._counts = {stage: {"done": 0, "left": 0, "failed": 0} for stage in STAGES}
        self._entries: dict[tuple[str, str, str], Entry] = {}
        self._opened = False
        self._wrote_state = 0.0
        self.executed = 0
        self.broken = 0
        self._write_state("running", force=True, take_over=True)

    # -- units -----------------------------------------------------------------------------------

    async def do(
        self,
        function: StageFunction,
        unit: Unit,
        *,
        shared: object = None,
        actor: str | None = None,
        on_failure: FailureRows | None = None,
        invalidates: Sequence[tuple[str, str]] = (),
    ) -> Entry:
        """Run a unit unless the ledger knows it is done; record how it ended.

        Args:
            function: the stage function.
            unit: what to do.
            shared: as `Executor.share` returned it.
            actor: name of the actor that runs it; None for a task.
            on_failure: further rows for a unit that failed.
            invalidates: (stage, name) of units whose results this one wipes when it runs; a name
                stands for all that extend it with "+".

        Raises:
            StoreError: storage failed; the run stops.
        """
        counts = self._counts[unit.stage]
        counts["left"] += 1
        entry = self._ledger.find(unit)
        if entry is None:
            self._reopen()
            for stage, family in invalidates:
                self._ledger.remove_family(stage, unit.protocol, family)
            outcome = await self._executor.submit(function, unit, shared, actor)
            entry = self._record(unit, outcome, on_failure)
        counts["left"] -= 1
        counts["done" if entry.ok else "failed"] += 1
        self.broken += _is_broken(entry)
        self._entries[(entry.stage, entry.protocol, entry.name)] = entry
        self._write_state("running")
        return entry

    def _record(self, unit: Unit, outcome: Outcome, on_failure: FailureRows | None) -> Entry:
        """Write parts, then the mark."""
        if outcome.code == "storage":
            raise StoreError(outcome.message or "storage failed")
        self.executed += 1
        if not outcome.ok:
            outcome = dataclasses.replace(outcome, result=_failure(unit, outcome, on_failure))
        rows = plain_rows(outcome)
        rows["timings"] = [row_to_plain(_timing(outcome))]
        entry = entry_of(unit, outcome, rows)
        if not entry.ok and (not outcome.is_data_error or outcome.code == "worker_died"):
            entry = dataclasses.replace(entry, digest="")  # to be tried again by the next run
        self._publish(entry)
        return entry

    def _publish(self, entry: Entry) -> None:
        for table, rows in entry.rows.items():
            write_part(self._storage, table, entry.protocol, f"{entry.stage}-{entry.name}", rows)
        self._ledger.put(entry)

    def replace(self, entry: Entry, code: str, message: str, rows: Sequence[Row]) -> None:
        """Turn a done unit into a failed one after the fact (a duplicate is known only by comparison)."""
        changed = dataclasses.replace(
            entry,
            code=code,
            message=message,
            rows={
                **{table: [] for table in entry.rows},
                **_by_table(rows),
                "timings": entry.rows.get("timings", []),
            },
        )
        counts = self._counts[entry.stage]
        if entry.ok:
            counts["done"] -= 1
            counts["failed"] += 1
        if changed != entry:
            self._reopen()
            self._publish(changed)
        self._entries[(entry.stage, entry.protocol, entry.name)] = changed

    def forget(self, entry: Entry) -> None:
        """Make a unit due again whose result is gone."""
        self._ledger.remove(entry)
        counts = self._counts[entry.stage]
        counts["done" if entry.ok else "failed"] -= 1

    # -- tables ----------------------------------------------------------------------------------

    def _reopen(self) -> None:
        """Before the first change, turn the compacted tables of an earlier run back into parts."""
        if self._opened:
            return
        self._opened = True
        compacted = [
            f"{RunLayout.partition(table, protocol.removeprefix('protocol='))}/{COMPACTED}.parquet"
            for table in TABLES
            for protocol in self._storage.names(RunLayout.table(table))
        ]
        present = [name for name in compacted if self._storage.exists(name)]
        for name in present:
            self._storage.remove(name)
        if present:
            for entry in self._ledger.entries():
                for table, rows in entry.rows.items():
                    part = f"{entry.stage}-{entry.name}"
                    write_part(self._storage, table, entry.protocol, part, rows)

    def finish(self, protocols: Iterable[str]) -> None:
        """Drop what no longer belongs to the run and write every table as one sorted file a protocol."""
        self._write_state("running", force=True)  # the report reads it: nothing but itself is left
        names = list(protocols)
        stale = [e for e in self._ledger.entries() if self._key(e) not in self._entries]
        for entry in stale:
            self._ledger.remove(entry)
        if not (self._opened or stale or self._missing_table(names)):
            return
        for table in TABLES:
            for folder in self._storage.names(RunLayout.table(table)):
                if folder.removeprefix("protocol=") not in names:
                    self._storage.remove(f"{RunLayout.table(table)}/{folder}")
            for protocol in names:
                compact(self._storage, table, protocol, self.rows(table, protocol))

    def _missing_table(self, protocols: list[str]) -> bool:
        return any(
            not self._storage.exists(f"{RunLayout.partition(table, p)}/{COMPACTED}.parquet")
            for table in TABLES
            for p in protocols
        )

    @staticmethod
    def _key(entry: Entry) -> tuple[str, str, str]:
        return entry.stage, entry.protocol, entry.name

    def rows(self, table: str, protocol: str) -> list[dict[str, object]]:
        """Return the plain rows of one table and protocol that this run stands for."""
        return [
            dict(row)
            for entry in self._entries.values()
            if entry.protocol == protocol
            for row in entry.rows.get(table, [])
        ]

    # -- state -----------------------------------------------------------------------------------

    @property
    def failed(self) -> int:
        """Quarantined scans and failed units so far."""
        return sum(c["failed"] for c in self._counts.values())

    def summary(self, state: str) -> dict[str, object]:
        """Return what `status --json` shows."""
        stages = [{"stage": stage, **self._counts[stage]} for stage in STAGES]
        left = sum(c["left"] for c in self._counts.values())
        unfinished = 0 if state == "done" else 1  # tables and report still stand out
        return {
            "state": state,
            "left": left + unfinished,
            "failed": self.failed,
            "stages": stages,
        }

    def close(self, state: str) -> dict[str, object]:
        """Write the final state (`done` or `stopped`) and return it."""
        return self._write_state(state, force=True)

    async def keep_alive(self) -> None:
        """Show a sign of life every few seconds, until cancelled."""
        while True:
            await asyncio.sleep(HEARTBEAT_SECONDS)
            self._write_state("running", force=True)

    def give_up(self) -> None:
        """Say that the run stopped, unless another driver works on it."""
        with contextlib.suppress(StoreError):
            self._write_state("stopped", force=True)

    def _write_state(
        self, state: str, force: bool = False, take_over: bool = False
    ) -> dict[str, object]:
        summary = self.summary(state)
        now = time.time()
        if not force and now - self._wrote_state < STATE_SECONDS:
            return summary
        self._wrote_state = now
        if not take_over:
            self._still_ours()
        facts = {
            **summary,
            "owner": self._owner,
            "pid": os.getpid(),
            "host": platform.node(),
            "heartbeat": now,
        }
        self._storage.write_text(RunLayout.state, json.dumps(facts))
        if self._progress is not None:
            self._progress(summary["stages"])  # type: ignore[arg-type]  # built above
        return summary

    def _still_ours(self) -> None:
        """Stop if a later driver has taken the run over."""
        try:
            owner = json.loads(self._storage.read_text(RunLayout.state)).get("owner")
        except (FileNotFoundError, ValueError):
            return
        if owner != self._owner:
            raise StoreError(
                f"{self._storage.uri()}: another driver has taken over this run; this one stops"
            )


def _is_broken(entry: Entry) -> bool:
    """Tell a failure of the run (exit 4) from a scan that was set aside (exit 3).

    Without a teacher or student a whole protocol is left undone, whatever the reason.
    """
    if entry.ok:
        return False
    ours = entry.digest == "" and entry.code != "worker_died"
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
