"""How a round is measured: the student's masks against the teacher's, slice by slice."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from somray.errors import ShapeError
from somray.kernels.metrics.overlap import agreement, bounding_box
from somray.kernels.student.rounds.lesson import Lesson
from somray.kernels.student.rounds.spec import Row, StudentSpec

__all__ = [
    "COHORT",
    "THRESHOLD",
    "agreement_rows",
    "check_lessons",
    "copies_of_first",
    "letter",
    "mean_iou",
    "stage_name",
]

LETTERS = 26
THRESHOLD = 0.5
"""Probability from which the student says target."""
COHORT = "cohort"
"""Name of the cohort's stage."""


def check_lessons(lessons: Sequence[Lesson], spec: StudentSpec) -> None:
    """Check the lessons that `train_rounds` is given.

    Raises:
        ShapeError: lessons and spec do not fit, or the first slice has no pixel that counts.
    """
    if not lessons or lessons[0].cohort:
        raise ShapeError("a training needs at least one lesson, the labelled slice")
    for lesson in lessons:
        if len(lesson.values) != len(spec.channels) or lesson.target.ndim != spec.dimensions:
            axes = "z, y, x" if spec.dimensions == 3 else "y, x"
            raise ShapeError(
                f"images must be ({len(spec.channels)}, {axes}) for channels "
                f"{', '.join(spec.channels)}, got {lesson.values.shape}"
            )
    if min(spec.rounds, 1 if spec.steps is None else spec.steps, spec.threads) < 1:
        raise ShapeError(
            "rounds, steps and threads must be positive, got "
            f"{spec.rounds}, {spec.steps}, {spec.threads}"
        )
    if not lessons[0].known.any():
        raise ShapeError("the labelled slice (the first one) has no pixel that counts")


def letter(index: int) -> str:
    """Name a slice by its place; after Z come S27, S28."""
    return chr(ord("A") + index) if index < LETTERS else f"S{index + 1}"


def stage_name(number: int) -> str:
    """Name a round by the slices it trains on, as the seed does: A, A+B, A+B+C."""
    return "+".join(letter(place) for place in range(number))


def agreement_rows(
    number: int, stage: str, chances: Sequence[NDArray[np.float32]], slices: Sequence[Lesson]
) -> list[Row]:
    """Compare every slice's probabilities with the teacher's mask; agreement is not accuracy.

    Args:
        number: of the round, from 1.
        stage: its name.
        chances: per slice, calibrated probabilities.
        slices: the lessons A, B, C …

    Returns:
        A row per slice with a pixel that counts.
    """
    rows = []
    for index, (chance, lesson) in enumerate(zip(chances, slices, strict=True)):
        known = lesson.known
        if not known.any():
            continue
        said = chance[known]
        mask = said >= THRESHOLD
        sure = np.abs(2 * said[mask].astype(np.float64) - 1)
        role = "train" if index == 0 else "pseudo" if index < number else "held_out"
        rows.append(
            {
                "round": number,
                "stage": stage,
                "slice": index,
                "role": "held_out" if stage == COHORT else role,
                "ref": "som_teacher",
                **agreement(mask, lesson.mask[known]),
                "target_fraction": float(mask.mean()),
                "confidence": float(sure.mean()) if len(sure) else None,
            }
        )
    return rows


def copies_of_first(slices: Sequence[Lesson]) -> list[NDArray[np.bool_]]:
    """Return A's mask laid on every slice, by nearest pixel where a slice has another shape."""
    mask = _plane(slices[0])
    copies = []
    for lesson in slices:
        if lesson.target.ndim == 2:
            copies.append(_stretched(mask, lesson.target.shape))
            continue
        copy = np.zeros(lesson.target.shape, dtype=bool)
        copy[_plane_of(lesson)] = _stretched(mask, copy[_plane_of(lesson)].shape)
        copies.append(copy)
    return copies


def _plane_of(lesson: Lesson) -> tuple[int | slice, ...]:
    """Index the one plane of a volume that counts: the axis along which the weights are thinnest."""
    counts = lesson.weight.astype(bool)
    box = bounding_box(counts) if counts.any() else (slice(0, 1),) * 3
    axis = min(range(3), key=lambda n: box[n].stop - box[n].start)
    return tuple(int(box[n].start) if n == axis else slice(None) for n in range(3))


def _plane(lesson: Lesson) -> NDArray[np.bool_]:
    return lesson.mask if lesson.target.ndim == 2 else lesson.mask[_plane_of(lesson)]


def _stretched(mask: NDArray[np.bool_], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    rows, columns = (
        (np.arange(size) * 2 + 1) * old // (2 * size)
        for size, old in zip(shape, mask.shape, strict=True)
    )
    return np.asarray(mask[np.ix_(rows, columns)])


def mean_iou(masks: Sequence[NDArray[np.bool_]], slices: Sequence[Lesson]) -> float | None:
    """Return the mean IoU with the teacher over slices; None where none has an IoU."""
    found = [
        agreement(mask[lesson.known], lesson.mask[lesson.known])["iou"]
        for mask, lesson in zip(masks, slices, strict=True)
    ]
    figures = [iou for iou in found if iou is not None]
    return math.fsum(figures) / len(figures) if figures else None
