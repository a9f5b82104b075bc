"""Units as Ray tasks and actor calls, with a bounded number under way."""

import asyncio
import functools
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import ray
from ray.exceptions import RayError

from somray.domain.work import Mapper, Needs, Outcome, StageFunction, Trainer, Unit
from somray.errors import PlanError
from somray.runtime.execute import Told, execute_within
from somray.runtime.logs import tell_unit
from somray.runtime.on_ray.calls import UnfitError, UnitCall
from somray.runtime.on_ray.cluster import Cluster
from somray.runtime.on_ray.deaths import DEATHS, Tries, cause_of
from somray.runtime.on_ray.map import map_with_ray
from somray.runtime.on_ray.metrics import RunMetrics
from somray.runtime.on_ray.protocol import ProtocolActor
from somray.runtime.train import train_in_process

__all__ = ["RayExecutor"]

END_SECONDS = 2.0
"""How long the end waits for workers that were killed; `ray job stop` gives a driver three."""

EXIT_SECONDS = 0.2
"""A worker says that its task is cancelled 10 ms before its process ends (seen with Ray 2.60)."""


# Retries are ours, so that attempts are counted and a unit that kills workers is given up.
_run: Any = ray.remote(max_retries=0)(execute_within)  # Any: remote functions have no types
_actor: Any = ray.remote(max_restarts=0)(ProtocolActor)


@functools.lru_cache(maxsize=256)
def _asking(**options: float) -> Any:  # Any: as above
    """Return the remote function that asks for so much; Ray makes a class for each."""
    return _run.options(**options)


def _no_limit(unit: Unit) -> float | None:
    return None


class RayExecutor:
    """Runs units on the cluster that this process is connected to, as that cluster is while it runs.

    Args:
        in_flight: units under way at once; twice the cluster's CPUs where None.
        attempts: worker deaths after which a unit is given up; nodes that are lost do not count.
        limit: seconds that a unit may take before its worker is ended; None for no limit.
        wait_seconds: how long a unit waits for a node that could hold it; 0 where no node can join.
    """

    def __init__(
        self,
        in_flight: int | None = None,
        attempts: int = 3,
        limit: Callable[[Unit], float | None] = _no_limit,
        wait_seconds: float = 0.0,
    ) -> None:
        self._cluster = Cluster(in_flight, wait_seconds)
        self._attempts, self._limit = attempts, limit
        self._actors: dict[
            str, tuple[Any, Needs, dict[str, float]]
        ] = {}  # Any: actor handles have no types
        self._left: list[UnitCall] = []
        self._metrics = RunMetrics()

    async def submit(
        self, function: StageFunction, unit: Unit, shared: object = None, actor: str | None = None
    ) -> Outcome:
        """Run a unit as a task, or in the named actor; see `Executor.submit`.

        Raises:
            PlanError: no node is large enough, and none joins.
        """
        if actor is None:
            place = self._cluster.place()
        elif unit.needs.cpus:  # it works itself, whatever others do
            return await self._counted(function, unit, shared, actor)
        else:
            place = self._cluster.waiting_place(unit.needs)
        async with place:
            return await self._counted(function, unit, shared, actor)

    async def _counted(
        self, function: StageFunction, unit: Unit, shared: object, actor: str | None
    ) -> Outcome:
        self._metrics.began(unit.stage)
        outcome = None
        try:
            outcome = await self._tried(function, unit, shared, actor)
            tell_unit(unit, outcome)
            return outcome
        finally:
            self._metrics.ended(unit.stage, outcome)

    async def _tried(
        self, function: StageFunction, unit: Unit, shared: object, actor: str | None
    ) -> Outcome:
        """Try a unit until it ends by itself or is given up."""
        tries, limit, needs = Tries(self._attempts), self._limit(unit), unit.needs
        lost_before = self._cluster.lost_nodes
        while True:
            start = time.monotonic()
            try:
                told = function, unit, tries.number, limit
                return await self._once(told, shared, actor, needs)
            except UnfitError:  # it was not begun
                await self._end_actor(actor)
                continue
            except DEATHS as error:
                cause = cause_of(error, time.monotonic() - start, limit)
                tries.count(cause, error)
                self._metrics.died(cause)
            except RayError as error:
                raise PlanError(_refused(unit, error)) from error
            await self._end_actor(actor)
            if cause == "memory":  # it took more than it said: give it more room
                most = max(int(self._cluster.seen.node_memory), needs.memory_bytes)
                needs = replace(needs, memory_bytes=min(2 * needs.memory_bytes, most))
            lost = self._cluster.lost_nodes - lost_before
            if (given_up := tries.verdict(limit, lost)) is not None:
                return _failed(unit, given_up, tries)
            await asyncio.sleep(tries.pause)

    async def _once(self, told: Told, shared: object, actor: str | None, needs: Needs) -> Outcome:
        call = self._call((told, shared), actor, needs)
        with self._cluster.following(call):
            try:
                return await call.answer()  # type: ignore[no-any-return]
            except (asyncio.CancelledError, UnfitError, PlanError):
                call.cancel()  # nobody waits for it any more, but it may still run and write
                self._left.append(call)
                raise

    def _call(self, work: tuple[Told, object], actor: str | None, needs: Needs) -> UnitCall:
        """Hand a unit to Ray.

        Raises:
            PlanError: no node is large enough, and none can join.
        """
        if actor is None:
            options = self._cluster.options(needs)
            return UnitCall(_asking(**options).remote(*work), needs, options)
        if actor not in self._actors:
            options = self._cluster.options(needs)
            self._actors[actor] = _actor.options(**options).remote(), needs, options
        handle, needs, options = self._actors[actor]
        return UnitCall(handle.run.remote(*work), needs, options)

    def share(self, value: object) -> object:
        """Put a value into the object store, owned by this driver."""
        return ray.put(value)

    async def release(self, actor: str) -> None:
        """Kill an actor."""
        await self._end_actor(actor)

    async def _end_actor(self, actor: str | None) -> None:
        started = self._actors.pop(actor, None) if actor is not None else None
        if started is not None:
            ray.kill(started[0])

    def close(self) -> None:
        """End what is under way, and wait until it has ended: nothing of this run is written after."""
        for handle, *_ in self._actors.values():
            ray.kill(handle)
        self._actors.clear()
        for call in self._cluster.calls:
            call.cancel()
        left = [call.reference for call in (*self._cluster.calls, *self._left)]
        if left:
            ray.wait(left, num_returns=len(left), timeout=END_SECONDS, fetch_local=False)
            time.sleep(EXIT_SECONDS)
        self._left.clear()

    def mapper(self) -> Mapper:
        """Spread a unit's parts over the cluster."""
        return Mapper(map_with_ray, waits=True)

    def trainer(self, workers: int, choice: str) -> Trainer:
        """Choose how a student is trained.

        Ray Train where several workers or a GPU are at work; in the protocol's own actor otherwise,
        since starting a worker group costs more than a small protocol's whole training.
        """
        gpus = self._cluster.look().gpus
        if choice == "in_process" or (choice == "auto" and workers == 1 and not gpus):
            return Trainer(train_in_process)
        from somray.runtime.on_ray.train import train_with_ray

        use_gpu = gpus >= workers
        gang = functools.partial(train_with_ray, workers=workers, use_gpu=use_gpu)
        return Trainer(gang, waits=True, name=_words(workers, gpus))


def _words(workers: int, gpus: float) -> str:
    """Say what a group of workers runs on, and why not on GPUs where there are too few."""
    if gpus >= workers:
        return f"Ray Train, {workers} on a GPU each"
    few = f", too few of the cluster's {gpus:g} GPUs for all" if gpus else ""
    return f"Ray Train, {workers} on CPUs{few}"


def _refused(unit: Unit, error: RayError) -> str:
    """Say what Ray could not do; it was not begun, or what it gave could not be read."""
    said = str(error).strip().splitlines() or [type(error).__name__]
    return (
        f"Ray could not do {unit.stage} {unit.name}: {said[-1]}; see that all nodes have the same versions "
        "(`somray doctor`)"
    )


def _failed(unit: Unit, given_up: tuple[str, str], tries: Tries) -> Outcome:
    code, message = given_up
    return Outcome(
        stage=unit.stage,
        name=unit.name,
        result=None,
        code=code,
        message=message,
        is_data_error=True,
        attempts=tries.deaths + tries.times or tries.nodes,
    )
