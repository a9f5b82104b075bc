"""The student's training loop: seeded patches, Dice and cross-entropy, one cycle, averaged weights.

Two parts share one loop. First the prototypes alone learn from single clean pixels, unless they are the
teacher's; then patches made worse train the U-Net to see through noise, and leave the prototypes as they
are (those of a raw student learn on). A part is a row of epochs, and an epoch
is a function: from a `FitState` to the next, with draws of its own. So the same examples, seed,
threads and number of workers give the same bits, whether or not a training was interrupted between.

After every epoch of patches the averaged weights are asked about held-out blocks of the first slice,
which nothing is learned from: the best epoch's weights are kept, and a part that no longer gains ends.
The loop knows no clock: `Pace` is where a caller's enters.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import nn
from torch.utils import deterministic as deterministic_settings

from somray.kernels.student.course import PIXEL_SHARE, Gang, Pace, Plan
from somray.kernels.student.fit_state import FitState, begin, capture, load, load_optimizer
from somray.kernels.student.held_out import hold_out
from somray.kernels.student.loss import classes_loss, features_loss, student_loss
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
FEATURES_WEIGHT = 3.0
"""Weight of the features behind noise beside the mask's loss (bench_student_noise)."""
GAIN = 0.01
"""Share by which the held-out loss must fall to count as gain."""


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

    number: int
    loss: Callable[[Batch], torch.Tensor]
    parameters: dict[str, nn.Parameter]
    draw: Callable[[], Batch]
    steps: int
    rate: float
    epochs: int
    until: float
    asked: Batch | None = None


@dataclass(frozen=True)
class _Training:
    """What every part and epoch of one training goes by."""

    module: UNet
    sampler: Sampler
    plan: Plan
    seed: tuple[int, ...]
    gang: Gang
    pace: Pace


def fit_student(
    module: UNet,
    examples: Examples,
    plan: Plan,
    seed: tuple[int, ...],
    gang: Gang,
    pace: Pace,
) -> FitState:
    """Train a network in place and leave the best averaged weights in it.

    Call it inside `deterministic`, with the network on the gang's device.

    Args:
        module: the network, started (`start.start_from`) or trained before.
        examples: slices, targets and weights; blocks of the first slice are held out, the same for
            all trainings whose seeds begin alike.
        plan: steps, sizes, rates, patience.
        seed: numbers that decide which patches and pixels are drawn; part, epoch and rank are mixed
            in.
        gang: this worker among the others.
        pace: the caller's clock and budget, and where to go on.

    Returns:
        The last state. Its `rows` are one per epoch: `epoch` from 1, `loss` (mean), `learning_rate`
        (last), `seconds`, `held_out_loss` (None where nothing is held out).
    """
    learned, asked = hold_out(examples, seed[0], gang.device) if plan.patience else (examples, None)
    sampler = Sampler(learned, plan.patch, seed, gang.device)
    training = _Training(module, sampler, plan, seed, gang, pace)
    state = pace.resume or begin(module)
    prototypes, patches = _parts(training, asked)
    with deterministic(1):  # its arrays are small: threads would wait for each other
        state = _train(prototypes, training, state)
    state = _train(patches, training, state)
    load(module, state.weights)
    return state


def _parts(training: _Training, asked: Batch | None) -> tuple[_Part, _Part]:
    module, sampler, plan = training.module, training.sampler, training.plan
    world = training.gang.world
    pixels, patches = max(1, plan.pixels // world), max(1, plan.batch // world)
    everything = dict(module.named_parameters())
    prototypes = {n: p for n, p in everything.items() if n.startswith("prototypes.")}
    behind = {n: p for n, p in everything.items() if module.shape.raw or n not in prototypes}
    return (
        _Part(
            number=0,
            loss=partial(_pixel_loss, module),
            parameters=prototypes,
            draw=lambda: sampler.pixels(pixels),
            steps=plan.pixel_steps,
            rate=plan.pixel_rate,
            epochs=1,
            until=PIXEL_SHARE,
        ),
        _Part(
            number=1,
            loss=partial(_patch_loss, module, training.gang),
            parameters=behind,
            draw=lambda: sampler.patches(patches),
            steps=plan.steps,
            rate=plan.rate,
            epochs=plan.epochs,
            until=1.0,
            asked=asked,
        ),
    )


def _pixel_loss(module: UNet, batch: Batch) -> torch.Tensor:
    """Ask the prototypes about single pixels."""
    evidence = module.pointwise(batch.inputs)
    loss = student_loss(module.prototypes.margin(evidence), batch.target, batch.weight)
    if batch.classes is not None:
        loss = loss + classes_loss(evidence, batch.classes, batch.weight)
    return loss


def _patch_loss(module: UNet, gang: Gang, batch: Batch) -> torch.Tensor:
    """Ask the network about patches: what they show, and what their features were before the noise."""
    with torch.autocast(torch.device(gang.device).type, torch.bfloat16, enabled=gang.bf16):
        evidence, plane = module.judged(batch.inputs, learning=True)
    logits = module.prototypes.margin(evidence)
    loss = student_loss(logits, batch.target, batch.weight)
    if batch.classes is not None:
        loss = loss + classes_loss(evidence, batch.classes, batch.weight)
    if batch.clean is not None and not module.shape.raw:
        factors = module.prototypes.factors.detach().exp()
        clean = module.standardised(batch.clean)
        noisy = module.standardised(batch.inputs[:, : module.shape.inputs])
        loss = loss + FEATURES_WEIGHT * features_loss(
            plane.float(), clean, noisy, factors, batch.weight
        )
    return loss


def _train(part: _Part, training: _Training, state: FitState) -> FitState:
    """Run a part's epochs, or those that are left of it, and hand out the state after each."""
    pace, patience = training.pace, training.plan.patience
    first = pace.spent() if pace.spent else 0.0

    def spent(step: int) -> float:
        return max(step / part.steps, pace.share(first, part.until)) if part.steps else 1.0

    while state.part == part.number:
        share = spent(state.step)
        if share < 1:
            state, share = _epoch(part, training, state, spent)
        if share >= 1 or (part.asked and state.waited >= patience):
            state = state.next_part()
        if pace.save is not None:
            pace.save(state)
    return state


def _epoch(
    part: _Part, training: _Training, state: FitState, spent: Callable[[int], float]
) -> tuple[FitState, float]:
    """Train until the next epoch begins, at least one step; tell how much of the part is over."""
    pace, gang = training.pace, training.gang
    load(training.module, state.weights)
    training.sampler.reseed((*training.seed, part.number, state.epoch, gang.rank))
    learning = list(part.parameters.values())
    optimizer = torch.optim.AdamW(learning, lr=part.rate, weight_decay=WEIGHT_DECAY, fused=True)
    load_optimizer(optimizer, part.parameters, state)
    averaged = [
        torch.from_numpy((state.averaged or state.weights)[name]).to(gang.device, copy=True)
        for name in part.parameters
    ]
    losses, step, share, began = [], state.step, spent(state.step), pace.now()
    while True:
        rate = optimizer.param_groups[0]["lr"] = _one_cycle(share, part.rate)
        losses.append(_step(part, optimizer, gang))
        keep = min(AVERAGE_KEEP, (step + 1) / (step + 10))
        torch._foreach_lerp_(averaged, [p.detach() for p in learning], 1 - keep)
        step, share = step + 1, spent(step + 1)
        if share >= 1 or int(share * part.epochs) > state.epoch:
            break
    over = max(state.epoch + 1, int(share * part.epochs))
    moved = capture(training.module, part.parameters, averaged, optimizer, state)
    moved, held_out_loss = _judge(part, gang, replace(moved, step=step, epoch=over), averaged)
    row = {
        "epoch": len(state.rows) + 1,
        "loss": float(torch.stack(losses).double().mean()),  # the one wait for the device
        "learning_rate": rate,
        "seconds": pace.now() - began,
        "held_out_loss": held_out_loss,
    }
    return replace(moved, rows=(*state.rows, row)), share


def _judge(
    part: _Part, gang: Gang, state: FitState, averaged: list[torch.Tensor]
) -> tuple[FitState, float | None]:
    """Ask the averaged weights about the held-out pixels; keep them where they are the best so far."""
    if part.asked is None:
        return state, None
    learned = list(part.parameters.values())
    with torch.no_grad():
        kept = [p.clone() for p in learned]
        torch._foreach_copy_([*learned], averaged)
        loss = part.loss(part.asked).reshape(1)
        torch._foreach_copy_([*learned], kept)
    # Every worker must decide alike, to the last bit.
    figure = float(loss if gang.average is None else gang.average(loss))
    gained = state.gain_from is None or figure < (1 - GAIN) * state.gain_from
    state = replace(
        state,
        waited=0 if gained else state.waited + 1,
        gain_from=figure if gained else state.gain_from,
    )
    if state.best_loss is None or figure < state.best_loss:
        state = replace(state, best=state.averaged, best_loss=figure)
    return state, figure


def _one_cycle(spent: float, peak: float) -> float:
    """Return the rate: a cosine up from a tenth of the peak, then a cosine down to nothing.

    Source: Smith and Topin, "Super-convergence", 2018, with cosine arms.
    """
    if spent < WARM_UP:
        return peak * (0.1 + 0.9 * (1 - math.cos(math.pi * spent / WARM_UP)) / 2)
    return peak * (1 + math.cos(math.pi * min(1.0, (spent - WARM_UP) / (1 - WARM_UP)))) / 2


def _step(part: _Part, optimizer: torch.optim.Optimizer, gang: Gang) -> torch.Tensor:
    """Take one optimizer step and return its loss, which stays on the device."""
    batch = part.draw()
    optimizer.zero_grad(set_to_none=True)
    loss = part.loss(batch)
    loss.backward()  # type: ignore[no-untyped-call]
    if gang.average is not None:
        _average_gradients(list(part.parameters.values()), gang.average)
    nn.utils.clip_grad_norm_(part.parameters.values(), MAX_GRADIENT)
    optimizer.step()
    return loss.detach()


def _average_gradients(
    parameters: list[nn.Parameter], average: Callable[[torch.Tensor], torch.Tensor]
) -> None:
    """Replace every gradient by its mean over the workers, in one message."""
    gradients = [p.grad for p in parameters if p.grad is not None]
    flat = average(torch.cat([g.reshape(-1) for g in gradients]))
    means = torch.split(flat, [g.numel() for g in gradients])
    for gradient, mean in zip(gradients, means, strict=True):
        gradient.copy_(mean.view_as(gradient))
