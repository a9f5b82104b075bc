"""Two drivers on one run, and clocks that lie."""

import json
import threading
import time

import pytest

from somray.domain.run import RunLayout
from somray.errors import StoreError
from somray.io import drivers
from somray.io.drivers import claim_run, holds_claim, is_alive, looks_alive, wait_for_end
from somray.io.storage import Storage


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setattr(drivers, "POLL_SECONDS", 0.01)
    return Storage.at(tmp_path)


def _state(run, owner="old", state="running", **more):
    facts = {"owner": owner, "state": state, "host": "elsewhere", "pid": 1, "beat": 1, **more}
    run.write_text(RunLayout.state, json.dumps({"heartbeat": time.time(), **facts}))
    return facts


def test_numbers_rise_with_every_claim_and_the_last_one_holds(run):
    assert [claim_run(run, owner) for owner in "abc"] == [1, 2, 3]
    assert [holds_claim(run, owner) for owner in "abc"] == [False, False, True]
    _state(run, attempt=7)
    assert claim_run(run, "d") == 8


def test_a_driver_that_ended_is_not_waited_for(run):
    claim_run(run, "new")
    _state(run, state="stopped")
    wait_for_end(run, "new", silence=1e9)


def test_a_living_driver_is_waited_for_until_it_says_that_it_stopped(run):
    claim_run(run, "new")
    _state(run)
    ended = threading.Event()

    def stop():
        time.sleep(0.1)
        ended.set()
        _state(run, state="stopped")

    thread = threading.Thread(target=stop)
    thread.start()
    wait_for_end(run, "new", silence=1e9)
    assert ended.is_set()
    thread.join()


def test_silence_counts_from_the_last_sign_of_life_by_the_waiters_own_clock(run):
    claim_run(run, "new")
    _state(run, heartbeat=time.time() + 1e6)  # its clock is far ahead
    beats = iter(range(2, 8))
    done = threading.Event()

    def live():
        for beat in beats:
            time.sleep(0.1)
            _state(run, beat=beat, heartbeat=time.time() - 1e6 * beat)
        done.set()

    thread = threading.Thread(target=live)
    thread.start()
    wait_for_end(run, "new", silence=0.4)
    assert done.is_set()
    thread.join()


def test_who_waits_gives_way_to_a_later_one(run):
    claim_run(run, "new")
    claim_run(run, "newest")
    _state(run)
    with pytest.raises(StoreError, match="taken over"):
        wait_for_end(run, "new", silence=1e9)


@pytest.mark.parametrize("hours", [-5, 0, 5])
@pytest.mark.parametrize("lives", [True, False])
def test_a_look_is_not_deceived_by_a_clock(hours, lives):
    """A clock that was set back or forward makes no dead driver live and no living one dead."""
    beat = 0

    def read():
        nonlocal beat
        beat += lives
        facts = {"state": "running", "host": "elsewhere", "beat": beat}
        return {**facts, "heartbeat": time.time() + 3600 * hours - (0 if lives else 60)}

    assert looks_alive(read, seconds=0.1) is lives


def test_a_process_of_this_machine_that_is_gone_is_dead(run):
    import platform

    here = {"state": "running", "host": platform.node()}
    assert is_alive({**here, "pid": 2**22 + 1}) is False
    assert is_alive({**here, "pid": 1}) is None
    assert is_alive({"state": "done"}) is False
