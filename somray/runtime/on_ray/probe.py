"""Facts of every node of a cluster, gathered by one small task on each; nothing is judged here."""

import contextlib
import time
from collections.abc import Sequence
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from somray.runtime.facts import filesystem, machine_facts
from somray.runtime.meeting import attend

__all__ = ["ANSWER_SECONDS", "probe_nodes"]

ANSWER_SECONDS = 120.0  # a first worker imports Ray and somray, maybe from a slow file system


def _probe(expected_gpus: float, folders: Sequence[str], name: str) -> dict[str, Any]:
    """Gather the facts of the node that this runs on."""
    return {
        **machine_facts(expected_gpus),
        "session": _session(),
        "meetings": {folder: attend(folder, name) for folder in folders},
    }


def _session() -> dict[str, str | None]:
    """Tell where Ray keeps its sockets and logs on this node."""
    folder = None
    with contextlib.suppress(Exception):  # not part of Ray's public interface
        folder = ray._private.worker.global_worker.node.get_session_dir_path()
    return {"path": folder, "filesystem": filesystem(folder) if folder else None}


_remote: Any = ray.remote(max_retries=0)(_probe)  # Any: remote functions have no types


def probe_nodes(
    folders: Sequence[str] = (), seconds: float = ANSWER_SECONDS
) -> list[dict[str, Any]]:
    """Ask every living node of the cluster that this process is connected to.

    Args:
        folders: of meetings that every node attends, see `runtime.meeting`.
        seconds: until a node that does not answer is given up.

    Returns:
        Per node `node` (id), `address`, `offers` (resources that Ray believes in), and either `error` (why there
        are no facts) or the facts of `machine_facts` with `session`, `meetings` (folder to what `attend` returns)
        and `skew_seconds`: how far its clock certainly is off this machine's, 0 where it may be right.
    """
    asked, sent = {}, time.time()
    nodes = [node for node in ray.nodes() if node["Alive"]]
    for node in nodes:
        strategy = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        options = {"num_cpus": 0, "scheduling_strategy": strategy}
        gpus = float(node["Resources"].get("GPU", 0))
        asked[node["NodeID"]] = _remote.options(**options).remote(gpus, folders, node["NodeID"])
    until = time.monotonic() + seconds
    return [
        {
            "node": node["NodeID"],
            "address": node["NodeManagerAddress"],
            "offers": dict(node["Resources"]),
            **_answer(asked[node["NodeID"]], sent, max(0.1, until - time.monotonic())),
        }
        for node in nodes
    ]


def _answer(reference: Any, sent: float, seconds: float) -> dict[str, Any]:
    try:
        facts: dict[str, Any] = ray.get(reference, timeout=seconds)
    except GetTimeoutError:
        with contextlib.suppress(RayError):
            ray.cancel(reference, force=True)
        return {"error": f"no answer in {seconds:.0f} s"}
    except RayError as error:  # the node went, its worker died, somray is not there or another one
        return {"error": _last_line(error)}
    received = time.time()
    skew = max(0.0, sent - facts["seconds"], facts["seconds"] - received)
    return {**facts, "skew_seconds": skew}


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
