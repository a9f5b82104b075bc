"""The cluster as it is now: nodes come and go while a run goes on."""

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import ray

from somray.domain.work import MIB
from somray.errors import PlanError

__all__ = ["Capacity", "Cluster", "Slots"]

LOOK_SECONDS = 5.0
TELL_SECONDS = 60.0
DEMAND = 8
"""Units handed to a cluster that has no CPU yet: what an autoscaler must see to start nodes."""

_log = logging.getLogger("somray")


@dataclass(frozen=True)
class Capacity:
    """What a look at the cluster found.

    Args:
        cpus: of all nodes together.
        gpus: of all nodes together.
        node_cpus: of the widest node.
        node_memory: bytes that the largest node offers to tasks.
    """

    cpus: float = 0.0
    gpus: float = 0.0
    node_cpus: float = 0.0
    node_memory: float = 0.0

    @classmethod
    def now(cls) -> "Capacity":
        """Look; takes milliseconds, and waits for the head."""
        alive = [node["Resources"] for node in ray.nodes() if node["Alive"]]

        def of(kind: str) -> list[float]:
            return [float(resources.get(kind, 0)) for resources in alive]

        # A node without CPUs runs no unit, whatever memory it offers.
        rooms = [m for m, c in zip(of("memory"), of("CPU"), strict=True) if c]
        return cls(sum(of("CPU")), sum(of("GPU")), max(of("CPU"), default=0), max(rooms, default=0))


class Slots:
    """A semaphore whose number of places may change while some are taken."""

    def __init__(self, places: int) -> None:
        self._places, self._taken = places, 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def places(self) -> int:
        """How many may be taken at once."""
        return self._places

    @property
    def taken(self) -> bool:
        """Whether anybody holds a place."""
        return self._taken > 0

    def resize(self, places: int) -> None:
        """Change it; those who hold a place beyond it keep it until they leave."""
        self._places = places
        self._wake()

    def _wake(self) -> None:
        while self._waiting and self._taken < self._places:
            waiting = self._waiting.popleft()
            if not waiting.done():
                self._taken += 1
                waiting.set_result(None)

    @contextlib.asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """Hold a place; those who came first get it first."""
        if self._taken < self._places and not self._waiting:
            self._taken += 1
        else:
            waiting = asyncio.get_running_loop().create_future()
            self._waiting.append(waiting)
            try:
                await waiting
            except asyncio.CancelledError:
                if waiting.done() and not waiting.cancelled():  # its place came too late
                    self._leave()
                raise
        try:
            yield
        finally:
            self._leave()

    def _leave(self) -> None:
        self._taken -= 1
        self._wake()


class Cluster:
    """Follows the cluster that this process is connected to, off the event loop, while units are under way.

    Args:
        in_flight: units under way at once; twice the cluster's CPUs, as they are now, where None.
        wait_seconds: how long a unit waits for a node that could hold it; 0 where no node can join.
    """

    def __init__(self, in_flight: int | None = None, wait_seconds: float = 0.0) -> None:
        self._in_flight, self._wait = in_flight, wait_seconds
        self.seen = Capacity.now()
        self._slots = Slots(self._places())
        self._watch: asyncio.Task[None] | None = None

    @property
    def places(self) -> int:
        """How many units may be under way at once, as things are."""
        return self._slots.places

    def _places(self) -> int:
        if self._in_flight is not None:
            return self._in_flight
        return max(2, int(2 * self.seen.cpus)) if self.seen.cpus else DEMAND

    @contextlib.asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Hold a place among the units under way."""
        if self._watch is None or self._watch.done():
            self._watch = asyncio.create_task(self._look_again())
        async with self._slots.one():
            yield

    async def _look_again(self) -> None:
        """Look every few seconds until nobody holds a place."""
        tell = _every(TELL_SECONDS)
        while self._slots.taken:
            await asyncio.sleep(LOOK_SECONDS)
            self.seen = await asyncio.to_thread(Capacity.now)
            self._slots.resize(self._places())
            if not self.seen.cpus:
                tell("waiting for nodes: the cluster has no CPU now")

    async def room(self, memory_bytes: float) -> Capacity:
        """Wait until there is a node that could hold a unit; return the cluster as it is then.

        A cluster without any CPU is asked all the same: its autoscaler starts nodes only for what it is asked.

        Raises:
            PlanError: none has joined in all the time that a unit waits.
        """
        tell, start = _every(TELL_SECONDS), time.monotonic()
        while self.seen.node_cpus and memory_bytes > self.seen.node_memory:
            offer = (
                f"a unit needs {memory_bytes / MIB:.0f} MiB, the largest node offers "
                f"{self.seen.node_memory / MIB:.0f} MiB"
            )
            if time.monotonic() - start >= self._wait:
                raise PlanError(
                    f"{offer}; start a larger node (`somray check` names every stage's need)"
                )
            tell(f"waiting for a node: {offer}")
            await asyncio.sleep(min(LOOK_SECONDS, self._wait / 10))
            self.seen = await asyncio.to_thread(Capacity.now)
        return self.seen


def _every(seconds: float) -> Callable[[str], None]:
    """Return what tells at most so often."""
    last = -seconds

    def tell(text: str) -> None:
        nonlocal last
        if time.monotonic() - last >= seconds:
            last = time.monotonic()
            _log.warning(text)

    return tell
