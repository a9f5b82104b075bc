"""The student's rounds: trained on A, then A+B, then A+B+C, outward from the labelled slice, then on the cohort.

Of the slices only A carries the teacher's mask. Round r adds the r-th slice with the labels that the student
of the round before gave it, filtered by confidence, and trains on from that student. The teacher's masks of
the other slices are looked at to *measure* agreement, never to train or to choose. A round that collapses ends
these rounds, and the student before it is kept.

The cohort's round goes on from there with images of many scans, each taught by what its own scan's teacher, or
the object step after it, says: there a student can become better than what teaches it, since errors that differ
from scan to scan do not add up. Its agreement with the SOM may fall; that is no flaw.

Beside every round of slices stand two figures that it must beat: A's mask copied to every slice, and a control
that trained on from round 1 with the same number of steps on A alone. Probabilities are calibrated on blocks
that were not learned from: of A in round 1, of the cohort's images in its round.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from somray.domain.student import StudentModel
from somray.kernels.student.determinism import deterministic
from somray.kernels.student.network import UNet, build_unet, folded, unet_weights
from somray.kernels.student.predict import chances
from somray.kernels.student.rounds.collapse import (
    taught_dice,
    why_agreement_says_little,
    why_cohort_collapsed,
    why_collapsed,
)
from somray.kernels.student.rounds.constant import make_constant
from somray.kernels.student.rounds.figures import (
    COHORT,
    THRESHOLD,
    agreement_rows,
    check_lessons,
    copies_of_first,
    mean_iou,
    stage_name,
)
from somray.kernels.student.rounds.history import history_of
from somray.kernels.student.rounds.lesson import Lesson
from somray.kernels.student.rounds.spec import (
    Distributed,
    RoundsResult,
    RoundState,
    Row,
    StudentSpec,
    Weights,
    network_of,
    new_unet_of,
    student_of,
)
from somray.kernels.student.rounds.teaching import (
    cohort_examples,
    judged_of,
    slice_examples,
    spared_blocks,
)
from somray.kernels.student.training.calibration import Calibration, fit_calibration
from somray.kernels.student.training.fit_state import FitState
from somray.kernels.student.training.loop import train_network
from somray.kernels.student.training.patches import Example
from somray.kernels.student.training.schedule import TrainingHooks

__all__ = ["train_rounds"]

Chance = NDArray[np.float32]


def train_rounds(
    lessons: Sequence[Lesson],
    spec: StudentSpec,
    distributed: Distributed | None = None,
    clock: Callable[[], float] | None = None,
    start: Weights | None = None,
) -> RoundsResult:
    """Train a student over the rounds.

    Args:
        lessons: A, B, C … in this order, of which only A is learned from as the teacher sees it; then
            those of the cohort, which all are.
        spec: what to train.
        distributed: the other workers, and where to go on; alone and from the start without.
        clock: seconds since any moment, for `seconds` in the training rows (0 without).
        start: an encoder's weights, which the first round begins with; drawn by the seed without.

    Returns:
        The student and its tables. Where nothing that is learned from shows two sides, the student is
        constant, nothing is trained, and `model.history["note"]` says so.

    Raises:
        ShapeError: if the lessons or the start do not fit the spec, or A has no pixel that counts.
    """
    check_lessons(lessons, spec)
    distributed = distributed or Distributed()
    run = _Rounds(
        [lesson for lesson in lessons if not lesson.cohort],
        [lesson for lesson in lessons if lesson.cohort],
        spec,
        distributed,
        TrainingHooks(clock),
        start,
    )
    with deterministic(spec.threads):
        state = distributed.resume or run.begin()
        while not run.over(state):
            state = run.next(state)
            if distributed.save is not None:
                distributed.save(state)
        model = run.student(state)
    return RoundsResult(model, state.agreement, state.convergence, state.training)


@dataclass(frozen=True, eq=False)
class _Rounds:
    """One training: what it learns from, what is asked, who takes part."""

    slices: list[Lesson]
    cohort: list[Lesson]
    spec: StudentSpec
    distributed: Distributed
    hooks: TrainingHooks
    start: Weights | None = None

    @property
    def count(self) -> int:
        """Rounds of slices that can be done: each needs a slice of its own."""
        return min(self.spec.rounds, len(self.slices)) if self.slices[0].has_both_sides else 1

    @property
    def has_cohort(self) -> bool:
        """Whether the cohort teaches anything."""
        return any(lesson.has_both_sides for lesson in self.cohort)

    def begin(self) -> RoundState:
        """Return the state before round 1; where A shows one side only, the state after it."""
        module = new_unet_of(self.spec, self.start)
        state = RoundState(0, 0, unet_weights(module), {}, cohort=not self.has_cohort)
        return state if self.slices[0].has_both_sides else self._constant(state)

    def over(self, state: RoundState) -> bool:
        """Tell whether nothing is left to do."""
        return self._slices_done(state) and state.cohort

    def _slices_done(self, state: RoundState) -> bool:
        return state.done >= self.count or bool(state.collapsed)

    def next(self, state: RoundState) -> RoundState:
        """Do one round."""
        return self._cohort_round(state) if self._slices_done(state) else self._round(state)

    def _round(self, state: RoundState) -> RoundState:
        """Do one round of slices."""
        number = state.done + 1
        module = self._module(state.student)
        calibration = Calibration(**state.calibration)
        labels = self._chances(module, self.slices[1:number], calibration.temperature)
        spared = self._asked if number == 1 else None
        state = self._fit(module, slice_examples(self.slices, labels, spared, self.spec), state, 0)
        if number == 1:
            (said,) = self._chances(module, self.slices[:1])
            calibration = fit_calibration(said[self._asked], self.slices[0].mask[self._asked])
        found = self._chances(module, self.slices, calibration.temperature)
        control, control_iou = unet_weights(module), None
        if number > 1:
            twin = self._module(state.control)
            state = self._fit(twin, slice_examples(self.slices, [], None, self.spec), state, 1)
            control = unet_weights(twin)
            control_iou = self._iou(self._chances(twin, self.slices, calibration.temperature))
        rows = agreement_rows(number, stage_name(number), found, self.slices)
        pixels = [int(lesson.known.sum()) for lesson in self.slices]
        why = why_collapsed(rows, state.agreement, pixels)
        row = self._convergence(stage_name(number), found, state, why)
        return replace(
            self._after(state, rows, {**row, "control_iou": control_iou}),
            kept=state.kept if why else number,
            student=state.student if why else unet_weights(module),
            control=control,
            collapsed=(number,) if why else (),
            calibration=asdict(calibration),
        )

    def _cohort_round(self, state: RoundState) -> RoundState:
        """Do the cohort's round, on from the student that is kept; one that collapses is not."""
        number = state.done + 1
        begun = self.slices[0].has_both_sides  # a constant student is nothing to go on from
        fresh = None if begun else unet_weights(new_unet_of(self.spec, self.start))
        module = self._module(fresh or state.student)
        asked = spared_blocks(self.cohort, self.spec.seed)
        examples = cohort_examples(self.cohort, asked, self.spec)
        state = self._fit(module, examples, state, 0)
        seen = judged_of(self.cohort)
        said = self._chances(module, [self.cohort[n] for n in seen])
        calibration = fit_calibration(
            np.concatenate([chance[asked[n]] for n, chance in zip(seen, said, strict=True)]),
            np.concatenate([self.cohort[n].mask[asked[n]] for n in seen]),
        )
        found = self._chances(module, self.slices, calibration.temperature)
        rows = agreement_rows(number, COHORT, found, self.slices)
        taught = [self.cohort[n] for n in seen]
        why, dice = why_cohort_collapsed(said, taught), taught_dice(said, taught)
        row = self._convergence(COHORT, found, state, why)
        doubt = None if why else why_agreement_says_little(row["mean_iou"], dice)
        told = {**row, "control_iou": None, "taught_dice": dice, "doubt": doubt}
        return replace(
            self._after(state, rows, told),
            kept=state.kept if why else number,
            student=state.student if why else unet_weights(module),
            collapsed=(*state.collapsed, number) if why else state.collapsed,
            cohort=True,
            calibration=state.calibration if why else asdict(calibration),
        )

    def _after(self, state: RoundState, rows: list[Row], convergence: Row) -> RoundState:
        """Return the state with a round's tables; its trainings are over."""
        number = state.done + 1
        trained = [{"round": number, **row} for fit in state.fits[:1] for row in fit.rows]
        return replace(
            state,
            done=number,
            agreement=state.agreement + rows,
            convergence=[*state.convergence, convergence],
            training=state.training + trained,
            fits=(),
        )

    def _constant(self, state: RoundState) -> RoundState:
        """Let the student say everywhere the one side that A shows."""
        module = new_unet_of(self.spec)
        inside = bool(self.slices[0].mask.any())
        make_constant(module, inside=inside)
        found = [(lesson.known & inside).astype(np.float32) for lesson in self.slices]
        rows = agreement_rows(1, stage_name(1), found, self.slices)
        row = {**self._convergence(stage_name(1), found, state, None), "control_iou": None}
        return replace(self._after(state, rows, row), kept=1, student=unet_weights(module))

    def student(self, state: RoundState) -> StudentModel:
        """Return the student that is kept, with its temperature and what is to be said of it."""
        calibration = Calibration(**state.calibration)
        history = history_of(state, self.spec, self.slices, calibration)
        return student_of(self.spec, state.student, history, calibration.temperature)

    def _module(self, weights: Weights) -> UNet:
        return build_unet(network_of(self.spec), weights).to(self.distributed.group.device)

    def _chances(
        self, module: UNet, lessons: Sequence[Lesson], temperature: float = 1.0
    ) -> list[Chance]:
        """Return the probabilities of lessons, 0 where there is no data; planes of one volume share them."""
        network, group = folded(module), self.distributed.group
        seen: dict[int, Chance] = {}
        for lesson in lessons:
            if id(lesson.values) not in seen:
                seen[id(lesson.values)] = chances(
                    network,
                    lesson.values[None],
                    self.spec.views(lesson.windows),
                    self.spec.threads,
                    group.device,
                    temperature,
                )[0]
        return [seen[id(lesson.values)] for lesson in lessons]

    @cached_property
    def _asked(self) -> NDArray[np.bool_]:
        """Pixels of A that round 1 does not learn from; none where no other round follows."""
        first = self.slices[0]
        if self.count == 1:
            return np.zeros(first.target.shape, dtype=bool)
        return spared_blocks(self.slices[:1], self.spec.seed)[0]

    def _fit(
        self, module: UNet, examples: list[Example], state: RoundState, kind: int
    ) -> RoundState:
        """Train the student (kind 0) or the control (kind 1) for one round, or what is left of it."""
        number, save = state.done + 1, self.distributed.save
        stage = 2 if self._slices_done(state) else min(number - 1, 1)

        def after(fit: FitState) -> RoundState:
            return replace(state, fits=(*state.fits[:kind], fit, *state.fits[kind + 1 :]))

        hooks = replace(
            self.hooks,
            resume=state.fits[kind] if len(state.fits) > kind else None,
            save=None if save is None else lambda fit: save(after(fit)),
        )
        seed, group = (self.spec.seed, number, kind), self.distributed.group
        return after(train_network(module, examples, self.spec.schedule(stage), seed, group, hooks))

    def _iou(self, found: Sequence[Chance]) -> float | None:
        masks = [chance >= THRESHOLD for chance in found[: self.count]]
        return mean_iou(masks, self.slices[: self.count])

    def _convergence(
        self, stage: str, found: Sequence[Chance], state: RoundState, why: str | None
    ) -> Row:
        mean = self._iou(found)
        before = state.convergence[-1]["mean_iou"] if state.convergence else None
        delta = None if mean is None or before is None else mean - before
        near = delta is not None and abs(delta) < self.spec.tolerance
        copies = copies_of_first(self.slices[: self.count])
        return {
            "round": state.done + 1,
            "stage": stage,
            "mean_iou": mean,
            "delta_iou": delta,
            "converged": near and why is None,
            "copy_forward_iou": mean_iou(copies, self.slices[: self.count]),
            "collapse": why,
        }
