"""A cluster's head, asked who it is before Ray joins: Ray itself waits for minutes for what will not come."""

import json
import platform
import time
from typing import Any

import ray
from ray._private import services
from ray._raylet import GcsClient  # type: ignore[attr-defined]  # of Ray's compiled part
from ray.core.generated.gcs_pb2 import GcsNodeInfo

from somray.errors import PlanError

__all__ = ["check_head", "refusal"]

ANSWER_SECONDS = 10.0
NODE_SECONDS = 10.0
"""How long a node that was started a moment ago is waited for."""
_SIGNS = ("401", "403", "oken", "nauthenticated")


def check_head(address: str) -> None:
    """See that a cluster can be joined: it has a head, of our Ray and Python, and a node on this machine.

    Args:
        address: as Ray takes it: "host:port" or "auto". One of Ray's client is another server, and is let pass.

    Raises:
        PlanError: it cannot.
    """
    if address.startswith("ray://"):
        return
    named = ""
    try:
        named = str(services.canonicalize_bootstrap_address(address) or "")
        head = GcsClient(address=named)
        told = head.internal_kv_get(
            b"CLUSTER_METADATA", namespace=b"cluster", timeout=ANSWER_SECONDS
        )
        _check_versions(named, json.loads(told or "{}"))
        _check_nodes(named, head)
    except PlanError:
        raise
    except Exception as error:  # Ray raises of many kinds, RayError, RuntimeError, bare ones
        raise PlanError(refusal(named or address, error)) from error


def refusal(address: str, error: Exception) -> str:
    """Say in one sentence why a cluster was not joined."""
    said = " ".join(str(error).split()) or type(error).__name__
    if any(sign in said for sign in _SIGNS):
        return (
            f"the Ray cluster at {address} refuses the token; set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN (or "
            "RAY_AUTH_TOKEN_PATH) to the cluster's own"
        )
    return (
        f"no Ray cluster answers at {address} ({said}); see with `ray status --address {address}` that its head "
        "lives, and give the head's own address (HEAD:6379, neither the dashboard's nor the client's port), or leave "
        "--address and RAY_ADDRESS out to start an embedded Ray"
    )


def _check_versions(address: str, told: dict[str, str]) -> None:
    there = told.get("ray_version"), told.get("python_version")
    here = ray.__version__, platform.python_version()
    if None not in there and there != here:
        raise PlanError(
            f"the Ray cluster at {address} has Ray {there[0]} and Python {there[1]}, here are Ray {here[0]} and Python "
            f"{here[1]}; both must be the same: start somray from the environment that the cluster was started from, "
            "or start the cluster anew from this one"
        )


def _check_nodes(address: str, head: Any) -> None:  # Any: a client of Ray's own
    """See that a node lives on this machine, which every driver needs."""
    until = time.monotonic() + NODE_SECONDS
    while True:
        found = head.get_all_node_info(
            timeout=ANSWER_SECONDS, state_filter=GcsNodeInfo.GcsNodeState.ALIVE
        )
        if {one.hex() for one in found} & set(services.find_node_ids()):
            return
        if time.monotonic() > until:
            break
        time.sleep(0.5)
    if not found:
        raise PlanError(
            f"the Ray cluster at {address} has a head, but no living node; stop it (`ray stop`) and start it anew"
        )
    raise PlanError(
        f"this machine is no node of the Ray cluster at {address}, as every driver must be; start a node here "
        f"(`ray start --address={address}`), or hand the cohort over: somray submit COHORT.yaml --address "
        "http://HEAD:8265"
    )
