"""What a cluster offers, as one look at it found."""

from collections.abc import Mapping
from dataclasses import dataclass

import ray

from somray.domain.work import Needs

__all__ = ["Capacity", "Room"]

_KINDS = ("CPU", "GPU", "memory")
BESIDE = 1.5
"""Room for what a unit waits for, in units of its own memory: a part of a fold takes up to 1.4 times what the fold does
(three dimensions, `part_needs`)."""


@dataclass(frozen=True)
class Room:
    """What one node offers to units in all; memory in bytes."""

    cpus: float = 0.0
    gpus: float = 0.0
    memory: float = 0.0

    def holds(self, options: dict[str, float]) -> bool:
        """Whether it could run what asks for so much, were it empty."""
        return (
            options["num_cpus"] <= self.cpus
            and options["num_gpus"] <= self.gpus
            and options["memory"] <= self.memory
        )


@dataclass(frozen=True)
class Capacity:
    """What a look at the cluster found.

    Args:
        nodes: what each living node offers, by its id.
        promised_gpus: what an autoscaler could start, where it tells.
    """

    nodes: Mapping[str, Room]
    promised_gpus: float = 0.0

    @classmethod
    def now(cls) -> "Capacity":
        """Look; takes milliseconds, and waits for the head."""
        found = {
            node["NodeID"]: Room(*(float(node["Resources"].get(k, 0)) for k in _KINDS))
            for node in ray.nodes()
            if node["Alive"]
        }
        return cls(found, _promised("GPU"))

    @property
    def cpus(self) -> float:
        """Of all nodes together."""
        return sum(room.cpus for room in self.nodes.values())

    @property
    def gpus(self) -> float:
        """Of all nodes together."""
        return sum(room.gpus for room in self.nodes.values())

    @property
    def node_memory(self) -> float:
        """Bytes that the largest node offers to tasks; one without CPUs runs none, whatever it offers."""
        return max((room.memory for room in self.nodes.values() if room.cpus), default=0.0)

    def holds(self, options: dict[str, float]) -> bool:
        """Whether any node could run what asks for so much."""
        return any(room.holds(options) for room in self.nodes.values())

    def waiting(self, memory: int) -> int:
        """How many units that wait for others may be begun.

        However Ray lays them out, one node keeps room for what they wait for; else all would wait for ever. One may be
        begun anywhere, see `fitted`.

        Args:
            memory: of one of them, in bytes.
        """
        rooms = [room.memory / max(memory, 1) for room in self.nodes.values() if room.cpus]
        return max(1, sum(int(room - BESIDE) for room in rooms if room > BESIDE))

    def fitted(self, needs: Needs) -> dict[str, float]:
        """Turn needs into Ray's options: CPUs and GPUs are cut to what nodes with the memory have.

        Memory is cut for a unit without CPUs alone, which waits for others: on a small node it leaves room for them.
        Where there is no such node, what is needed is asked: an autoscaler goes by what is asked.
        """
        rooms = [r for r in self.nodes.values() if r.cpus and r.memory >= needs.memory_bytes]
        gpus = min(needs.gpus, max((r.gpus for r in rooms), default=0.0) or self.promised_gpus)
        widest = max((r.cpus for r in rooms if r.gpus >= gpus), default=needs.cpus)
        return {
            "num_cpus": min(needs.cpus, widest),
            "num_gpus": gpus,
            "memory": needs.memory_bytes if needs.cpus else self._beside(needs.memory_bytes),
        }

    def _beside(self, memory: int) -> int:
        """Return what is left of a unit's memory on the largest node, beside what it waits for."""
        if self.node_memory < memory:
            return memory
        return max(0, min(memory, int(self.node_memory - BESIDE * memory)))


def _promised(kind: str) -> float:
    """Return how much of a resource the autoscaler could start; 0 where there is none, or it does not tell."""
    config = ray._private.state.state.get_max_resources_from_cluster_config()
    return float((config or {}).get(kind) or 0.0)
