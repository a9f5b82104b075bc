"""A later driver takes a run over from an earlier one that still works; the result is the undisturbed one's."""

import json
import threading

import pytest

from somray.domain.run import RunLayout
from somray.errors import StoreError
from somray.io import drivers
from somray.io.status import read_status
from somray.io.storage import Storage
from somray.pipeline import run_state
from somray.runtime.serial import SerialExecutor
from tests.pipeline.same import differences
from tests.pipeline.tiny import body, run_tiny, save, write_manifest


class Paused(SerialExecutor):
    """Waits before its n-th unit until it is let go, or told to end."""

    def __init__(self, units):
        self.left, self.reached, self.go_on = units, threading.Event(), threading.Event()

    async def submit(self, function, unit, shared=None, actor=None):
        self.left -= 1
        if self.left == 0:
            self.reached.set()
            self.go_on.wait(60)
        return await super().submit(function, unit, shared, actor)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(drivers, "POLL_SECONDS", 0.05)
    monkeypatch.setattr(run_state, "STATE_SECONDS", 0.05)
    monkeypatch.setattr(run_state, "BEAT_SECONDS", 0.1)
    monkeypatch.setattr(run_state, "WATCH_SECONDS", 0.01)
    # both drivers live in this process here, so that its number says nothing
    monkeypatch.setattr(
        drivers, "is_alive", lambda s: None if s.get("state") == "running" else False
    )
    monkeypatch.setattr(run_state, "is_alive", drivers.is_alive)
    for n in range(2):
        save(tmp_path / f"{n}.nii", body(seed=n))
    write_manifest(tmp_path, [(f"s{n}", "t0", "p", f"{n}.nii") for n in range(2)])
    return tmp_path


def test_the_earlier_driver_ends_before_the_later_one_begins(folder):
    run_tiny(folder)
    (folder / "run").rename(folder / "calm")
    first, told, begun = Paused(5), [], threading.Event()

    def early():
        try:
            run_tiny(folder, first)
        except StoreError as error:
            told.append(str(error))

    class Later(SerialExecutor):
        async def submit(self, function, unit, shared=None, actor=None):
            assert told, "the earlier driver has not ended"
            begun.set()
            return await super().submit(function, unit, shared, actor)

    earlier = threading.Thread(target=early)
    earlier.start()
    first.reached.wait(60)
    later = threading.Thread(target=lambda: run_tiny(folder, Later()))
    later.start()
    first.go_on.set()
    earlier.join()
    later.join()
    assert "taken over" in told[0]
    assert begun.is_set()
    found = read_status(str(folder / "run"))
    assert (found["state"], found["left"], found["attempt"]) == ("done", 0, 2)
    assert differences(folder / "calm", folder / "run") == []


def test_left_is_the_sum_of_its_stages_from_the_first_moment_to_the_last(folder):
    storage, seen = Storage.at(folder / "run"), []

    class Looking(SerialExecutor):
        async def submit(self, function, unit, shared=None, actor=None):
            seen.append(json.loads(storage.read_text(RunLayout.state)))
            return await super().submit(function, unit, shared, actor)

    run_tiny(folder, Looking(), lambda root: seen.append(read_status(root)))
    assert all(state["left"] == sum(s["left"] for s in state["stages"]) > 0 for state in seen)
    assert read_status(str(folder / "run"))["left"] == 0
