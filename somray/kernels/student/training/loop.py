"""The training loop: seeded lessons, one cycle, averaged weights; the student's are patches of images.

A training is a row of epochs, and an epoch is a function: from a `FitState` to the next, with draws of its
own. So the same examples, seed, threads and number of workers give the same bits, whether or not a training
was interrupted between. The loop knows no clock: `TrainingHooks` is where a caller's enters. What a step learns
from is a `TrainingCourse`'s own: pixels with labels here, masked pixels in `kernels/pretrain`.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import nn

from somray.kernels.student.network import unet_weights
from somray.kernels.student.training.capture import capture, load, load_optimizer
from somray.kernels.student.training.fit_state import FitState
from somray.kernels.student.training.loss import student_loss
from somray.kernels.student.training.muon import Muon
from somray.kernels.student.training.patches import Batch, Example, Sampler
from somray.kernels.student.training.schedule import ProcessGroup, TrainingHooks, TrainingSchedule

__all__ = ["TrainingCourse", "average_over", "train_course", "train_network"]

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


@dataclass(frozen=True)
class TrainingCourse:
    """What every epoch of one training goes by.

    Args:
        module: the network, on the gang's device; trained in place.
        schedule: steps and rates.
        begin: called with an epoch's number before it, so that it draws what it learns from anew.
        loss: draws a batch and gives its loss; it depends on every parameter, of each worker.
        group: this worker among the others.
        hooks: the caller's clock and budget, and where to go on.
        facts: what else an epoch's row tells, asked after it.
    """

    module: nn.Module
    schedule: TrainingSchedule
    begin: Callable[[int], None]
    loss: Callable[[], torch.Tensor]
    group: ProcessGroup = field(default_factory=ProcessGroup)
    hooks: TrainingHooks = field(default_factory=TrainingHooks)
    facts: Callable[[], dict[str, Any]] = dict  # Any: cells of a row

    def spent(self, step: int) -> float:
        """Return how much of the training is over: of its steps, or of the caller's time."""
        return max(step / self.schedule.steps, self.hooks.spent() if self.hooks.spent else 0.0)


def train_network(
    module: nn.Module,
    examples: Sequence[Example],
    schedule: TrainingSchedule,
    seed: tuple[int, ...],
    group: ProcessGroup | None = None,
    hooks: TrainingHooks | None = None,
) -> FitState:
    """Train a network in place and leave the averaged weights in it.

    Call it inside `deterministic`, with the network on the gang's device.

    Args:
        module: the network, new or trained before: (b, d, [z,] y, x) to logits (b, [z,] y, x).
        examples: what to learn from.
        schedule: steps, sizes, rates.
        seed: numbers that decide the patches; epoch and rank are mixed in.
        group: this worker among the others; alone without.
        hooks: the caller's clock and budget, and where to go on.
    """
    group, hooks = group or ProcessGroup(), hooks or TrainingHooks()
    sampler = Sampler(examples, schedule.patch, seed)
    count = max(1, schedule.batch // group.world)
    return train_course(
        TrainingCourse(
            module,
            schedule,
            begin=lambda epoch: sampler.reseed((*seed, epoch, group.rank)),
            loss=lambda: _loss(module, sampler.draw(count), group),
            group=group,
            hooks=hooks,
        ),
        flat=examples[0].target.ndim == 2,
    )


def train_course(course: TrainingCourse, *, flat: bool) -> FitState:
    """Train a course's network in place and leave the averaged weights in it; inside `deterministic`.

    Args:
        course: what to go by.
        flat: whether it sees slices: their networks lie in memory with channels last.
    """
    module, hooks = course.module, course.hooks
    if flat:  # a step is a sixth shorter on a CPU
        module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs
    state = hooks.resume or FitState(unet_weights(module))
    while course.spent(state.step) < 1 and not state.done:
        state = _epoch(course, state)
        if hooks.save is not None:
            hooks.save(state)
    load(module, {**state.weights, **state.averaged})
    module.eval()
    return state


def _epoch(course: TrainingCourse, state: FitState) -> FitState:
    """Train until the next epoch begins, at least one step."""
    module, schedule, hooks, group = course.module, course.schedule, course.hooks, course.group
    load(module, state.weights)
    module.train()
    course.begin(state.epoch)
    learned = dict(module.named_parameters())
    optimizer = Muon(learned.values(), schedule.rate)
    load_optimizer(optimizer, learned, state)
    held = {name: t for name, t in module.state_dict().items() if t.is_floating_point()}
    averaged = [
        torch.from_numpy((state.averaged or state.weights)[name]).to(group.device, copy=True)
        for name in held
    ]
    losses, step, share, began = [], state.step, course.spent(state.step), hooks.now()
    while True:
        if share >= SETTLED:
            _settle(module)
        rate = optimizer.param_groups[0]["lr"] = _one_cycle(share, schedule.rate)
        losses.append(_step(course, optimizer))
        keep = min(AVERAGE_KEEP, (step + 1) / (step + 10))
        torch._foreach_lerp_(averaged, [t.detach() for t in held.values()], 1 - keep)
        step, share = step + 1, course.spent(step + 1)
        if share >= 1 or int(share * schedule.epochs) > state.epoch:
            break
    if group.average is not None:  # statistics of normalisation are each worker's own until here
        average_over([t for name, t in held.items() if name not in learned], group)
        average_over(averaged, group)
    moved = capture(module, learned, dict(zip(held, averaged, strict=True)), optimizer, state)
    row = {
        "epoch": len(state.rows) + 1,
        "loss": float(torch.stack(losses).double().mean()),  # the one wait for the device
        "learning_rate": rate,
        "seconds": hooks.now() - began,
        **course.facts(),
    }
    over = max(state.epoch + 1, int(share * schedule.epochs))
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


def _step(course: TrainingCourse, optimizer: torch.optim.Optimizer) -> torch.Tensor:
    """Take one optimizer step and return its loss, which stays on the device."""
    optimizer.zero_grad(set_to_none=True)
    loss = course.loss()
    loss.backward()  # type: ignore[no-untyped-call]
    parameters = list(course.module.parameters())
    if course.group.average is not None:
        average_over([p.grad for p in parameters if p.grad is not None], course.group)
    nn.utils.clip_grad_norm_(parameters, MAX_GRADIENT)
    optimizer.step()
    return loss.detach()


def _loss(module: nn.Module, batch: Batch, group: ProcessGroup) -> torch.Tensor:
    """Return the loss of labelled patches."""
    inputs, target, weight = (
        part.to(group.device, non_blocking=True)
        for part in (batch.inputs, batch.target, batch.weight)
    )
    if inputs.ndim == 4:
        inputs = inputs.contiguous(memory_format=torch.channels_last)
    with torch.autocast(torch.device(group.device).type, torch.bfloat16, enabled=group.bf16):
        logits = module(inputs)
    return student_loss(logits.float(), target, weight)


def average_over(tensors: Sequence[torch.Tensor], group: ProcessGroup) -> None:
    """Replace tensors by their means over the workers, in one message."""
    if group.average is None or not tensors:
        return
    flat = group.average(torch.cat([tensor.reshape(-1) for tensor in tensors]))
    means = torch.split(flat, [tensor.numel() for tensor in tensors])
    for tensor, mean in zip(tensors, means, strict=True):
        tensor.copy_(mean.view_as(tensor))
