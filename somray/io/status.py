"""How far a run is, from storage alone."""

import contextlib
import os
import platform
import time
from typing import Any

from somray.io.run import open_run

__all__ = ["read_status"]

SILENCE_SECONDS = 180.0  # without a sign of life from another machine a driver counts as gone


def read_status(location: str) -> dict[str, Any]:
    """Return the object of `status --json`.

    A driver that wrote "running" but is gone (its process on this machine, or its heartbeat elsewhere)
    is reported as stopped.

    Raises:
        StoreError: nothing there is a run.
    """
    found = open_run(location).state()
    state = found.get("state", "stopped")
    if state == "running" and not _alive(found):
        state = "stopped"
    return {
        "state": state,
        "left": int(found.get("left", 1)),
        "failed": int(found.get("failed", 0)),
        "stages": list(found.get("stages", [])),
    }


def _alive(found: dict[str, Any]) -> bool:
    if found.get("host") == platform.node():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(int(found["pid"]), 0)
            return True
        return False
    return time.time() - float(found.get("heartbeat", 0.0)) < SILENCE_SECONDS
