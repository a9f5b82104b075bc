"""How far a run is, from storage alone."""

from typing import Any

from somray.io.drivers import looks_alive
from somray.io.run import open_run

__all__ = ["read_status"]


def read_status(location: str) -> dict[str, Any]:
    """Return the object of `status --json`.

    A driver that wrote "running" but is gone is reported as stopped: its process is gone from this machine, or it
    gives no sign of life. Where its clock or this machine's makes that doubtful, it is watched for some seconds.

    Raises:
        StoreError: nothing there is a run.
    """
    run = open_run(location)
    found = run.state()
    state = found.get("state", "stopped")
    if state == "running" and not looks_alive(run.state):
        state = "stopped"
    stages = list(found.get("stages", []))
    return {
        "state": state,
        "left": sum(int(stage["left"]) for stage in stages) if stages else 1,
        "failed": int(found.get("failed", 0)),
        "stages": stages,
        "attempt": int(found.get("attempt", 1)),
    }
