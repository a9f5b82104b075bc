"""Units as Ray tasks and actor calls, with a bounded number under way."""

import asyncio
import functools
from typing import Any

import ray
from ray.exceptions import (
    ActorDiedError,
    ActorUnavailableError,
    NodeDiedError,
    ObjectLostError,
    OutOfMemoryError,
    WorkerCrashedError,
)

from somray.domain.work import Mapper, Needs, Outcome, StageFunction, Trainer, Unit
from somray.errors import PlanError
from somray.runtime.execute import execute
from somray.runtime.on_ray.map import map_with_ray
from somray.runtime.on_ray.protocol import ProtocolActor
from somray.runtime.train import train_in_process

__all__ = ["RayExecutor"]

_DEATHS = (
    ActorDiedError, ActorUnavailableError, NodeDiedError, ObjectLostError, OutOfMemoryError,
    WorkerCrashedError,
)  # fmt: skip


# Retries are ours, so that attempts are counted and a unit that kills workers is given up.
_run: Any = ray.remote(max_retries=0)(execute)  # Any: remote functions have no types
_actor: Any = ray.remote(max_restarts=0)(ProtocolActor)


class RayExecutor:
    """Runs units on the cluster that this process is connected to.

    Args:
        in_flight: units under way at once; twice the cluster's CPUs where None.
        attempts: worker deaths after which a unit is given up.
    """

    def __init__(self, in_flight: int | None = None, attempts: int = 3) -> None:
        """Look at the cluster once; it may grow later."""
        nodes = [n["Resources"] for n in ray.nodes() if n["Alive"]]
        self._node_cpus = max(float(n.get("CPU", 0)) for n in nodes)
        self._node_memory = max(float(n.get("memory", 0)) for n in nodes)
        self._gpus = float(ray.cluster_resources().get("GPU", 0))
        cpus = sum(float(n.get("CPU", 0)) for n in nodes)
        self._slots = asyncio.Semaphore(in_flight or max(2, int(2 * cpus)))
        self._attempts = attempts
        self._actors: dict[str, Any] = {}  # Any: actor handles have no types

    def _options(self, needs: Needs) -> dict[str, float]:
        """Turn declared needs into Ray's options; no node wider than the widest there is is waited for.

        Raises:
            PlanError: no node has that much memory, so that Ray would wait for ever.
        """
        if needs.memory_bytes > self._node_memory:
            raise PlanError(
                f"a unit needs {needs.memory_bytes / 2**20:.0f} MiB, the largest node offers "
                f"{self._node_memory / 2**20:.0f} MiB"
            )
        return {
            "num_cpus": min(needs.cpus, self._node_cpus),
            "num_gpus": min(needs.gpus, self._gpus),
            "memory": needs.memory_bytes,
        }

    async def submit(
        self, function: StageFunction, unit: Unit, shared: object = None, actor: str | None = None
    ) -> Outcome:
        """Run a unit as a task, or in the named actor; see `Executor.submit`."""
        if actor is not None:
            return await self._with_retries(function, unit, shared, actor)
        async with self._slots:
            return await self._with_retries(function, unit, shared, None)

    async def _with_retries(
        self, function: StageFunction, unit: Unit, shared: object, actor: str | None
    ) -> Outcome:
        message = ""
        for attempt in range(1, self._attempts + 1):
            try:
                return await self._start(function, unit, shared, actor, attempt)  # type: ignore[no-any-return]
            except _DEATHS as error:
                message = str(error).splitlines()[0]
                if actor is not None:
                    await self.release(actor)
        return Outcome(
            stage=unit.stage,
            name=unit.name,
            result=None,
            code="worker_died",
            message=f"the worker died {self._attempts} times: {message}",
            is_data_error=True,
            attempts=self._attempts,
        )

    def _start(
        self, function: StageFunction, unit: Unit, shared: object, actor: str | None, attempt: int
    ) -> Any:  # Any: an awaitable object reference
        options = self._options(unit.needs)
        if actor is None:
            return _run.options(**options).remote(function, unit, shared, attempt)
        if actor not in self._actors:
            self._actors[actor] = _actor.options(**options).remote()
        return self._actors[actor].run.remote(function, unit, shared, attempt)

    def share(self, value: object) -> object:
        """Put a value into the object store, owned by this driver."""
        return ray.put(value)

    async def release(self, actor: str) -> None:
        """Kill an actor."""
        handle = self._actors.pop(actor, None)
        if handle is not None:
            ray.kill(handle)

    def mapper(self) -> Mapper:
        """Spread a unit's parts over the cluster."""
        return Mapper(map_with_ray, waits=True)

    def trainer(self, workers: int, choice: str) -> Trainer:
        """Choose how a student is trained.

        Ray Train where several workers or a GPU are at work; in the protocol's own actor otherwise,
        since starting a worker group costs more than a small protocol's whole training.
        """
        if choice == "in_process" or (choice == "auto" and workers == 1 and not self._gpus):
            return Trainer(train_in_process)
        from somray.runtime.on_ray.train import train_with_ray

        use_gpu = self._gpus >= workers
        gang = functools.partial(train_with_ray, workers=workers, use_gpu=use_gpu)
        return Trainer(gang, waits=True, name=self._words(workers, use_gpu=use_gpu))

    def _words(self, workers: int, *, use_gpu: bool) -> str:
        """Say what a group of workers runs on, and why not on GPUs where there are too few."""
        if use_gpu:
            return f"Ray Train, {workers} on a GPU each"
        few = f", too few of the cluster's {self._gpus:g} GPUs for all" if self._gpus else ""
        return f"Ray Train, {workers} on CPUs{few}"
