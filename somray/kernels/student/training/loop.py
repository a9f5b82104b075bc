"""The student's training loop: seeded patches, Dice and cross-entropy, one cycle, averaged weights.

A training is a row of epochs, and an epoch is a function: from a `FitState` to the next, with draws of its
own. So the same examples, seed, threads and number of workers give the same bits, whether or not a training
was interrupted between. The loop knows no clock: `Pace` is where a caller's enters.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import nn
from torch.utils import deterministic as deterministic_settings

from somray.kernels.student.network import UNet, laid_out
from somray.kernels.student.training.fit_state import FitState, begin, capture, load, load_optimizer
from somray.kernels.student.training.loss import student_loss
from somray.kernels.student.training.muon import Muon
from somray.kernels.student.training.patches import Batch, Example, Sampler
from somray.kernels.student.training.schedule import Gang, Pace, Plan

__all__ = ["deterministic", "train_network"]

WARM_UP = 0.2
"""Share of a training in which the rate rises."""
AVERAGE_KEEP = 0.97
"""Share of the averaged weights kept at every step, once it has run for a while."""
MAX_GRADIENT = 1.0
"""Longest gradient; a longer one is scaled down."""
SETTLED = 0.1
"""Share of a training after which normalisation keeps the statistics it has: what a patch is scaled by then no
longer depends on its neighbours in the batch, and levels are learned exactly (Dice beside A .930 to .949 in as
many steps; crlm)."""


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
class _Training:
    """What every epoch of one training goes by."""

    module: UNet
    sampler: Sampler
    plan: Plan
    seed: tuple[int, ...]
    gang: Gang
    pace: Pace

    def spent(self, step: int) -> float:
        """Return how much of the training is over: of its steps, or of the caller's time."""
        return max(step / self.plan.steps, self.pace.spent() if self.pace.spent else 0.0)


def train_network(
    module: UNet,
    examples: Sequence[Example],
    plan: Plan,
    seed: tuple[int, ...],
    gang: Gang | None = None,
    pace: Pace | None = None,
) -> FitState:
    """Train a network in place and leave the averaged weights in it.

    Call it inside `deterministic`, with the network on the gang's device.

    Args:
        module: the network, new or trained before.
        examples: what to learn from.
        plan: steps, sizes, rates.
        seed: numbers that decide the patches; epoch and rank are mixed in.
        gang: this worker among the others; alone without.
        pace: the caller's clock and budget, and where to go on.
    """
    gang, pace = gang or Gang(), pace or Pace()
    if module.shape.dimensions == 2:
        laid_out(module, channels_last=True)  # a step is a sixth shorter on a CPU
    sampler = Sampler(examples, plan.patch, seed)
    training = _Training(module, sampler, plan, seed, gang, pace)
    state = pace.resume or begin(module)
    while training.spent(state.step) < 1 and not state.done:
        state = _epoch(training, state)
        if pace.save is not None:
            pace.save(state)
    load(module, {**state.weights, **state.averaged})
    module.eval()
    return state


def _epoch(training: _Training, state: FitState) -> FitState:
    """Train until the next epoch begins, at least one step."""
    module, plan, pace, gang = training.module, training.plan, training.pace, training.gang
    load(module, state.weights)
    module.train()
    training.sampler.reseed((*training.seed, state.epoch, gang.rank))
    learned = dict(module.named_parameters())
    optimizer = Muon(learned.values(), plan.rate)
    load_optimizer(optimizer, learned, state)
    held = {name: t for name, t in module.state_dict().items() if t.is_floating_point()}
    averaged = [
        torch.from_numpy((state.averaged or state.weights)[name]).to(gang.device, copy=True)
        for name in held
    ]
    losses, step, share, began = [], state.step, training.spent(state.step), pace.now()
    while True:
        if share >= SETTLED:
            _settle(module)
        rate = optimizer.param_groups[0]["lr"] = _one_cycle(share, plan.rate)
        batch = training.sampler.draw(max(1, plan.batch // gang.world))
        losses.append(_step(module, batch, optimizer, gang))
        keep = min(AVERAGE_KEEP, (step + 1) / (step + 10))
        torch._foreach_lerp_(averaged, [t.detach() for t in held.values()], 1 - keep)
        step, share = step + 1, training.spent(step + 1)
        if share >= 1 or int(share * plan.epochs) > state.epoch:
            break
    if gang.average is not None:  # statistics of normalisation are each worker's own until here
        _average([t for name, t in held.items() if name not in learned], gang)
        _average(averaged, gang)
    moved = capture(module, learned, dict(zip(held, averaged, strict=True)), optimizer, state)
    row = {
        "epoch": len(state.rows) + 1,
        "loss": float(torch.stack(losses).double().mean()),  # the one wait for the device
        "learning_rate": rate,
        "seconds": pace.now() - began,
    }
    over = max(state.epoch + 1, int(share * plan.epochs))
    return replace(moved, step=step, epoch=over, done=share >= 1, rows=(*state.rows, row))


def _settle(module: nn.Module) -> None:
    """Let normalisations use their running statistics, and keep them."""
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d | nn.BatchNorm3d):
            part.eval()


def _one_cycle(spent: float, peak: float) -> float:
    """Return the rate: a cosine up from a tenth of the peak, then a cosine down to nothing.

    Source: Smith and Topin, "Super-convergence", 2018, with cosine arms.
    """
    if spent < WARM_UP:
        return peak * (0.1 + 0.9 * (1 - math.cos(math.pi * spent / WARM_UP)) / 2)
    return peak * (1 + math.cos(math.pi * min(1.0, (spent - WARM_UP) / (1 - WARM_UP)))) / 2


def _step(module: UNet, batch: Batch, optimizer: torch.optim.Optimizer, gang: Gang) -> torch.Tensor:
    """Take one optimizer step and return its loss, which stays on the device."""
    inputs, target, weight = (
        part.to(gang.device, non_blocking=True)
        for part in (batch.inputs, batch.target, batch.weight)
    )
    if module.shape.dimensions == 2:
        inputs = inputs.contiguous(memory_format=torch.channels_last)
    optimizer.zero_grad(set_to_none=True)
    with torch.autocast(torch.device(gang.device).type, torch.bfloat16, enabled=gang.bf16):
        logits = module(inputs)
    loss = student_loss(logits.float(), target, weight)
    loss.backward()  # type: ignore[no-untyped-call]
    parameters = list(module.parameters())
    if gang.average is not None:
        _average([p.grad for p in parameters if p.grad is not None], gang)
    nn.utils.clip_grad_norm_(parameters, MAX_GRADIENT)
    optimizer.step()
    return loss.detach()


def _average(tensors: Sequence[torch.Tensor], gang: Gang) -> None:
    """Replace tensors by their means over the workers, in one message."""
    if gang.average is None or not tensors:
        return
    flat = gang.average(torch.cat([tensor.reshape(-1) for tensor in tensors]))
    means = torch.split(flat, [tensor.numel() for tensor in tensors])
    for tensor, mean in zip(tensors, means, strict=True):
        tensor.copy_(mean.view_as(tensor))
