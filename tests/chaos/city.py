"""A Ray cluster on this machine whose nodes come and go on command, in a process of its own.

`python -m tests.chaos.city NODES` prints its address; every line of input is a command, every answer one line:
`kill` a node at once, `preempt` one with a second's notice, `grow` by one; the end of input ends the city.
"""

import sys
import time

import ray
from ray._raylet import GcsClient
from ray.cluster_utils import Cluster
from ray.core.generated import autoscaler_pb2

NODE = {"num_cpus": 1, "memory": 3 * 2**30, "object_store_memory": 80 * 2**20}
NOTICE_SECONDS = 1


def _preempt(cluster, node):
    """Tell the cluster that a node goes, as a cloud does, and take it away when the notice is over."""
    reason = autoscaler_pb2.DrainNodeReason.Value("DRAIN_NODE_REASON_PREEMPTION")
    deadline = int(time.time() * 1000) + NOTICE_SECONDS * 1000
    GcsClient(address=cluster.address).drain_node(node.node_id, reason, "spot", deadline)
    time.sleep(NOTICE_SECONDS)
    cluster.remove_node(node, allow_graceful=True)


def main(argv):
    head = {"num_cpus": 0, "include_dashboard": False, "object_store_memory": 80 * 2**20}
    head["dashboard_agent_listen_port"] = None  # any: it waits seconds for one that another Ray has
    cluster = Cluster(initialize_head=True, head_node_args=head)
    for _ in range(int(argv[0])):
        cluster.add_node(**NODE)
    print(cluster.address, flush=True)
    for line in sys.stdin:
        command = line.strip()
        if command == "grow":
            cluster.add_node(**NODE)
        elif cluster.worker_nodes:
            node = min(cluster.worker_nodes, key=lambda n: n.node_id)
            if command == "kill":
                cluster.remove_node(node, allow_graceful=False)
            else:
                _preempt(cluster, node)
        print(len(cluster.worker_nodes), flush=True)
    ray.shutdown()
    cluster.shutdown()


if __name__ == "__main__":
    main(sys.argv[1:])
