"""The cluster as it is now: nodes come and go while a run goes on."""

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator

from somray.domain.work import MIB, Needs
from somray.errors import PlanError
from somray.runtime.on_ray.calls import UnfitError, UnitCall
from somray.runtime.on_ray.capacity import Capacity
from somray.runtime.slots import Slots

__all__ = ["Cluster"]

LOOK_SECONDS = 5.0
TELL_SECONDS = 60.0
HEAD_SECONDS = 35.0
"""A head that has not answered for so long is gone. Ray ends the whole process, at whatever it is, after 60."""
DEMAND = 8
"""Units handed to a cluster that can grow, however small it is: what an autoscaler must see to start nodes."""

_log = logging.getLogger("somray")


class Cluster:
    """Follows the cluster that this process is connected to, off the event loop, while units are under way.

    Args:
        in_flight: units under way at once; twice the cluster's CPUs, as they are now, where None.
        wait_seconds: how long a unit waits for a node that could hold it; 0 where no node can join.
    """

    def __init__(self, in_flight: int | None = None, wait_seconds: float = 0.0) -> None:
        self._in_flight, self._wait = in_flight, wait_seconds
        self.seen = Capacity.now()
        self.lost_nodes = 0
        self._calls: set[UnitCall] = set()
        self._slots, self._waiting, self._largest = Slots(self._places()), Slots(1), 0
        self._watch: asyncio.Task[None] | None = None
        self._fault: PlanError | None = None

    @property
    def places(self) -> int:
        """How many units may be under way at once, as things are."""
        return self._slots.places

    @property
    def calls(self) -> tuple[UnitCall, ...]:
        """What Ray has now."""
        return tuple(self._calls)

    def _places(self) -> int:
        least = DEMAND if self._wait else 2
        return self._in_flight or max(least, int(2 * self.seen.cpus))

    @contextlib.asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Hold a place among the units under way."""
        async with self._slots.one():
            yield

    @contextlib.asynccontextmanager
    async def waiting_place(self, needs: Needs) -> AsyncIterator[None]:
        """Hold a place among the units that wait for others: too many would take the memory of those."""
        self._largest = max(self._largest, needs.memory_bytes)
        self._waiting.resize(self.seen.waiting(self._largest))
        async with self._waiting.one():
            yield

    @contextlib.contextmanager
    def following(self, call: UnitCall) -> Iterator[None]:
        """Watch over a call: it is failed where no node can hold it any more, or the head is gone."""
        self._calls.add(call)
        if self._watch is None or self._watch.done():
            self._watch = asyncio.create_task(self._look_again())
        try:
            yield
        finally:
            self._calls.discard(call)

    def options(self, needs: Needs) -> dict[str, float]:
        """Return what a unit asks of a node, as the cluster is now.

        Raises:
            PlanError: no node has the memory and none can join; or the head is gone.
        """
        if self._fault is not None:
            raise self._fault
        options = self.seen.fitted(needs)
        if not self._wait and not self.seen.holds(options):
            raise PlanError(self._missing(options))
        return options

    def look(self) -> Capacity:
        """Look here and now."""
        self._take(Capacity.now())
        return self.seen

    def _take(self, seen: Capacity) -> None:
        self.lost_nodes += len(self.seen.nodes.keys() - seen.nodes.keys())
        self.seen = seen
        self._slots.resize(self._places())
        self._waiting.resize(seen.waiting(self._largest))

    async def _look_again(self) -> None:
        """Look every few seconds until Ray has nothing of ours."""
        tell = _every(TELL_SECONDS)
        while self._calls:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                self._take(await _off_the_loop(Capacity.now, HEAD_SECONDS))
            except Exception as error:  # whatever it is, nobody answers
                self._fault = PlanError(
                    f"the head of the Ray cluster no longer answers ({error or type(error).__name__}); what is done "
                    "stays done: start the cluster again, then run again"
                )
                for call in self._calls:
                    call.fail(self._fault)
                return
            self._judge(tell)

    def _judge(self, tell: Callable[[str], None]) -> None:
        """Find the calls that no node can hold as the cluster is now, and end those that have waited enough."""
        now = time.monotonic()
        waiting: list[UnitCall] = []
        for call in self._calls:
            if self.seen.holds(call.options):
                call.unfit_since = None
            elif self.seen.fitted(call.needs) != call.options and self._fits(call.needs):
                call.fail(UnfitError())
            else:
                call.unfit_since = call.unfit_since or now
                waiting.append(call)
        if not waiting:
            return
        largest = max(waiting, key=lambda call: call.options["memory"])
        missing = self._missing(largest.options)
        tell(f"waiting for a node, {len(waiting)} units: {missing}")
        for call in waiting:
            if now - (call.unfit_since or now) >= self._wait:
                call.fail(PlanError(f"{missing}; none joined in {self._wait / 60:g} minutes"))

    def _fits(self, needs: Needs) -> bool:
        return self.seen.holds(self.seen.fitted(needs))

    def _missing(self, options: dict[str, float]) -> str:
        """Say what a unit asks and what there is."""
        if not self.seen.cpus and options["num_cpus"]:
            return "the cluster has no CPU now; see that its workers start"
        asked = f"{options['memory'] / MIB:.0f} MiB"
        offered = f"{self.seen.node_memory / MIB:.0f} MiB"
        if options["num_gpus"]:
            asked = f"{options['num_gpus']:g} GPU and {asked}"
            offered = f"{offered}; {self.seen.gpus:g} GPUs are there"
        return (
            f"a unit needs {asked}, the largest node offers {offered}: start a larger node (`somray check` names "
            "every stage's need)"
        )


async def _off_the_loop(look: Callable[[], Capacity], seconds: float) -> Capacity:
    """Call in a thread of its own, which nobody waits for where it never comes back.

    Raises:
        TimeoutError: it has not.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[Capacity] = loop.create_future()

    def settle(found: Capacity | Exception) -> None:
        if answer.done():
            return
        if isinstance(found, Exception):
            answer.set_exception(found)
        else:
            answer.set_result(found)

    def run() -> None:
        found: Capacity | Exception
        try:
            found = look()
        except Exception as error:
            found = error
        with contextlib.suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(settle, found)

    threading.Thread(target=run, daemon=True).start()
    return await asyncio.wait_for(answer, seconds)


def _every(seconds: float) -> Callable[[str], None]:
    """Return what tells at most so often."""
    last = -seconds

    def tell(text: str) -> None:
        nonlocal last
        if time.monotonic() - last >= seconds:
            last = time.monotonic()
            _log.warning(text)

    return tell
