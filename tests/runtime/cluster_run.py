"""Run a cohort on a Ray cluster of this machine that grows between runs; a process of its own, see test_nodes.py.

`python -m tests.runtime.cluster_run 1,3 COHORT.yaml OUTPUT` leaves OUTPUT1 and OUTPUT3.
"""

import json
import sys
from pathlib import Path

import ray
from ray.cluster_utils import Cluster

from somray.commands.launch import load_cohort
from somray.pipeline.cohort import run_cohort
from somray.runtime.on_ray.executor import RayExecutor

MEMORY = 6 * 2**30  # what a node offers to tasks; nothing is reserved


def main(argv):
    counts, cohort, output = argv
    args = {"num_cpus": 1, "memory": MEMORY, "object_store_memory": 100 * 2**20}
    few = {"include_dashboard": False, "include_log_monitor": False, "no_monitor": True}
    few["dashboard_agent_listen_port"] = None  # any: it waits seconds for one that another Ray has
    cluster = Cluster(initialize_head=True, head_node_args={**args, **few})
    ray.init(address=cluster.address, log_to_driver=False)
    told = []
    for count in counts.split(","):
        while len(ray.nodes()) < int(count):
            cluster.add_node(**args)
        asked = load_cohort(Path(cohort), (f"output={output}{count}",))
        found = run_cohort(asked, RayExecutor(), lambda root: None)
        told.append({"nodes": len(ray.nodes()), "broken": found["broken"]})
    ray.shutdown()
    cluster.shutdown()
    print(json.dumps(told))


if __name__ == "__main__":
    main(sys.argv[1:])
