"""How far a run is and when it will end, as `status` reads it from storage."""

import json
import platform
import time

import pytest

from somray.errors import StoreError
from somray.io import status
from somray.io.status import read_failures, read_status, write_forecast
from somray.io.storage import Storage
from tests.report.small_run import SmallRun


@pytest.fixture
def running(tmp_path):
    """A run whose driver gave a sign of life just now, on another machine."""
    stages = [{"stage": "som", "done": 3, "left": 4, "failed": 1}]
    state = {"state": "running", "stages": stages, "failed": 1, "attempt": 2, "pid": 1, "host": "far",
             "heartbeat": time.time()}  # fmt: skip
    storage = Storage.at(tmp_path)
    storage.write_text("work/state.json", json.dumps(state))
    return storage


def test_a_running_run_tells_when_it_will_end(running):
    write_forecast(running, 720.0)
    found = read_status(running.root)
    assert (found["state"], found["left"], found["failed"], found["attempt"]) == (
        "running",
        4,
        1,
        2,
    )
    assert 715 <= found["end"]["seconds"] <= 720
    assert found["end"]["time"].endswith("+00:00")


def test_nobody_knows_the_end_of_a_run_that_has_not_said_or_has_stopped(running, monkeypatch):
    assert read_status(running.root)["end"] is None
    write_forecast(running, None)
    assert read_status(running.root)["end"] is None
    write_forecast(running, 720.0)
    monkeypatch.setattr(status, "looks_alive", lambda read: False)
    assert read_status(running.root)["state"] == "stopped"
    assert read_status(running.root)["end"] is None


def test_an_old_forecast_is_none(running, monkeypatch):
    write_forecast(running, 7200.0)
    now = time.time()
    monkeypatch.setattr(status.time, "time", lambda: now + 600)
    assert read_status(running.root)["end"] is None


def test_what_is_no_run_is_refused(tmp_path):
    with pytest.raises(StoreError, match=r"no run of somray \(there is no run\.json\)"):
        read_status(str(tmp_path))
    (tmp_path / "run.json").write_text('{"name": "another program"}')
    with pytest.raises(StoreError, match="not somray's"):
        read_status(str(tmp_path))


def test_a_process_of_this_machine_that_is_gone_has_stopped(running):
    state = json.loads(running.read_text("work/state.json"))
    gone = {"host": platform.node(), "pid": 2**22 - 1}
    running.write_text("work/state.json", json.dumps({**state, **gone}))
    assert read_status(running.root)["state"] == "stopped"


def test_failures_come_scans_first_with_what_to_do(tmp_path):
    from somray.domain.tables import FailureRow

    rows = [
        FailureRow(subject=None, session=None, stage="student", code="worker_died", message="it died", attempts=3),
        FailureRow(subject="s2", session="t0", stage="ingest", code="missing", message="b.nii: gone", attempts=1),
    ]  # fmt: skip
    run = SmallRun(tmp_path)
    run.rows("failures", "p", rows)
    (tmp_path / "run.json").write_text('{"somray": "0"}')
    first, last = read_failures(str(tmp_path))
    assert (first["subject"], first["code"], first["protocol"]) == ("s2", "missing", "p")
    assert "correct the path" in first["remedy"]
    assert (last["subject"], last["stage"]) == (None, "student")
