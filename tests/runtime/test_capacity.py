"""What is asked of nodes as they are, and what becomes of units that none can hold, on a cluster that is made up."""

import asyncio
import time
from concurrent.futures import Future

import pytest

from somray.domain.work import MIB, Needs
from somray.errors import PlanError
from somray.runtime.on_ray import cluster as follow
from somray.runtime.on_ray.calls import UnfitError, UnitCall
from somray.runtime.on_ray.capacity import Capacity, Room

SMALL, WIDE = Room(2, 0, 1000 * MIB), Room(16, 0, 500 * MIB)
LARGE, GPU = Room(4, 0, 8000 * MIB), Room(4, 1, 2000 * MIB)
HEAD = Room(0, 0, 64000 * MIB)


def _cluster(*rooms, promised=0.0):
    return Capacity({str(n): room for n, room in enumerate(rooms)}, promised)


def _needs(mib, cpus=1.0, gpus=0.0):
    return Needs(cpus=cpus, gpus=gpus, memory_bytes=mib * MIB)


@pytest.mark.parametrize(
    ("seen", "needs", "cpus", "gpus"),
    [
        (_cluster(SMALL, WIDE), _needs(100, cpus=8), 8, 0),
        (_cluster(SMALL, WIDE), _needs(900, cpus=8), 2, 0),  # the wide node is too small
        (_cluster(SMALL, LARGE), _needs(4000, cpus=8), 4, 0),
        (_cluster(SMALL), _needs(4000, cpus=8), 8, 0),  # nobody has it: asked as needed
        (_cluster(HEAD), _needs(100, cpus=0.1), 0.1, 0),
        (_cluster(HEAD), _needs(100, cpus=0), 0, 0),
        (_cluster(SMALL), _needs(100, gpus=0.5), 1, 0),  # the CPU does it
        (_cluster(WIDE, GPU), _needs(100, cpus=8, gpus=0.5), 4, 0.5),
        (_cluster(SMALL, promised=4), _needs(100, gpus=0.5), 1, 0.5),  # an autoscaler must see it
    ],
)
def test_no_more_is_asked_than_a_node_with_the_memory_has(seen, needs, cpus, gpus):
    assert seen.fitted(needs) == {
        "num_cpus": cpus,
        "num_gpus": gpus,
        "memory": needs.memory_bytes,
    }


def test_a_head_without_cpus_holds_what_takes_none():
    seen = _cluster(HEAD)
    assert seen.holds(seen.fitted(_needs(100, cpus=0)))
    assert not seen.holds(seen.fitted(_needs(100, cpus=0.1)))
    assert seen.node_memory == 0


@pytest.mark.parametrize(
    ("rooms", "mib", "places"),
    [
        ([SMALL], 900, 1),  # what they wait for has no room beside one; see the next test
        ([SMALL], 200, 3),
        ([SMALL, SMALL], 200, 6),
        ([LARGE, WIDE, HEAD], 1000, 6),
        ([HEAD], 100, 1),
    ],
)
def test_units_that_wait_for_others_leave_those_a_node(rooms, mib, places):
    seen = _cluster(*rooms)
    assert seen.waiting(mib * MIB) == places
    part = seen.fitted(_needs(int(1.4 * mib)))["memory"]
    with_cpus = [room.memory for room in rooms if room.cpus]
    laid_out = sum(int((memory - part) // (mib * MIB)) + 1 for memory in with_cpus)
    if places > 1:  # so many are needed to leave none of the nodes room for a part
        assert laid_out > places


@pytest.mark.parametrize(("mib", "asked"), [(300, 300), (500, 250), (900, 0), (2000, 2000)])
def test_one_that_waits_for_others_leaves_them_room_on_a_small_node(mib, asked):
    assert _cluster(SMALL).fitted(_needs(mib, cpus=0))["memory"] == asked * MIB
    assert _cluster(SMALL).fitted(_needs(mib))["memory"] == mib * MIB


class Reference:
    """What Ray gives for a call, as far as it is asked."""

    def __init__(self):
        self._future = Future()

    def future(self):
        return self._future


@pytest.fixture
def made_up(monkeypatch):
    """Clusters whose looks find what the test puts there; they are fast ones."""
    looks = [_cluster(SMALL)]

    def now():
        found = looks.pop(0) if len(looks) > 1 else looks[0]
        return found() if callable(found) else found

    monkeypatch.setattr(Capacity, "now", now)
    monkeypatch.setattr(follow, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(follow, "HEAD_SECONDS", 0.2)
    return looks


async def _end_of(cluster, needs):
    call = UnitCall(Reference(), needs, cluster.options(needs))
    with cluster.following(call):
        return await call.answer()


@pytest.mark.parametrize(
    ("needs", "error", "words"),
    [(_needs(4000), PlanError, "none joined"), (_needs(100, cpus=8), UnfitError, None)],
)
def test_what_a_lost_node_could_hold_is_handed_out_anew_or_given_up(needs, error, words, made_up):
    async def go():
        made_up[:] = [_cluster(LARGE)]
        cluster = follow.Cluster(wait_seconds=0.1)
        made_up[:] = [_cluster(SMALL)]
        await _end_of(cluster, needs)

    with pytest.raises(error, match=words):
        asyncio.run(go())


def test_what_nobody_can_hold_is_refused_at_once_where_no_node_can_join(made_up):
    with pytest.raises(PlanError, match="largest node offers 1000 MiB"):
        follow.Cluster().options(_needs(4000))


def test_waiting_is_told_once_a_minute_and_ends_when_a_node_joins(made_up, caplog):
    async def go():
        cluster = follow.Cluster(wait_seconds=60)
        made_up[:] = [*[_cluster(SMALL)] * 5, _cluster(SMALL, LARGE)]
        task = asyncio.create_task(_end_of(cluster, _needs(4000)))
        while len(cluster.seen.nodes) < 2:
            await asyncio.sleep(0.01)
        (call,) = cluster.calls
        while call.unfit_since is not None:
            await asyncio.sleep(0.01)
        call.reference.future().set_result("done")
        return await task

    assert asyncio.run(go()) == "done"
    told = [r.message for r in caplog.records if r.name == "somray"]
    assert len(told) == 1
    assert "a unit needs 4000 MiB, the largest node offers 1000 MiB" in told[0]


@pytest.mark.parametrize("how", ["silence", "error"])
def test_a_head_that_is_gone_ends_every_call(how, made_up):
    def gone():
        if how == "error":
            raise ConnectionError("socket closed")
        time.sleep(0.5)
        return _cluster(SMALL)

    async def go():
        cluster = follow.Cluster(wait_seconds=60)
        made_up[:] = [gone]
        with pytest.raises(PlanError, match="no longer answers"):
            await _end_of(cluster, _needs(100))
        with pytest.raises(PlanError, match="no longer answers"):
            cluster.options(_needs(100))

    asyncio.run(go())


def test_units_that_wait_for_others_take_turns_on_a_small_node_and_not_on_a_large_one(made_up):
    async def go():
        cluster, began, leave = follow.Cluster(), [], asyncio.Event()

        async def hold(name):
            async with cluster.waiting_place(_needs(400, cpus=0)):
                began.append(name)
                await leave.wait()

        tasks = [asyncio.create_task(hold(n)) for n in range(3)]
        await asyncio.sleep(0.01)
        small = len(began)
        made_up[:] = [_cluster(LARGE)]
        cluster.look()
        await asyncio.sleep(0.01)
        leave.set()
        await asyncio.gather(*tasks)
        return small, len(began)

    assert asyncio.run(go()) == (1, 3)


def test_lost_nodes_are_counted(made_up):
    cluster = follow.Cluster()
    for seen in (Capacity({"a": SMALL}), Capacity({"b": SMALL, "c": SMALL}), Capacity({})):
        made_up[:] = [seen]
        cluster.look()
    assert cluster.lost_nodes == 4  # the first one, a, b and c
