"""How a training is to run: how long and how fast, with whom, and how its caller goes along."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from somray.kernels.student.training.fit_state import FitState

if TYPE_CHECKING:
    import torch

__all__ = ["ProcessGroup", "TrainingHooks", "TrainingSchedule"]

MOST_EPOCHS = 200


@dataclass(frozen=True)
class TrainingSchedule:
    """How long and how fast to train.

    Args:
        steps: optimizer steps.
        patch: side of a patch in pixels; smaller images are taken whole.
        batch: patches in a step, over all workers.
        rate: peak learning rate.
        epoch_steps: steps of an epoch, after which the state is handed out; more where that would
            make more than `MOST_EPOCHS`.
    """

    steps: int
    patch: int
    batch: int
    rate: float
    epoch_steps: int = 20

    @property
    def epochs(self) -> int:
        """Epochs of the steps."""
        return max(1, min(MOST_EPOCHS, math.ceil(self.steps / self.epoch_steps)))


@dataclass(frozen=True)
class ProcessGroup:
    """Several equal workers that train one network; the default is one alone.

    Args:
        rank: this worker, from 0.
        world: number of workers.
        average: gives the mean of a flat tensor over the workers, the same bits on each.
        device: where tensors live, such as "cpu" or "cuda".
        bf16: compute the layers in bfloat16; all workers alike. Weights, loss and sums of gradients
            stay float32.
    """

    rank: int = 0
    world: int = 1
    average: Callable[["torch.Tensor"], "torch.Tensor"] | None = None
    device: str = "cpu"
    bf16: bool = False


@dataclass(frozen=True)
class TrainingHooks:
    """How a caller goes along: with a clock, a budget, a state to go on from, a hand for new ones.

    Args:
        clock: seconds since any moment; epochs are timed with it, 0 without.
        spent: share of a time budget that is spent; where given, training also ends at 1, and the
            rates fall accordingly.
        resume: state to go on from, None to begin; it must stem from the same examples, schedule, seed
            and number of workers.
        save: called with the state after every epoch.
    """

    clock: Callable[[], float] | None = None
    spent: Callable[[], float] | None = None
    resume: FitState | None = None
    save: Callable[[FitState], None] | None = None

    def now(self) -> float:
        """Return the clock's time, 0 without one."""
        return self.clock() if self.clock else 0.0
