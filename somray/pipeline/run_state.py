"""The state of a run as its driver tells it: counts per stage, a sign of life, and whose run it is."""

import contextlib
import json
import os
import platform
import secrets
import time
from collections.abc import Callable, Sequence

from somray.domain.run import RunLayout
from somray.errors import StoreError
from somray.io.storage import Storage
from somray.pipeline.stages import STAGES

__all__ = ["Progress", "RunState"]

STATE_SECONDS = 1.0  # least time between two writes of the run's state
Progress = Callable[[Sequence[dict[str, object]]], None]


class RunState:
    """How far a run is, for `status`; one driver owns it.

    Args:
        storage: the run; taking it over makes an older driver notice and stop.
        progress: told of every stage's counts, at most once a second.
    """

    def __init__(self, storage: Storage, progress: Progress | None = None) -> None:
        self._storage = storage
        self._progress = progress
        self._owner = secrets.token_hex(8)
        self._written = 0.0
        self.counts = {stage: {"done": 0, "left": 0, "failed": 0} for stage in STAGES}
        self._tell("running")

    @property
    def failed(self) -> int:
        """Quarantined scans and failed units so far."""
        return sum(c["failed"] for c in self.counts.values())

    def summary(self, state: str) -> dict[str, object]:
        """Return what `status --json` shows."""
        left = sum(c["left"] for c in self.counts.values())
        unfinished = 0 if state == "done" else 1  # tables and report still stand out
        return {
            "state": state,
            "left": left + unfinished,
            "failed": self.failed,
            "stages": [{"stage": stage, **counts} for stage, counts in self.counts.items()],
        }

    def write(self, state: str = "running", *, force: bool = True) -> dict[str, object]:
        """Write the state (running, stopped, done) and return it; unless forced, once a second at most.

        Raises:
            StoreError: a later driver has taken the run over, or storage failed.
        """
        if not force and time.time() - self._written < STATE_SECONDS:
            return self.summary(state)
        try:
            owner = json.loads(self._storage.read_text(RunLayout.state)).get("owner")
        except (FileNotFoundError, ValueError):
            owner = self._owner
        if owner != self._owner:
            raise StoreError(
                f"{self._storage.uri()}: another driver has taken over this run; this one stops"
            )
        return self._tell(state)

    def give_up(self) -> None:
        """Say that the run stopped, unless another driver works on it."""
        with contextlib.suppress(StoreError):
            self.write("stopped")

    def _tell(self, state: str) -> dict[str, object]:
        summary = self.summary(state)
        self._written = time.time()
        facts = {
            **summary,
            "owner": self._owner,
            "pid": os.getpid(),
            "host": platform.node(),
            "heartbeat": self._written,
        }
        self._storage.write_text(RunLayout.state, json.dumps(facts))
        if self._progress is not None:
            self._progress(summary["stages"])  # type: ignore[arg-type]  # built above
        return summary
