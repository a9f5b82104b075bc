"""Why a unit's worker is gone, as Ray tells it, and what follows for the unit.

A node that is lost, preempted or drained takes its workers with it: that says nothing of the unit. A worker that dies
alone may have been killed by what it did. Ray 2.60 tells them apart so (tried with `ray.cluster_utils`): a task on a
lost node ends with `NodeDiedError`; an actor there with `ActorUnavailableError` (its line is cut) or with an
`ActorDiedError` that says that its node has died; what dies alone with `WorkerCrashedError` or another
`ActorDiedError`.
"""

from dataclasses import dataclass
from typing import Literal

from ray.exceptions import (
    ActorDiedError,
    ActorUnavailableError,
    NodeDiedError,
    ObjectLostError,
    OutOfMemoryError,
    WorkerCrashedError,
)

__all__ = ["DEATHS", "Cause", "Tries", "cause_of"]

DEATHS = (
    ActorDiedError, ActorUnavailableError, NodeDiedError, ObjectLostError, OutOfMemoryError,
    WorkerCrashedError,
)  # fmt: skip
Cause = Literal["node", "worker", "memory", "time"]

MOST_NODES = 10
"""Nodes that one unit may lose where others lose few: one that takes whole nodes along (a container killed for memory)
is found too."""
UTMOST_NODES = 50
"""Nodes that one unit may lose in a cluster that loses many more."""
MOST_TIMES = 2
"""Times that a unit may go over its time limit."""
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
_NODE_DIED = "its node has died"


def cause_of(error: Exception, seconds: float, limit: float | None) -> Cause:
    """Tell why a worker is gone.

    Args:
        error: one of `DEATHS`.
        seconds: since the unit was handed to Ray.
        limit: seconds that it might take; a worker that dies alone after more is taken to have been ended for that.
    """
    if isinstance(error, OutOfMemoryError):
        return "memory"
    if isinstance(error, (NodeDiedError, ActorUnavailableError, ObjectLostError)):
        return "node"
    if isinstance(error, ActorDiedError) and (error.preempted or _NODE_DIED in str(error)):
        return "node"
    return "worker" if limit is None or seconds < limit else "time"


@dataclass
class Tries:
    """The tries of one unit so far.

    Args:
        most: worker deaths after which it is given up.
    """

    most: int
    deaths: int = 0
    nodes: int = 0
    times: int = 0
    told: str = ""

    @property
    def number(self) -> int:
        """Which try this is, from 1; lost nodes do not count."""
        return 1 + self.deaths + self.times

    @property
    def pause(self) -> float:
        """Seconds before the next: a cluster that loses nodes is given time to find others."""
        return min(FIRST_PAUSE * 2 ** (self.nodes - 1), LONGEST_PAUSE) if self.nodes else 0.0

    def count(self, cause: Cause, error: Exception) -> None:
        """Count one death."""
        self.told = str(error).splitlines()[0]
        if cause == "node":
            self.nodes += 1
        elif cause == "time":
            self.times += 1
        else:
            self.deaths += 1

    def verdict(self, limit: float | None, lost: int = 0) -> tuple[str, str] | None:
        """Return code and message of a unit that is given up, None where it is tried again.

        Args:
            limit: seconds that it might take.
            lost: nodes that the whole cluster has lost since it was begun. Where its own are fewer than half of them,
                the cluster is to blame: spot nodes that live for minutes, a training of hours that goes on from
                its last state.
        """
        if self.times >= MOST_TIMES:
            return "timed_out", (
                f"took longer than {(limit or 0) / 60:g} minutes, {self.times} times; see whether its files can be "
                "read at all, or raise resources.unit_minutes"
            )
        if self.deaths >= self.most:
            return "worker_died", f"the worker died {self.deaths} times: {self.told}"
        if self.nodes >= (MOST_NODES if 2 * self.nodes >= lost else UTMOST_NODES):
            return "worker_died", (
                f"the node was lost {self.nodes} times while it ran, so it may be what ends them (a container "
                f"that is killed for memory takes its node along): {self.told}"
            )
        return None
