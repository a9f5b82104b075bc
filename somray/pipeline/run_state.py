"""The state of a run as its driver tells it: counts per stage, signs of life, and whose run it is."""

import asyncio
import contextlib
import json
import os
import platform
import secrets
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import Any

from somray.domain.run import RunLayout
from somray.errors import SomrayError
from somray.io.drivers import (
    BEAT_SECONDS,
    SILENCE_SECONDS,
    claim_run,
    holds_claim,
    is_alive,
    taken_over,
    wait_for_end,
)
from somray.io.storage import Storage
from somray.pipeline.gather import owned
from somray.pipeline.stages import STAGES

__all__ = ["REPORT", "Progress", "RunState"]

WATCH_SECONDS = 0.5  # between two looks at whether this driver must stop
STATE_SECONDS = 1.0  # between two looks at whether counts have changed
REPORT = "report"
"""What is left when every unit has ended, as a stage of its own: sorted tables and the report."""
Progress = Callable[[Sequence[dict[str, object]]], None]
"""Told of every stage's counts, at most once a second."""


class RunState:
    """How far a run is, for `status`; one driver owns it.

    Claiming the run makes an older driver notice and stop; `progress` is perhaps called by another thread.
    """

    def __init__(self, storage: Storage, progress: Progress | None = None) -> None:
        self._storage = storage
        self._progress = progress
        self._owner = secrets.token_hex(8)
        self._lock = threading.Lock()
        self._beat = 0
        self._told: list[dict[str, object]] = []
        self._begun = False
        self.fault: SomrayError | None = None
        """Why this driver must stop, once that is known."""
        self.counts = {stage: {"done": 0, "left": 0, "failed": 0} for stage in STAGES}
        self.attempt = claim_run(storage, self._owner)
        before = self._found()
        self.was_done = before.get("state") == "done"
        """Whether the run had ended well before this driver came."""
        self._before = list(before.get("stages", ()))
        if is_alive(before) is False:
            self._tell("running")

    async def watched(self, walk: Coroutine[Any, Any, None]) -> None:
        """Walk, and stop as soon as this driver must; what stops it is raised."""

        async def watch() -> None:
            while self.fault is None:
                await asyncio.sleep(WATCH_SECONDS)
            raise self.fault

        watching, walking = asyncio.create_task(watch()), asyncio.create_task(walk)
        async with owned() as tasks:
            tasks.extend((watching, walking))
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            await (walking if walking.done() else watching)
            watching.cancel()

    def _found(self) -> dict[str, Any]:  # Any: JSON
        try:
            return dict(json.loads(self._storage.read_text(RunLayout.state)))
        except (FileNotFoundError, ValueError):
            return {}

    @property
    def failed(self) -> int:
        """Quarantined scans and failed units so far."""
        return sum(c["failed"] for c in self.counts.values())

    def summary(self, state: str) -> dict[str, object]:
        """Return what `status --json` shows."""
        done = int(state == "done")
        last = {"stage": REPORT, "done": done, "left": 1 - done, "failed": 0}
        stages = [*({"stage": stage, **counts} for stage, counts in self.counts.items()), last]
        return {
            "state": state,
            "left": sum(stage["left"] for stage in stages),  # type: ignore[misc]  # built above
            "failed": self.failed,
            "stages": stages,
            "attempt": self.attempt,
        }

    def begin(self, silence: float = SILENCE_SECONDS) -> None:
        """Wait until an older driver has stopped, or has been silent for so many seconds, then take over.

        Raises:
            StoreError: another driver has claimed the run meanwhile, or storage failed.
        """
        wait_for_end(self._storage, self._owner, silence)
        self.write()

    def write(self, state: str = "running") -> dict[str, object]:
        """Write the state (running, stopped, done) and return it.

        Raises:
            StoreError: a later driver has claimed the run, or storage failed.
        """
        if not holds_claim(self._storage, self._owner):
            raise taken_over(self._storage)
        return self._tell(state)

    def carry_over(self) -> None:
        """Take the counts of stages that this driver had nothing to do with from the one before it."""
        for stage in self._before:
            counts = self.counts.get(stage["stage"])
            if counts is not None and not any(counts.values()):
                counts.update({key: int(stage[key]) for key in counts})

    def give_up(self) -> None:
        """Say that this driver has stopped, where it had begun; a later one may wait for that."""
        with contextlib.suppress(SomrayError):
            if self._begun and self._found().get("owner") == self._owner:
                self._tell("stopped")

    def _tell(self, state: str) -> dict[str, object]:
        with self._lock:
            self._begun = True
            self._beat += 1
            summary = self.summary(state)
            facts = {
                **summary,
                "owner": self._owner,
                "pid": os.getpid(),
                "host": platform.node(),
                "heartbeat": time.time(),
                "beat": self._beat,
            }
            self._storage.write_text(RunLayout.state, json.dumps(facts))
            self._told = summary["stages"]  # type: ignore[assignment]  # built above
        if self._progress is not None:
            self._progress(self._told)
        return summary

    @contextlib.contextmanager
    def alive(self) -> Iterator[None]:
        """Show signs of life from a thread of their own, whatever the others wait for; note a fault."""
        end = threading.Event()
        thread = threading.Thread(target=self._live, args=(end,), name="signs-of-life", daemon=True)
        thread.start()
        try:
            yield
        finally:
            end.set()
            thread.join()

    def _live(self, end: threading.Event) -> None:
        last = time.monotonic()
        while not end.wait(STATE_SECONDS):
            now = time.monotonic()
            changed = self.summary("running")["stages"] != self._told
            if not changed and now - last < BEAT_SECONDS:
                continue
            last = now
            try:
                self.write()
            except SomrayError as error:
                self.fault = error
                return
