"""How a round is measured: the student's masks against the teacher's, slice by slice."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from somray.errors import ShapeError
from somray.kernels.metrics import agreement
from somray.kernels.student.inputs import Look, noise_reference, student_inputs
from somray.kernels.student.lesson import Lesson
from somray.kernels.student.perturb import NoisySlice
from somray.kernels.student.spec import Row, StudentSpec

__all__ = [
    "THRESHOLD",
    "TrainingSlices",
    "agreement_rows",
    "copies_of_first",
    "letter",
    "mean_iou",
    "prepare_slices",
    "stage_name",
]

LETTERS = 26
THRESHOLD = 0.5
"""Probability from which the student says target."""


@dataclass(frozen=True, eq=False)
class TrainingSlices:
    """Slices A, B, C … as the network sees them; they may differ in shape.

    Args:
        stacks: per slice (d, y, x) float32 inputs, NaN where there is no data.
        teacher: per slice (y, x) bool, the teacher's target where a pixel counts.
        known: per slice (y, x) bool, where a pixel has data and counts.
        noisy: per slice what makes it worse.
        noise: (c, 6) noise of A.
        first_target: (y, x) what is learned of A: its mask, or how far pixels belong to the target.
        first_places: (y, x) place of A's pixels among the classes, -1 where none is known.
    """

    stacks: list[NDArray[np.float32]]
    teacher: list[NDArray[np.bool_]]
    known: list[NDArray[np.bool_]]
    noisy: list[NoisySlice]
    noise: NDArray[np.float64]
    first_target: NDArray[Any]
    first_places: NDArray[np.int64]

    @property
    def has_both_sides(self) -> bool:
        """Whether the labelled slice shows target and something else."""
        inside = self.teacher[0][self.known[0]]
        return bool(inside.any() and not inside.all())


def prepare_slices(lessons: Sequence[Lesson], spec: StudentSpec) -> TrainingSlices:
    """Check the lessons that `train_rounds` is given and compute the network's inputs.

    Raises:
        ShapeError: lessons and spec do not fit, or the first slice has no pixel that counts.
    """
    if not lessons:
        raise ShapeError("a training needs at least one lesson, the labelled slice")
    for lesson in lessons:
        if len(lesson.image) != len(spec.channels):
            raise ShapeError(
                f"images must be ({len(spec.channels)}, y, x) for channels "
                f"{', '.join(spec.channels)}, got {lesson.image.shape}"
            )
        beside = 0 if lesson.around is None else len(lesson.around) // 2
        if beside != spec.neighbours:
            raise ShapeError(
                f"a student that sees {spec.neighbours} slices on either side got {beside} of them"
            )
    if min(spec.rounds, spec.steps, spec.threads) < 1:
        raise ShapeError(
            "rounds, steps and threads must be positive, got "
            f"{spec.rounds}, {spec.steps}, {spec.threads}"
        )
    known = [lesson.known for lesson in lessons]
    if not known[0].any():
        raise ShapeError("the labelled slice (the first one) has no pixel that counts")
    first = lessons[0]
    noise = noise_reference(first.image, first.windows or spec.windows, spec.channels)
    looks = [_look(lesson, spec, noise) for lesson in lessons]
    teacher = [lesson.teacher & counts for lesson, counts in zip(lessons, known, strict=True)]
    return TrainingSlices(
        stacks=[
            student_inputs(lesson.image, look, lesson.around)
            for lesson, look in zip(lessons, looks, strict=True)
        ],
        teacher=teacher,
        known=known,
        noisy=[
            NoisySlice(lesson.image, spec.channels, look.at_crops_of(lesson.image), lesson.around)
            for lesson, look in zip(lessons, looks, strict=True)
        ],
        noise=noise,
        first_target=_first_target(first, teacher[0], spec),
        first_places=_places(first, teacher[0], spec),
    )


def _look(lesson: Lesson, spec: StudentSpec, noise: NDArray[np.float64]) -> Look:
    return Look(
        windows=lesson.windows or spec.windows,
        feature_names=spec.feature_names,
        spacing_mm=lesson.spacing_mm or spec.spacing_mm,
        reference_mm=spec.spacing_mm,
        noise=noise,
    )


def _first_target(first: Lesson, mask: NDArray[np.bool_], spec: StudentSpec) -> NDArray[Any]:
    if spec.labels != "soft":
        return mask
    if first.membership is None:
        raise ShapeError("soft labels need a lesson with membership")
    return first.membership


def _places(first: Lesson, mask: NDArray[np.bool_], spec: StudentSpec) -> NDArray[np.int64]:
    """Return the place of every pixel's class: the classes' own, or target 0 and rest 1."""
    classes = spec.start.classes if spec.start else spec.classes
    if spec.labels != "classes" or not classes:
        return np.where(mask, 0, 1)
    if first.classes is None:
        raise ShapeError("labels of several classes need a lesson with classes")
    places = np.full(mask.shape, -1)
    for place, value in enumerate(classes):
        places[first.classes == value] = place
    return places


def letter(index: int) -> str:
    """Name a slice by its place: A, B, C …; after Z come S27, S28."""
    return chr(ord("A") + index) if index < LETTERS else f"S{index + 1}"


def stage_name(count: int) -> str:
    """Return the slices trained on as the tables name them: A, A+B, A+B+C."""
    return "+".join(letter(n) for n in range(count))


def agreement_rows(
    number: int, chances: Sequence[NDArray[np.float32]], slices: TrainingSlices
) -> list[Row]:
    """Measure every slice after round `number`; one without a pixel that counts has no row.

    Args:
        number: of the round, from 1.
        chances: per slice (y, x) calibrated probabilities, target from one half on.
        slices: what the teacher says of them.

    Returns:
        Rows of the table `agreement` with the slice's place for subject, session, t and z.
    """
    rows = []
    for index, (chance, known) in enumerate(zip(chances, slices.known, strict=True)):
        if not known.any():
            continue
        said = chance[known]
        mask = said >= THRESHOLD
        sure = np.abs(2 * said[mask].astype(np.float64) - 1)
        rows.append(
            {
                "round": number,
                "stage": stage_name(number),
                "slice": index,
                "role": "train" if index == 0 else "pseudo" if index < number else "held_out",
                "ref": "som_teacher",
                **agreement(mask, slices.teacher[index][known]),
                "target_fraction": float(mask.mean()),
                "confidence": float(sure.mean()) if len(sure) else None,
            }
        )
    return rows


def copies_of_first(slices: TrainingSlices) -> list[NDArray[np.bool_]]:
    """Return A's mask laid on every slice, by nearest pixel where a slice has another shape."""
    mask = slices.teacher[0]
    return [_stretched(mask, known.shape) for known in slices.known]


def _stretched(mask: NDArray[np.bool_], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    rows, columns = (
        (np.arange(size) * 2 + 1) * old // (2 * size)
        for size, old in zip(shape, mask.shape, strict=True)
    )
    return np.asarray(mask[np.ix_(rows, columns)])


def mean_iou(
    masks: Sequence[NDArray[np.bool_]], slices: TrainingSlices, count: int
) -> float | None:
    """Return the mean IoU with the teacher over the first slices; None where none has an IoU."""
    found = [
        agreement(masks[n][slices.known[n]], slices.teacher[n][slices.known[n]])["iou"]
        for n in range(count)
    ]
    figures = [iou for iou in found if iou is not None]
    return math.fsum(figures) / len(figures) if figures else None
