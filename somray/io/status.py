"""How far a run is, when it will end, and what could not be done, from storage alone."""

import json
import time
from datetime import UTC, datetime
from typing import Any

from somray.domain.run import RunLayout
from somray.errors import REMEDIES, StoreError
from somray.io.drivers import looks_alive
from somray.io.storage import Storage

__all__ = [
    "count_scans",
    "read_failures",
    "read_notes",
    "read_state",
    "read_status",
    "write_forecast",
]

FRESH_SECONDS = 300.0
"""An older forecast than this is no longer told: its driver writes one every minute, where it has one."""


def read_status(location: str) -> dict[str, Any]:
    """Return the object of `status --json`.

    A driver that wrote "running" but is gone is reported as stopped: its process is gone from this machine, or it
    gives no sign of life. Where its clock or this machine's makes that doubtful, it is watched for some seconds.
    `end` is when a running run expects to be done, as its driver told in the last minutes; null where it does not know.

    Raises:
        StoreError: nothing there is a run.
    """
    storage = Storage.at(location)
    found = read_state(storage)
    if not found and not storage.exists(RunLayout.info):
        raise StoreError(f"{location}: no run of somray (there is no {RunLayout.info})")
    if not found and "somray" not in _json(storage, RunLayout.info):
        raise StoreError(f"{location}: its {RunLayout.info} is not somray's")
    state = found.get("state", "stopped")
    if state == "running" and not looks_alive(lambda: read_state(storage)):
        state = "stopped"
    stages = list(found.get("stages", []))
    return {
        "state": state,
        "left": sum(int(stage["left"]) for stage in stages) if stages else 1,
        "failed": int(found.get("failed", 0)),
        "stages": stages,
        "attempt": int(found.get("attempt", 1)),
        "end": _end(storage) if state == "running" else None,
    }


def read_state(storage: Storage) -> dict[str, Any]:
    """Return a run's progress as its driver wrote it last; {} where none ever did."""
    return _json(storage, RunLayout.state)


def _json(storage: Storage, name: str) -> dict[str, Any]:
    try:
        return dict(json.loads(storage.read_text(name)))
    except (FileNotFoundError, ValueError, TypeError):
        return {}


def write_forecast(storage: Storage, seconds_left: float | None) -> None:
    """Tell when a run expects to be done, by this machine's clock.

    Raises:
        StoreError: storage failed.
    """
    now = time.time()
    end = None if seconds_left is None else now + seconds_left
    storage.write_text(RunLayout.forecast, json.dumps({"told": now, "end": end}))


def _end(storage: Storage) -> dict[str, Any] | None:
    """Return when a run expects to be done: `time` (ISO 8601, UTC) and `seconds` from now."""
    found, now = _json(storage, RunLayout.forecast), time.time()
    end = found.get("end")
    if end is None or not -FRESH_SECONDS < now - float(found["told"]) < FRESH_SECONDS:
        return None
    when = datetime.fromtimestamp(float(end), UTC).isoformat(timespec="seconds")
    return {"time": when, "seconds": max(0, round(float(end) - now))}


def count_scans(location: str) -> dict[str, int]:
    """Count the scans of a finished run: `scans_done`, `scans_set_aside`.

    Raises:
        StoreError: nothing there is a run, or it cannot be read.
    """
    from somray.io.run import open_run

    status = open_run(location).table("scans")["status"]
    done = int((status == "done").sum())
    return {"scans_done": done, "scans_set_aside": len(status) - done}


def read_failures(location: str) -> list[dict[str, Any]]:
    """Return what a run could not do, set-aside scans first.

    Returns:
        Per failure stage, protocol, subject and session (null where it is not of one), code, message, attempts, and
        `remedy`: what a person does about it.

    Raises:
        StoreError: nothing there is a run, or it cannot be read.
    """
    from somray.io.run import open_run

    rows = open_run(location).table("failures").to_dict("records")
    found = [{str(k): None if _is_nan(v) else v for k, v in row.items()} for row in rows]
    return sorted(
        ({**row, "remedy": REMEDIES.get(str(row["code"]), "")} for row in found), key=_scans_first
    )


def read_notes(location: str) -> list[dict[str, Any]]:
    """Return what was assumed, left out or decided on the way; rows of `notes`, [] in runs that have none.

    Raises:
        StoreError: nothing there is a run, or it cannot be read.
    """
    from somray.io.run import open_run

    rows = open_run(location).table("notes").to_dict("records")
    return [{str(key): value for key, value in row.items()} for row in rows]


def _scans_first(row: dict[str, Any]) -> tuple[Any, ...]:
    whose = (str(row[key] or "") for key in ("protocol", "subject", "session"))
    return row["stage"] != "ingest", *whose


def _is_nan(value: object) -> bool:
    return value is None or value != value  # NaN and NaT alone differ from themselves
