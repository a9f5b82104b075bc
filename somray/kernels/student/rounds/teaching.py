"""What a round learns from: lessons turned into examples, with the blocks that are spared for calibration."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from somray.kernels.student.rounds.held_out import held_out
from somray.kernels.student.rounds.hot import hot_rest
from somray.kernels.student.rounds.lesson import Lesson
from somray.kernels.student.rounds.pseudo_labels import pseudo_labels
from somray.kernels.student.rounds.spec import StudentSpec
from somray.kernels.student.training.patches import Example

__all__ = ["cohort_examples", "judged_of", "slice_examples", "spared_blocks"]

JUDGED = 4
"""Images of the cohort that its calibration, and the guard against collapse, look at."""

Chance = NDArray[np.float32]
Mask = NDArray[np.bool_]


def spared_blocks(lessons: Sequence[Lesson], seed: int) -> list[Mask]:
    """Choose blocks of each lesson that nothing is learned from."""
    return [held_out(le.mask, le.known, (seed, n)) for n, le in enumerate(lessons)]


def slice_examples(
    slices: Sequence[Lesson], labels: Sequence[Chance], spared: Mask | None, spec: StudentSpec
) -> list[Example]:
    """Label A by the teacher, all but what is spared, and the next slices by the student.

    Args:
        slices: A, B, C …
        labels: the student's calibrated probabilities of B, C …, as far as they are learned from.
        spared: pixels of A that are not.
        spec: how images are seen.
    """
    first = slices[0]
    examples = [_example(first, first.target, _without(first.weight, spared), spec)]
    for chance, lesson in zip(labels, slices[1:], strict=False):
        said, counts = pseudo_labels(chance, lesson.known)
        examples.append(_example(lesson, said.astype(np.float32), counts, spec))
    return examples


def cohort_examples(
    cohort: Sequence[Lesson], spared: Sequence[Mask], spec: StudentSpec
) -> list[Example]:
    """Take the cohort's lessons as they are taught, all but what is spared; look closely at what is hot."""
    return [
        _example(
            lesson,
            lesson.target,
            _without(lesson.weight, apart),
            spec,
            hot_rest(lesson, spec.views(lesson.windows)),
        )
        for lesson, apart in zip(cohort, spared, strict=True)
    ]


def judged_of(cohort: Sequence[Lesson]) -> list[int]:
    """Choose images of the cohort, spread over it, that show the target."""
    full = [n for n, lesson in enumerate(cohort) if lesson.has_both_sides]
    places = np.linspace(0, len(full) - 1, min(JUDGED, len(full)))
    return [full[int(place)] for place in places]


def _without(weight: Chance, spared: Mask | None) -> Chance:
    return weight if spared is None else np.where(spared, np.float32(0), weight)


def _example(
    lesson: Lesson, target: Chance, weight: Chance, spec: StudentSpec, focus: Mask | None = None
) -> Example:
    counted = np.where(lesson.known, weight, np.float32(0))
    views = spec.views(lesson.windows)
    return Example(lesson.values, target, counted, views, spec.strength, focus)
