"""What the pipeline hands to the runtime and what comes back.

A *unit* is the smallest piece of work that is done, retried and resumed as a whole. Its digest names
inputs, configuration and code; a unit whose digest stands in the ledger is not done again. A unit
must be retry-safe: the same item gives the same bytes, and its mark comes last.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, Protocol

from somray.domain.tables import Row

__all__ = [
    "GIVEN_UP",
    "MIB",
    "WORKER_BYTES",
    "Executor",
    "Mapper",
    "Needs",
    "Outcome",
    "Result",
    "ResumableTraining",
    "StageFunction",
    "Trainer",
    "Unit",
    "digest_of",
]

MIB = 1024 * 1024
WORKER_BYTES = 900 * MIB
"""What a worker that has done any kind of work before holds: interpreter, compiled kernels, torch."""

GIVEN_UP = ("worker_died", "timed_out")
"""Codes of a unit that the executor gave up: its scan is set aside, and the next run tries it again."""


def _plain(value: object) -> object:
    """Turn dataclasses, tuples and mappings into what json writes the same way every time."""
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    return value


def digest_of(*parts: object) -> str:
    """Hash plain values, mappings and dataclasses to 32 hex digits; equal values, equal digest."""
    text = json.dumps([_plain(p) for p in parts], sort_keys=True, allow_nan=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Needs:
    """What a unit takes while it runs; declared, checked before the start, held by tests."""

    cpus: float = 1.0
    gpus: float = 0.0
    memory_bytes: int = WORKER_BYTES


@dataclass(frozen=True)
class Result:
    """What a stage function returns: table rows and small facts; pixels went to storage.

    Args:
        rows: table name to rows of that table.
        value: JSON-able facts that later units need (shapes, digests, paths, matrices).
    """

    rows: Mapping[str, Sequence[Row]] = field(default_factory=dict)
    value: Mapping[str, Any] = field(default_factory=dict)  # Any: JSON


StageFunction = Callable[[Any, Any], Result]  # Any: each stage has its own item and shared state


@dataclass(frozen=True)
class Unit:
    """One piece of work.

    Args:
        stage: a key of the pipeline's table of stages.
        name: unique within the stage; also the name of its table parts.
        protocol: the protocol it belongs to; table partition of its rows.
        digest: of inputs, configuration and code.
        item: the stage's own frozen dataclass, small and picklable.
        needs: resources.
        subject: for `failures`, where it applies.
        session: for `failures`, where it applies.
        work: how much it does, in its stage's measure; for plans.
        written: bytes that it will write at most, uncompressed; for plans.
    """

    stage: str
    name: str
    protocol: str
    digest: str
    item: Any  # Any: each stage has its own item type
    needs: Needs = Needs()
    subject: str | None = None
    session: str | None = None
    work: float = 0.0
    written: int = 0


@dataclass(frozen=True)
class Outcome:
    """How a unit ended.

    `code` and `message` are set when it failed; `is_data_error` tells a bad scan from a bad program.
    """

    stage: str
    name: str
    result: Result | None
    code: str | None = None
    message: str | None = None
    is_data_error: bool = False
    seconds: float = 0.0
    peak_bytes: int = 0
    node: str = ""
    device: str = "cpu"
    attempts: int = 1

    @property
    def ok(self) -> bool:
        """Whether the unit was done."""
        return self.result is not None


class ResumableTraining(Protocol):
    """A training that may be interrupted, as those who run it see it; its state is the training's own affair."""

    @property
    def threads(self) -> int:
        """CPU threads of each worker."""

    def is_due(self) -> bool:
        """Whether there is anything to train; raises what says that it cannot be."""

    def digest(self, place: object) -> str:
        """Name what decides its bits; `place` is what else does, such as the number of workers (JSON)."""

    def run(
        self,
        resume: Any = None,
        save: Callable[[Any], None] | None = None,
        **gang: Any,
    ) -> Any:
        """Train, or go on from a state.

        Args:
            resume: state to go on from.
            save: called by every worker with each new state.
            gang: `rank`, `world`, `average`, `device` and `bf16` of one of several workers.
        """

    def to_bytes(self, state: Any) -> bytes:
        """Turn a state into what is kept."""

    def from_bytes(self, data: bytes) -> Any:
        """Read a state back."""


@dataclass(frozen=True)
class Trainer:
    """How a student is trained where the executor is.

    Args:
        run: `run(training, name=, storage_path=)` trains and returns what `ResumableTraining.run` does; a state is kept
            under the path, so that it goes on where it was interrupted.
        waits: whether the work is done by other workers, so that the unit itself must hold no CPU:
            protocols that held some while they wait could block each other's workers for ever.
        name: in words, for the model's history.
    """

    run: Callable[..., Any]  # Any: what a training leaves; the domain knows no kernel
    waits: bool = False
    name: str = "in process"


@dataclass(frozen=True)
class Mapper:
    """How one unit spreads its own work over others, such as a fold over a cohort's slabs.

    Args:
        run: `run(function, items, shared, needs)` returns function(item, shared) of each item, in the
            items' order; `shared` is sent once. What a function raises, `run` raises.
        waits: whether the work is done by other workers, so that the unit itself must hold no CPU.
    """

    run: Callable[
        [Callable[[Any, Any], Any], Sequence[Any], object, Needs], list[Any]
    ]  # Any: parts
    waits: bool = False


class Executor(Protocol):
    """Runs units somewhere; the pipeline knows nothing more about it."""

    async def submit(
        self, function: StageFunction, unit: Unit, shared: object = None, actor: str | None = None
    ) -> Outcome:
        """Run a unit, in the named actor if one is given, and say how it ended.

        `shared` is what `share` returned. Worker deaths are retried within; a unit whose worker dies
        each time, or that takes too long, comes back with a code of `GIVEN_UP`.
        """

    def share(self, value: object) -> object:
        """Hand small state (a codebook, weights) to all later units once."""

    async def release(self, actor: str) -> None:
        """End an actor and free what it held; nothing happens if it was never started."""

    def close(self) -> None:
        """End what is under way and wait for it; nothing is written after."""

    def mapper(self) -> Mapper:
        """Return what a unit spreads its own work with."""

    def trainer(self, workers: int, choice: str) -> Trainer:
        """Choose how a student is trained here: in process or through Ray Train."""
