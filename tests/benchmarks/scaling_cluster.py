"""Sleeping and empty units on a Ray cluster of n nodes, in a process of its own, see bench_scaling.py.

`python -m tests.benchmarks.scaling_cluster NODES UNITS SECONDS`, with RAY_AUTH_MODE=disabled; prints one JSON object.
"""

import asyncio
import json
import resource
import sys
import time

import ray
from ray import cloudpickle
from ray.cluster_utils import Cluster

from somray.domain.work import Needs, Result, Unit
from somray.runtime.on_ray.executor import RayExecutor
from somray.runtime.on_ray.session import hold_leases

NODE = {"num_cpus": 1, "memory": 2**30, "object_store_memory": 100 * 2**20}
WARM_SECONDS = 0.5


def rest(item, shared):
    """Take a worker's time, and none of the machine's."""
    time.sleep(item)
    return Result(value={"node": ray.get_runtime_context().get_node_id()})


def _resident_bytes():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


async def _all(executor, count, seconds):
    units = (
        Unit("som", f"u{n}", "p", "d", seconds, Needs(memory_bytes=2**20)) for n in range(count)
    )
    return await asyncio.gather(*(executor.submit(rest, unit) for unit in units))


def _warm_up(nodes):
    """Have a worker started on every node: that takes seconds, once, whatever the run."""
    seen = set()
    while len(seen) < nodes:
        outcomes = asyncio.run(_all(RayExecutor(), 4 * nodes, WARM_SECONDS))
        seen |= {outcome.result.value["node"] for outcome in outcomes}


def _measure(count, seconds):
    """Return the wall and CPU seconds of the driver, and how its memory grew."""
    executor, held = RayExecutor(), _resident_bytes()
    wall, work = time.perf_counter(), time.process_time()
    outcomes = asyncio.run(_all(executor, count, seconds))
    assert all(outcome.ok for outcome in outcomes)
    del outcomes
    return {
        "wall": time.perf_counter() - wall,
        "cpu": time.process_time() - work,
        "grown": _resident_bytes() - held,
    }


def main(argv):
    nodes, count, seconds = int(argv[0]), int(argv[1]), float(argv[2])
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    head = {"num_cpus": 0, "include_dashboard": False, "object_store_memory": 100 * 2**20}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    for _ in range(nodes):
        cluster.add_node(**NODE)
    hold_leases()
    ray.init(address=cluster.address, log_to_driver=False)
    _warm_up(nodes)
    found = _measure(count, seconds)
    again = _measure(count, seconds) if not seconds else found
    ray.shutdown()
    cluster.shutdown()
    print(json.dumps({**found, "grown_again": again["grown"]}))


if __name__ == "__main__":
    main(sys.argv[1:])
