"""Whose run it is: one driver at a time works on a run, a later one takes it over from an earlier one.

Every driver claims the run with a number higher than any before it. Only who holds the last claim writes: an earlier
one notices at its next sign of life, ends what it has under way and says that it has stopped; only then, or once
it has been silent for long, the later one begins. Signs of life are counted, not timed, so that neither
clocks that differ between machines nor one that is set back can make a dead driver live or a living one dead.
"""

import contextlib
import json
import os
import platform
import time
from collections.abc import Callable
from typing import Any

from somray.domain.run import RunLayout
from somray.errors import StoreError
from somray.io.storage import Storage

__all__ = [
    "BEAT_SECONDS", "SILENCE_SECONDS", "claim_run", "holds_claim", "is_alive", "looks_alive", "taken_over",
    "wait_for_end",
]  # fmt: skip

BEAT_SECONDS = 5.0
"""Between two signs of life of a driver."""
SILENCE_SECONDS = 180.0
"""Without a sign of life a driver on another machine counts as gone."""
POLL_SECONDS = 0.5

State = dict[str, Any]  # Any: JSON


def _read(storage: Storage, name: str) -> State:
    try:
        return dict(json.loads(storage.read_text(name)))
    except (FileNotFoundError, ValueError, TypeError):
        return {}


def claim_run(storage: Storage, owner: str) -> int:
    """Claim a run for a driver; return its number, higher than those of all drivers before."""
    before = (_read(storage, name).get("attempt", 0) for name in (RunLayout.state, RunLayout.claim))
    attempt = 1 + max(map(int, before))
    storage.write_text(RunLayout.claim, json.dumps({"attempt": attempt, "owner": owner}))
    return attempt


def holds_claim(storage: Storage, owner: str) -> bool:
    """Whether no other driver has claimed a run since."""
    return bool(_read(storage, RunLayout.claim).get("owner", owner) == owner)


def is_alive(state: State) -> bool | None:
    """Tell whether the driver that wrote a state still works; None where one look cannot tell.

    Args:
        state: what stands in the run's state.
    """
    if state.get("state") != "running":
        return False
    if state.get("host") == platform.node():
        if int(state.get("pid", 0)) == os.getpid():
            return False  # an earlier one of this very process
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(int(state["pid"]), 0)
            return None
        return False
    return None


def wait_for_end(storage: Storage, owner: str, silence: float = SILENCE_SECONDS) -> None:
    """Wait until no other driver works on a claimed run.

    Args:
        storage: of the run.
        owner: who claimed it.
        silence: seconds after which a driver that gives no sign of life counts as gone.

    Raises:
        StoreError: another driver has claimed it meanwhile.
    """
    since, beat = time.monotonic(), None
    while True:
        state = _read(storage, RunLayout.state)
        if state.get("owner") == owner or is_alive(state) is False:
            return
        if not holds_claim(storage, owner):
            raise taken_over(storage)
        if (now := (state.get("owner"), state.get("beat"))) != beat:
            since, beat = time.monotonic(), now
        if time.monotonic() - since > silence:
            return
        time.sleep(POLL_SECONDS)


def taken_over(storage: Storage) -> StoreError:
    """Make the error of a driver that is no longer wanted."""
    return StoreError(f"{storage.uri()}: another driver has taken over this run; this one stops")


def looks_alive(read: Callable[[], State], seconds: float = 2 * BEAT_SECONDS) -> bool:
    """Tell whether a driver works, by watching it where one look cannot tell.

    Args:
        read: reads the run's state.
        seconds: to watch at most.
    """
    first = read()
    known = is_alive(first)
    if known is not None:
        return known
    if 0 <= time.time() - float(first.get("heartbeat", 0.0)) < 2 * BEAT_SECONDS:
        return True
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        time.sleep(POLL_SECONDS)
        now = read()
        if (now.get("owner"), now.get("beat")) != (first.get("owner"), first.get("beat")):
            return now.get("state") == "running"
    return False
