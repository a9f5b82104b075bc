"""Where a pretraining stands between two epochs, what it leaves, and how the first is kept: arrays and JSON."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from somray.domain.encoder import EncoderModel
from somray.errors import StoreError
from somray.kernels.student.training.fit_state import FitState
from somray.kernels.student.training.packing import fit_packed, fit_unpacked, packed, unpacked
from somray.kernels.student.training.schedule import ProcessGroup

__all__ = [
    "PretrainGang",
    "PretrainResult",
    "PretrainState",
    "pretrain_state_from_bytes",
    "pretrain_state_to_bytes",
]

Arrays = Mapping[str, NDArray[np.generic]]


@dataclass(frozen=True, eq=False)
class PretrainState:
    """A pretraining between two epochs.

    Args:
        iteration: 1, or 2 where the encoder learns from its own planes.
        prepared: what this iteration's target was prepared with: centers, or nodes of the encoder's planes.
        first: weights of the first iteration's encoder; empty in the first.
        fit: the training of this iteration, None before its first epoch.
        rows: rows of iterations that are over.
    """

    iteration: int = 1
    prepared: Arrays = field(default_factory=dict)
    first: Arrays = field(default_factory=dict)
    fit: FitState | None = None
    rows: tuple[dict[str, Any], ...] = ()  # Any: cells are numbers and None


@dataclass(frozen=True, eq=False)
class PretrainResult:
    """What a pretraining leaves.

    Args:
        model: the encoder.
        training: a row per iteration and epoch: iteration, epoch, loss, accuracy (under masks; None where
            numbers are asked), learning_rate, seconds, pixels (that all workers looked at, masked or not).
    """

    model: EncoderModel
    training: list[dict[str, Any]]  # Any: cells are numbers and None


@dataclass(frozen=True)
class PretrainGang:
    """How a pretraining is run by several workers, timed and resumed.

    Args:
        group: this worker among the others, and its device.
        resume: state to go on from, None to begin; of the same pieces, spec and number of workers.
        save: called by every worker with the new state after each epoch.
        clock: seconds since any moment, for rows; 0 without.
    """

    group: ProcessGroup = field(default_factory=ProcessGroup)
    resume: PretrainState | None = None
    save: Callable[[PretrainState], None] | None = None
    clock: Callable[[], float] | None = None


def pretrain_state_to_bytes(state: PretrainState) -> bytes:
    """Write a state."""
    facts: dict[str, Any] = {"iteration": state.iteration, "rows": state.rows, "fit": None}
    owners = {"prepared": state.prepared, "first": state.first}
    if state.fit is not None:
        facts["fit"], more = fit_packed(state.fit, "fit/")
        owners |= more
    return packed(facts, owners)


def pretrain_state_from_bytes(data: bytes) -> PretrainState:
    """Read a state that `pretrain_state_to_bytes` wrote.

    Raises:
        StoreError: the bytes are no such state.
    """
    facts, arrays = unpacked(data)
    try:
        fit = facts["fit"]
        return PretrainState(
            iteration=facts["iteration"],
            prepared=arrays.get("prepared", {}),
            first=arrays.get("first", {}),
            fit=None if fit is None else fit_unpacked(fit, arrays, "fit/"),
            rows=tuple(facts["rows"]),
        )
    except (KeyError, TypeError) as error:
        raise StoreError(
            f"the state of a pretraining cannot be read ({error}); remove it to train from the start"
        ) from error
