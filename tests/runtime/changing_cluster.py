"""A cluster that changes under its executor, in a process of its own, see test_changing_cluster.py.

A head without CPUs to begin with; nodes join while units wait; then the node of one unit is lost twice,
a unit asks for more than any node has, and last the head is killed.
"""

import asyncio
import json
import os
import signal
import sys
import time
from pathlib import Path

import ray
from ray import cloudpickle
from ray.cluster_utils import Cluster

from somray.domain.work import Needs, Result, Unit
from somray.errors import PlanError
from somray.runtime.on_ray import cluster as follow
from somray.runtime.on_ray.executor import RayExecutor

NODE = {"num_cpus": 1, "memory": 2**30, "object_store_memory": 100 * 2**20}


def wait_for(item, shared):
    """Leave a mark, and work until a file says that it is enough."""
    mark, end = item
    Path(mark).write_text(str(os.getpid()))
    while not Path(end).exists():
        time.sleep(0.05)
    return Result(value={"pid": os.getpid()})


def _unit(name, item):
    return Unit("som", name, "p", "d", item, Needs(memory_bytes=64 * 2**20))


async def _until(true):
    deadline = time.monotonic() + 200
    while not true():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.1)


async def joined_later(cluster, folder):
    """Have units wait for a cluster without CPUs; return the places before and after nodes joined."""
    executor = RayExecutor(wait_seconds=60)
    before = executor._cluster.places
    marks = [folder / f"mark{n}" for n in range(6)]
    units = [_unit(m.name, (str(m), str(folder / "end"))) for m in marks]
    jobs = asyncio.gather(*(executor.submit(wait_for, unit) for unit in units))
    await asyncio.sleep(1)
    began = sum(m.exists() for m in marks)
    cluster.add_node(**{**NODE, "num_cpus": 5})
    await _until(lambda: sum(m.exists() for m in marks) >= 5)
    await _until(lambda: executor._cluster.places != before)
    (folder / "end").touch()
    outcomes = await jobs
    return before, began, executor._cluster.places, [o.ok for o in outcomes]


async def lost(cluster, folder, times):
    """Lose the node of a unit so many times."""
    executor = RayExecutor(attempts=2, wait_seconds=60)
    mark, end = folder / "lost", folder / "lost-end"
    job = asyncio.ensure_future(executor.submit(wait_for, _unit("lost", (str(mark), str(end)))))
    for turn in range(times):
        await _until(mark.exists)
        mark.unlink()
        node = min(cluster.worker_nodes, key=lambda n: n.node_id)
        cluster.remove_node(node, allow_graceful=turn % 2 == 0)
        cluster.add_node(**NODE)
    await _until(mark.exists)
    end.touch()
    outcome = await job
    return outcome.ok, outcome.attempts


async def grown(cluster):
    """Ask for more than any node has; return what is said where none joins, and whether a large one is used."""
    executor = RayExecutor(wait_seconds=2)
    large = Unit("som", "large", "p", "d", 0, Needs(memory_bytes=3 * 2**30))
    try:
        await executor.submit(give, large)
        said = ""
    except PlanError as error:
        said = str(error)
    executor = RayExecutor(wait_seconds=60)
    job = asyncio.ensure_future(executor.submit(give, large))
    await asyncio.sleep(1)
    cluster.add_node(**{**NODE, "memory": 4 * 2**30})
    return said, (await job).ok


def give(item, shared):
    """Give something."""
    return Result(value={"item": item})


async def headless(cluster, folder):
    """Lose the head while a unit runs; return what is said."""
    follow.HEAD_SECONDS = 3.0
    executor = RayExecutor(wait_seconds=60)
    mark = folder / "headless"
    job = asyncio.ensure_future(executor.submit(wait_for, _unit("h", (str(mark), "none"))))
    await _until(mark.exists)
    head = cluster.head_node.all_processes["gcs_server"][0].process.pid
    os.kill(head, signal.SIGKILL)
    try:
        await job
    except PlanError as error:
        executor.close()
        return str(error)
    return ""


def main(argv):
    follow.LOOK_SECONDS = 0.5
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    few = {"include_dashboard": False, "include_log_monitor": False}  # processes
    few["dashboard_agent_listen_port"] = None  # any: it waits seconds for one that another Ray has
    head = {"num_cpus": 0, "object_store_memory": 100 * 2**20, **few}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    ray.init(address=cluster.address, log_to_driver=False)
    folder = Path(argv[0])
    found = {
        "joined": asyncio.run(joined_later(cluster, folder)),
        "lost": asyncio.run(lost(cluster, folder, 2)),
        "grown": asyncio.run(grown(cluster)),
        "headless": asyncio.run(headless(cluster, folder)),
    }
    ray.shutdown()
    print(json.dumps(found), flush=True)
    for node in cluster.list_all_nodes():
        node.kill_all_processes(check_alive=False, allow_graceful=False)


if __name__ == "__main__":
    main(sys.argv[1:])
