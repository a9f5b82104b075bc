"""What `doctor` says: findings, and the facts that they are judged from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["LEVELS", "Finding", "Preflight", "named"]

LEVELS = ("error", "warning", "note", "ok")
"""From what will stop a run to what is as it should be."""


@dataclass(frozen=True)
class Finding:
    """One trouble, or one thing that is as it should be.

    Args:
        check: which check found it.
        level: see `LEVELS`.
        message: what is so.
        remedy: the line to type next; "" where there is nothing to do.
        node: where; None where it is not of one machine.
    """

    check: str
    level: str
    message: str
    remedy: str = ""
    node: str | None = None


@dataclass(frozen=True)
class Preflight:
    """What was gathered before anything is judged; see `runtime.facts` and `runtime.on_ray.probe`.

    Args:
        here: facts of this machine.
        nodes: facts of the cluster's nodes that answered.
        silent: nodes that did not, with `error`.
        address: of the cluster; None for this machine alone.
        fault: why the cluster could not be joined.
        temporary: `path`, `filesystem` and `fault` of the folder an embedded Ray would take.
        ports: taken ports, with a free one.
        places: per shared place `place`, `fault` (of this machine), `free`, and `seen` (nodes whose mark is seen here).
        plan: `bytes`, `peak_bytes`, `quarantine` (a number), `config`, and `fault`; None where there is no cohort.
    """

    here: Mapping[str, Any]
    nodes: Sequence[Mapping[str, Any]] = ()
    silent: Sequence[Mapping[str, Any]] = ()
    address: str | None = None
    fault: str | None = None
    temporary: Mapping[str, Any] = field(default_factory=dict)
    ports: Mapping[int, int] = field(default_factory=dict)
    places: Sequence[Mapping[str, Any]] = ()
    plan: Mapping[str, Any] | None = None

    @property
    def machines(self) -> Sequence[Mapping[str, Any]]:
        """The machines that shall work: the cluster's nodes, or this one."""
        return self.nodes if self.address else [self.here]


def named(machine: Mapping[str, Any]) -> str:
    """Name a machine: its host, and its number in the cluster, since a host may hold several nodes."""
    host = str(machine.get("host") or machine.get("address") or "this machine")
    return f"{host} ({machine['node'][:8]})" if machine.get("node") else host
