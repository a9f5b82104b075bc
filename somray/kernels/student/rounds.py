"""The student's rounds: trained on A, then A+B, then A+B+C, outward from the labelled slice.

Only A carries the teacher's mask. Round r adds the r-th slice with the labels that the student of the
round before gave it, filtered by confidence, and trains on from that student. The teacher's masks of
the other slices are looked at to *measure* agreement, never to train or to choose. Probabilities are
calibrated after round 1 on blocks of A that it did not learn from; later rounds do, since on small
targets a tenth of A is worth more than a fresh temperature. A round that collapses ends the training, and
the student before it is kept.

Beside every round stand two figures that it must beat: A's mask copied to every slice, and a control
that trained on from round 1 with the same number of steps on A alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from somray.domain.student import StudentModel
from somray.kernels.student.calibration import Calibration, fit_calibration
from somray.kernels.student.collapse import why_collapsed
from somray.kernels.student.course import Pace, Plan
from somray.kernels.student.fit import deterministic, fit_student
from somray.kernels.student.fit_state import FitState
from somray.kernels.student.held_out import held_out_blocks
from somray.kernels.student.lesson import Lesson
from somray.kernels.student.networks import network_of, student_of
from somray.kernels.student.predict import probabilities
from somray.kernels.student.pseudo_labels import pseudo_labels
from somray.kernels.student.round_figures import (
    THRESHOLD,
    TrainingSlices,
    agreement_rows,
    copies_of_first,
    mean_iou,
    prepare_slices,
    stage_name,
)
from somray.kernels.student.round_history import constant_history, history_of
from somray.kernels.student.sampling import Examples
from somray.kernels.student.spec import (
    Distributed,
    RoundsResult,
    RoundState,
    Row,
    StudentSpec,
    Weights,
)
from somray.kernels.student.start import start_constant, start_from, start_from_centroids
from somray.kernels.student.unet import UNet, build_unet, new_unet, unet_weights

__all__ = ["RoundsResult", "StudentSpec", "network_of", "student_of", "train_rounds"]

PIXEL_STEPS = 10, 2
"""Steps of the prototypes per step on patches, in round 1 and in later ones (bench_student)."""


def train_rounds(
    lessons: Sequence[Lesson],
    spec: StudentSpec,
    distributed: Distributed | None = None,
    clock: Callable[[], float] | None = None,
) -> RoundsResult:
    """Train a student over the rounds.

    Args:
        lessons: slices A, B, C … in this order, of one scan or several; only A's teacher is learned
            from.
        spec: what to train.
        distributed: the other workers, and where to go on; alone and from the start without.
        clock: seconds since any moment, for `seconds` in the training rows (0 without).

    Returns:
        The student and its tables. Where the target fills A or is absent from it, the student is
        constant, nothing is trained, and `model.history["note"]` says so.

    Raises:
        ShapeError: if the lessons do not fit the spec, or A has no pixel that counts.
    """
    slices = prepare_slices(lessons, spec)
    if not slices.has_both_sides:
        return _constant(slices, spec)
    distributed = distributed or Distributed()
    run = _Rounds(slices, spec, distributed, Pace(clock))
    state = distributed.resume or run.begin()
    with deterministic(spec.threads):
        while state.done < run.count and not state.collapsed:
            state = run.next(state)
            if distributed.save is not None:
                distributed.save(state)
        model = run.student(state)
    return RoundsResult(model, state.agreement, state.convergence, state.training)


@dataclass(frozen=True, eq=False)
class _Rounds:
    """One training: what it learns from, what is asked, who takes part."""

    slices: TrainingSlices
    spec: StudentSpec
    distributed: Distributed
    pace: Pace

    @property
    def count(self) -> int:
        """Rounds that can be done: each needs a slice of its own."""
        return min(self.spec.rounds, len(self.slices.stacks))

    def begin(self) -> RoundState:
        """Return the state before round 1: standardisation and prototypes from A."""
        module = new_unet(network_of(self.spec), self.spec.seed)
        data = self.slices
        if self.spec.start is not None:
            start_from_centroids(module, self.spec.start)
        else:
            start_from(module, data.stacks[0], data.first_places, data.known[0], self.spec.seed)
        module.noise.copy_(torch.from_numpy(data.noise))
        return RoundState(0, 0, unet_weights(module), {})

    def next(self, state: RoundState) -> RoundState:
        """Do one round."""
        number = state.done + 1
        module = self._module(state.student)
        calibration = Calibration(**state.calibration)
        labels = self._chances(module, calibration)[1:number] if number > 1 else []
        examples = self._examples(labels, spared=number == 1)
        state = self._fit(module, examples, state, 0)
        if number == 1:
            asked = self._asked
            calibration = fit_calibration(
                self._chance(module, 0)[asked], self.slices.teacher[0][asked]
            )
        chances = self._chances(module, calibration)
        control, control_iou = unet_weights(module), None
        if number > 1:
            twin = self._module(state.control)
            state = self._fit(twin, self._examples([], spared=False), state, 1)
            control, control_iou = unet_weights(twin), self._iou(self._chances(twin, calibration))
        rows = agreement_rows(number, chances, self.slices)
        pixels = [int(known.sum()) for known in self.slices.known]
        why = why_collapsed(rows, state.agreement, pixels)
        row = self._convergence(number, chances, state, why)
        return RoundState(
            done=number,
            kept=state.kept if why else number,
            student=state.student if why else unet_weights(module),
            control=control,
            agreement=state.agreement + rows,
            convergence=[*state.convergence, {**row, "control_iou": control_iou}],
            training=state.training + [{"round": number, **row} for row in state.fits[0].rows],
            collapsed=(number,) if why else (),
            calibration=asdict(calibration),
        )

    def student(self, state: RoundState) -> StudentModel:
        """Return the student that is kept, with its temperature and what is to be said of it."""
        calibration = Calibration(**state.calibration)
        history = history_of(state, self.spec, len(self.slices.stacks), calibration)
        model = student_of(self.spec, state.student, history)
        return replace(model, temperature=calibration.temperature)

    def _module(self, weights: Weights) -> UNet:
        return build_unet(network_of(self.spec), weights).to(self.distributed.gang.device)

    def _chance(self, module: UNet, index: int, temperature: float = 1.0) -> NDArray[np.float32]:
        """Return a slice's (y, x) probabilities, 0 where no pixel counts."""
        stack, device = self.slices.stacks[index], self.distributed.gang.device
        chance = probabilities(module, stack, device, temperature=temperature)
        chance[~self.slices.known[index]] = 0.0
        return chance

    def _chances(self, module: UNet, calibration: Calibration) -> list[NDArray[np.float32]]:
        """Return every slice's (y, x) calibrated probabilities."""
        count, temperature = len(self.slices.stacks), calibration.temperature
        return [self._chance(module, index, temperature) for index in range(count)]

    @cached_property
    def _asked(self) -> NDArray[np.bool_]:
        """Pixels (y, x) of A that round 1 does not learn from; none where no other round follows."""
        teacher, known = self.slices.teacher[0], self.slices.known[0]
        asked = np.zeros(known.shape, dtype=bool)
        if self.count == 1:
            return asked
        for block in held_out_blocks(teacher, known, self.spec.seed):
            asked[block] = known[block]
        return asked

    def _examples(self, labels: Sequence[NDArray[np.float32]], *, spared: bool) -> Examples:
        """Label A by the teacher, all but what is spared, and the next slices by the student."""
        known = self.slices.known
        learned = known[0] & ~self._asked if spared else known[0]
        target: list[NDArray[Any]] = [self.slices.first_target]
        weight = [learned.astype(np.float32)]
        for chance, counted in zip(labels, known[1:], strict=False):
            said, counts = pseudo_labels(chance, counted)
            target.append(said)
            weight.append(counts)
        count = len(target)
        classes = self._classes(count) if self.spec.labels == "classes" else ()
        return Examples(
            self.slices.stacks[:count], target, weight, self.slices.noisy[:count], classes
        )

    def _classes(self, count: int) -> list[NDArray[np.int64]]:
        """Return A's classes as places; the other slices have none."""
        first = self.slices.first_places
        return [first, *(np.full(k.shape, -1) for k in self.slices.known[1:count])]

    def _fit(self, module: UNet, examples: Examples, state: RoundState, kind: int) -> RoundState:
        """Train the student (kind 0) or the control (kind 1) for one round, or what is left of it."""
        number, steps, save = state.done + 1, self.spec.steps, self.distributed.save
        pixel_steps = 0 if self.spec.start else steps * PIXEL_STEPS[min(number, 2) - 1]
        plan = Plan(steps=steps, pixel_steps=pixel_steps)

        def after(fit: FitState) -> RoundState:
            return replace(state, fits=(*state.fits[:kind], fit, *state.fits[kind + 1 :]))

        pace = replace(
            self.pace,
            resume=state.fits[kind] if len(state.fits) > kind else None,
            save=None if save is None else lambda fit: save(after(fit)),
        )
        seed = (self.spec.seed, number, kind)
        return after(fit_student(module, examples, plan, seed, self.distributed.gang, pace))

    def _iou(self, chances: Sequence[NDArray[np.float32]]) -> float | None:
        return mean_iou([c >= THRESHOLD for c in chances], self.slices, self.count)

    def _convergence(
        self,
        number: int,
        chances: Sequence[NDArray[np.float32]],
        state: RoundState,
        why: str | None,
    ) -> Row:
        mean = self._iou(chances)
        before = state.convergence[-1]["mean_iou"] if state.convergence else None
        delta = None if mean is None or before is None else mean - before
        near = delta is not None and abs(delta) < self.spec.tolerance
        return {
            "round": number,
            "stage": stage_name(number),
            "mean_iou": mean,
            "delta_iou": delta,
            "converged": near and why is None,
            "copy_forward_iou": mean_iou(copies_of_first(self.slices), self.slices, self.count),
            "collapse": why,
        }


def _constant(slices: TrainingSlices, spec: StudentSpec) -> RoundsResult:
    """Return the student of a slice that shows one side only: it says that side everywhere."""
    inside = bool(slices.teacher[0].any())
    module = new_unet(network_of(spec), spec.seed)
    start_constant(module, inside=inside)
    chances = [(known & inside).astype(np.float32) for known in slices.known]
    count = min(spec.rounds, len(slices.known))
    row = {
        "round": 1,
        "stage": stage_name(1),
        "mean_iou": mean_iou([c >= THRESHOLD for c in chances], slices, count),
        "delta_iou": None,
        "converged": False,
        "copy_forward_iou": mean_iou(copies_of_first(slices), slices, count),
        "control_iou": None,
        "collapse": None,
    }
    model = student_of(spec, unet_weights(module), constant_history(spec, inside=inside))
    return RoundsResult(model, agreement_rows(1, chances, slices), [row], [])
