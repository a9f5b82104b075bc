"""The student's training loop: seeded patches, Dice and cross-entropy, one cycle, averaged weights.

Two parts share one loop. First the prototypes alone learn from single pixels, which costs a
twentieth of a patch; then patches train the whole network. The same examples, seed, threads and
number of workers give the same bits. The loop knows no clock: `Pace` is where a caller's enters.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn
from torch.utils import deterministic as deterministic_settings

from somray.kernels.student.sampling import Batch, Examples, Sampler
from somray.kernels.student.unet import UNet

__all__ = ["Gang", "Pace", "Plan", "deterministic", "fit_student"]

WARM_UP = 0.2
"""Share of a part in which the rate rises."""
AVERAGE_KEEP = 0.97
"""Share of the averaged weights kept at every step, once it has run for a while."""
MAX_GRADIENT = 1.0
"""Longest gradient; a longer one is scaled down."""
WEIGHT_DECAY = 1e-4
PIXEL_SHARE = 0.25
"""Share of a time budget after which the prototypes' part ends."""


@dataclass(frozen=True)
class Plan:
    """How long and how fast to train; the defaults are bench_student's choice.

    Args:
        steps: optimizer steps on patches.
        pixel_steps: steps of the prototypes alone, before.
        patch: side of a patch in pixels; smaller slices are taken whole.
        batch: patches in a step, over all workers.
        pixels: pixels in a step of the prototypes, over all workers.
        rate: peak learning rate of the patches.
        pixel_rate: peak learning rate of the prototypes.
        epochs: rows that the patches' steps are told in.
    """

    steps: int
    pixel_steps: int
    patch: int = 64
    batch: int = 8
    pixels: int = 4096
    rate: float = 5e-3
    pixel_rate: float = 3e-2
    epochs: int = 6


@dataclass(frozen=True)
class Gang:
    """Several equal workers that train one network; the default is one alone.

    Args:
        rank: this worker, from 0.
        world: number of workers.
        average: gives the mean of a flat tensor over the workers, the same bits on each.
        device: where tensors live, such as "cpu" or "cuda".
    """

    rank: int = 0
    world: int = 1
    average: Callable[[torch.Tensor], torch.Tensor] | None = None
    device: str = "cpu"


@dataclass(frozen=True)
class Pace:
    """Where a caller's clock enters.

    Args:
        clock: seconds since any moment; epochs are timed with it, 0 without.
        spent: share of a time budget that is spent; where given, training also ends at 1, and the
            rates fall accordingly. The prototypes get the first `PIXEL_SHARE` of it.
    """

    clock: Callable[[], float] | None = None
    spent: Callable[[], float] | None = None

    def now(self) -> float:
        """Return the clock's time, 0 without one."""
        return self.clock() if self.clock else 0.0

    def share(self, first: float, last: float) -> float:
        """Return how much of the budget between two of its shares is spent; 0 without a budget."""
        if self.spent is None:
            return 0.0
        return 1.0 if first >= last else (self.spent() - first) / (last - first)


@contextmanager
def deterministic(threads: int) -> Iterator[None]:
    """Run torch on a fixed number of threads with deterministic algorithms; restore both after."""
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    filled = deterministic_settings.fill_uninitialized_memory  # type: ignore[attr-defined]
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(mode=True)
    # No kernel here reads memory that it did not write; filling it first cost a tenth of a step.
    deterministic_settings.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        torch.use_deterministic_algorithms(before[1])
        deterministic_settings.fill_uninitialized_memory = filled  # type: ignore[attr-defined]


@dataclass(frozen=True)
class _Part:
    """One part of the training: what is called, what learns, from which batches, how long."""

    logits: Callable[[torch.Tensor], torch.Tensor]
    parameters: list[nn.Parameter]
    draw: Callable[[], Batch]
    steps: int
    rate: float
    epochs: int
    until: float


def fit_student(
    module: UNet,
    examples: Examples,
    plan: Plan,
    seed: tuple[int, ...],
    gang: Gang,
    pace: Pace,
) -> list[dict[str, float]]:
    """Train a network in place and leave the averaged weights in it.

    Call it inside `deterministic`, with the network on the gang's device.

    Args:
        module: the network, started (`student_start.start_from`) or trained before.
        examples: slices, targets and weights.
        plan: steps, sizes and rates.
        seed: numbers that decide which patches and pixels are drawn; the rank is mixed in.
        gang: this worker among the others.
        pace: the caller's clock and budget.

    Returns:
        A row per epoch: `epoch` from 1, `loss` (mean), `learning_rate` (last), `seconds`.
    """
    sampler = Sampler(examples, plan.patch, (*seed, gang.rank), gang.device)
    pixels, patches = max(1, plan.pixels // gang.world), max(1, plan.batch // gang.world)
    parts = [
        _Part(
            module.pointwise,
            list(module.prototypes.parameters()),
            lambda: sampler.pixels(pixels),
            plan.pixel_steps,
            plan.pixel_rate,
            1,
            PIXEL_SHARE,
        ),
        _Part(
            module,
            list(module.parameters()),
            lambda: sampler.patches(patches),
            plan.steps,
            plan.rate,
            plan.epochs,
            1.0,
        ),
    ]
    with deterministic(1):  # its arrays are small: threads would wait for each other
        rows = _train(parts[0], gang, pace)
    rows += _train(parts[1], gang, pace)
    return [{"epoch": number, **row} for number, row in enumerate(rows, 1)]


def _train(part: _Part, gang: Gang, pace: Pace) -> list[dict[str, float]]:
    """Run one part's steps and put the averaged weights in place."""
    optimizer = torch.optim.AdamW(
        part.parameters, lr=part.rate, weight_decay=WEIGHT_DECAY, foreach=True
    )
    averaged = [p.detach().clone() for p in part.parameters]
    rows: list[dict[str, float]] = []
    losses: list[float] = []
    began, rate, epoch = pace.now(), 0.0, 0
    first = pace.spent() if pace.spent else 0.0
    for step in range(part.steps):
        spent = max(step / part.steps, pace.share(first, part.until))
        if spent >= 1:
            break
        if losses and int(spent * part.epochs) > epoch:
            rows.append(_row(losses, rate, pace.now() - began))
            began, losses, epoch = pace.now(), [], int(spent * part.epochs)
        rate = optimizer.param_groups[0]["lr"] = _one_cycle(spent, part.rate)
        losses.append(_step(part, optimizer, gang))
        keep = min(AVERAGE_KEEP, (step + 1) / (step + 10))
        torch._foreach_lerp_(averaged, [p.detach() for p in part.parameters], 1 - keep)
    if losses:
        rows.append(_row(losses, rate, pace.now() - began))
    with torch.no_grad():
        for parameter, mean in zip(part.parameters, averaged, strict=True):
            parameter.copy_(mean)
    return rows


def _row(losses: list[float], rate: float, seconds: float) -> dict[str, float]:
    return {
        "loss": math.fsum(losses) / len(losses),
        "learning_rate": rate,
        "seconds": seconds,
    }


def _one_cycle(spent: float, peak: float) -> float:
    """Return the rate: a cosine up from a tenth of the peak, then a cosine down to nothing.

    Source: Smith and Topin, "Super-convergence", 2018, with cosine arms.
    """
    if spent < WARM_UP:
        return peak * (0.1 + 0.9 * (1 - math.cos(math.pi * spent / WARM_UP)) / 2)
    return peak * (1 + math.cos(math.pi * (spent - WARM_UP) / (1 - WARM_UP))) / 2


def _step(part: _Part, optimizer: torch.optim.Optimizer, gang: Gang) -> float:
    """Take one optimizer step and return its loss."""
    inputs, target, weight = part.draw()
    optimizer.zero_grad(set_to_none=True)
    loss = _loss(part.logits(inputs), target, weight)
    loss.backward()  # type: ignore[no-untyped-call]
    if gang.average is not None:
        _average_gradients(part.parameters, gang.average)
    nn.utils.clip_grad_norm_(part.parameters, MAX_GRADIENT)
    optimizer.step()
    return float(loss.detach())


def _loss(logits: torch.Tensor, target: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Return weighted cross-entropy plus soft Dice loss; pixels of weight 0 do not exist.

    Source of the sum: Isensee et al., "nnU-Net", 2021; of soft Dice: Milletari et al., 2016.
    """
    entropy = nn.functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    chance = torch.sigmoid(logits) * weight
    wanted = target * weight
    overlap = (chance * target).sum()
    dice = (2 * overlap + 1) / (chance.sum() + wanted.sum() + 1)
    return (entropy * weight).sum() / weight.sum().clamp_min(1e-6) + 1 - dice


def _average_gradients(
    parameters: list[nn.Parameter], average: Callable[[torch.Tensor], torch.Tensor]
) -> None:
    """Replace every gradient by its mean over the workers, in one message."""
    gradients = [p.grad for p in parameters if p.grad is not None]
    flat = average(torch.cat([g.reshape(-1) for g in gradients]))
    means = torch.split(flat, [g.numel() for g in gradients])
    for gradient, mean in zip(gradients, means, strict=True):
        gradient.copy_(mean.view_as(gradient))
