"""One image of a student's training, with all that its own scan decides.

Lessons of one training may come from several scans: shapes and windows are their own. In three dimensions the
slices A, B, C … are planes of one volume: each lesson holds all of it, and counts on its plane alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from somray.errors import ShapeError
from somray.kernels.student.views import Window

__all__ = ["Lesson", "nothing_to_train"]


@dataclass(frozen=True, eq=False)
class Lesson:
    """An image to learn from, or to be measured on.

    Args:
        values: (c, [z,] y, x) float32 physical values, NaN where there is no data.
        target: ([z,] y, x) float32 in [0, 1], how far a pixel belongs to the target in the eyes of who
            teaches.
        weight: ([z,] y, x) float32, how much a pixel counts; those without data never do.
        windows: per channel (low, high), where the scan has its own; the student's otherwise.
        cohort: whether it belongs to the cohort's round, else to the rounds A, B, C …

    Raises:
        ShapeError: the arrays do not fit each other.
    """

    values: NDArray[np.float32]
    target: NDArray[np.float32]
    weight: NDArray[np.float32]
    windows: tuple[Window, ...] | None = None
    cohort: bool = False

    def __post_init__(self) -> None:
        """Refuse arrays that do not fit each other."""
        shape = self.values.shape[1:]
        if len(shape) not in (2, 3):
            raise ShapeError(f"a lesson must be (c, [z,] y, x), got {self.values.shape}")
        if self.target.shape != shape or self.weight.shape != shape:
            raise ShapeError(
                f"a lesson of {shape} needs target and weight alike, "
                f"got {self.target.shape} and {self.weight.shape}"
            )

    @property
    def known(self) -> NDArray[np.bool_]:
        """Where a pixel has data and counts."""
        return np.asarray((self.weight > 0) & ~np.isnan(self.values).any(axis=0))

    @property
    def mask(self) -> NDArray[np.bool_]:
        """Where it counts and is more target than not."""
        return np.asarray((self.target >= 0.5) & self.known)

    @property
    def has_both_sides(self) -> bool:
        """Whether it shows target and something else."""
        inside = self.mask[self.known]
        return bool(inside.any() and not inside.all())


def nothing_to_train(lessons: Sequence[Lesson]) -> bool:
    """Tell whether no lesson that is learned from shows both target and something else."""
    return not any(lesson.has_both_sides for lesson in lessons[:1]) and not any(
        lesson.has_both_sides for lesson in lessons if lesson.cohort
    )
