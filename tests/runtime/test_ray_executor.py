"""Ray as executor: results, shared state, deaths of workers, actors."""

import asyncio
import ctypes
import os
import signal
import time

import pytest

from somray.domain.work import Needs, Result, Unit
from somray.errors import PlanError
from somray.runtime.on_ray.capacity import Capacity, Room
from somray.runtime.on_ray.executor import RayExecutor

pytestmark = [
    pytest.mark.ray,
    # Ray's own start-up code leaves files open and warns of its future defaults.
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def _unit(item, name="u", **needs):
    return Unit("som", name, "p", "d", item, Needs(memory_bytes=64 * 2**20, **needs))


def add(item, shared):
    return Result(value={"sum": item + shared})


def die(item, shared):
    os.kill(os.getpid(), signal.SIGKILL)


def die_once(item, shared):
    if not os.path.exists(item):
        open(item, "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
    return Result(value={"survived": True})


def whoami(item, shared):
    return Result(value={"pid": os.getpid()})


def test_units_run_as_tasks_with_shared_state(cluster):
    async def go():
        executor = RayExecutor(in_flight=2)
        shared = executor.share(10)
        jobs = [executor.submit(add, _unit(n, f"u{n}"), shared) for n in range(5)]
        return [o.result.value["sum"] for o in await asyncio.gather(*jobs)]

    assert asyncio.run(go()) == [10, 11, 12, 13, 14]


def test_a_worker_that_dies_is_tried_again_and_the_attempts_are_counted(cluster, tmp_path):
    async def go():
        return await RayExecutor().submit(die_once, _unit(str(tmp_path / "mark")))

    outcome = asyncio.run(go())
    assert outcome.result.value == {"survived": True}
    assert outcome.attempts == 2


def test_a_unit_that_always_kills_its_worker_is_given_up(cluster):
    async def go():
        return await RayExecutor(attempts=2).submit(die, _unit(0))

    outcome = asyncio.run(go())
    assert (outcome.code, outcome.attempts) == ("worker_died", 2)


def hang(item, shared):
    """Wait for ever in C, holding the interpreter's lock, as a reader may that decodes without end."""
    ctypes.PyDLL(None).sleep(1000)


@pytest.mark.parametrize("actor", [None, "hanging"])
def test_a_unit_that_hangs_is_ended_and_given_up(cluster, actor):
    async def go():
        executor = RayExecutor(limit=lambda unit: 0.4)
        cpus = 0.0 if actor else 1.0  # actors are for what waits for others
        outcome = await executor.submit(hang, _unit(0, cpus=cpus), None, actor)
        after = await executor.submit(whoami, _unit(0, cpus=cpus), None, actor)
        await executor.release("hanging")
        return outcome, after

    outcome, after = asyncio.run(go())
    assert (outcome.code, outcome.is_data_error, outcome.attempts) == ("timed_out", True, 2)
    assert "unit_minutes" in outcome.message
    assert after.ok


@pytest.mark.parametrize("actor", [None, "marking"])
def test_a_stop_ends_what_is_under_way_before_it_is_told(cluster, tmp_path, actor):
    executor, mark = RayExecutor(), tmp_path / "mark"

    async def go():
        loop = asyncio.get_running_loop()

        def stop_once_it_works():  # as the handler of SIGTERM does, in the middle of the loop
            if mark.exists():
                raise SystemExit(143)
            loop.call_later(0.05, stop_once_it_works)

        stop_once_it_works()
        unit = _unit(str(mark), cpus=0.0 if actor else 1.0)
        await executor.submit(mark_and_wait, unit, None, actor)

    with pytest.raises(SystemExit):
        asyncio.run(go())
    executor.close()
    _wait_for_the_end_of(int(mark.read_text()))


def _wait_for_the_end_of(pid):
    deadline = time.monotonic() + 10  # left alone it works for 1000 s
    while os.path.exists(f"/proc/{pid}"):
        assert time.monotonic() < deadline


def mark_and_wait(item, shared):
    with open(item + ".new", "w") as file:
        file.write(str(os.getpid()))
    os.rename(item + ".new", item)
    time.sleep(1000)


def test_an_actor_keeps_its_process_is_replaced_when_it_dies_and_ends_when_released(
    cluster, tmp_path
):
    async def go():
        executor, dying = RayExecutor(), _unit(str(tmp_path / "mark"), cpus=0.0)
        first = await executor.submit(whoami, _unit(0, cpus=0.0), None, "actor")
        second = await executor.submit(whoami, _unit(0, cpus=0.0), None, "actor")
        again = await executor.submit(die_once, dying, None, "actor")
        last = await executor.submit(whoami, _unit(0, cpus=0.0), None, "actor")
        await executor.release("actor")
        return first.result.value, second.result.value, again, last.result.value["pid"]

    first, second, again, last = asyncio.run(go())
    assert first == second
    assert again.attempts == 2
    _wait_for_the_end_of(last)


def test_a_need_that_no_node_meets_is_refused_instead_of_waited_for(cluster):
    unit = Unit("som", "u", "p", "d", 0, Needs(memory_bytes=2**50))

    async def go():
        return await RayExecutor().submit(add, unit, 1)

    with pytest.raises(PlanError, match="largest node offers"):
        asyncio.run(go())


@pytest.mark.parametrize(
    ("gpus", "workers", "words"),
    [
        (0, 2, "Ray Train, 2 on CPUs"),
        (2, 2, "Ray Train, 2 on a GPU each"),
        (1, 2, "Ray Train, 2 on CPUs, too few of the cluster's 1 GPUs for all"),
    ],
)
def test_a_group_of_workers_says_what_it_runs_on(cluster, gpus, workers, words, monkeypatch):
    executor = RayExecutor()
    monkeypatch.setattr(Capacity, "now", lambda: Capacity({"n": Room(8, gpus, 2**30)}))
    trainer = executor.trainer(workers, "auto")
    assert trainer.name == words
    assert trainer.run.keywords == {"workers": workers, "use_gpu": gpus >= workers}
