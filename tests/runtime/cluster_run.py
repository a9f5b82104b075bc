"""Run a cohort on a Ray cluster of n nodes on this machine; a process of its own, see test_nodes.py.

`python -m tests.runtime.cluster_run NODES COHORT.yaml a.b=value ...`
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
    count, cohort, *settings = argv
    args = {"num_cpus": 1, "memory": MEMORY, "object_store_memory": 100 * 2**20}
    cluster = Cluster(initialize_head=True, head_node_args={**args, "include_dashboard": False})
    for _ in range(int(count) - 1):
        cluster.add_node(**args)
    ray.init(address=cluster.address, log_to_driver=False)
    nodes = len(ray.nodes())
    found = run_cohort(load_cohort(Path(cohort), tuple(settings)), RayExecutor(), lambda root: None)
    ray.shutdown()
    cluster.shutdown()
    print(json.dumps({"nodes": nodes, "broken": found["broken"]}))


if __name__ == "__main__":
    main(sys.argv[1:])
