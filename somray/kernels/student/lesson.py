"""One slice of a student's training, with all that its own scan decides.

Lessons of one training may come from several scans: shapes, pixel sizes and windows are the slice's own.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from somray.errors import ShapeError

__all__ = ["Lesson", "lessons_of"]


@dataclass(frozen=True, eq=False)
class Lesson:
    """A slice to learn from, or to be measured on.

    Args:
        image: (c, y, x) float32 physical values, NaN where there is no data.
        teacher: (y, x) bool, the teacher's target.
        valid: (y, x) bool, pixels that count; pixels without data never do.
        windows: per channel (low, high), where the scan has its own (its level of PET uptake); the
            student's otherwise.
        spacing_mm: (y, x) distance of pixel centres, where the scan has its own; the student's otherwise.
        around: (2k, c, y, x) float32 neighbouring slices, from the lowest to the highest, for a student
            that sees k slices on either side.
        membership: (y, x) float32 in [0, 1], how far a pixel belongs to the target, for a soft lesson.
        classes: (y, x) uint8 class values of the teacher, for a lesson on several classes at once.

    Raises:
        ShapeError: the arrays do not fit each other.
    """

    image: NDArray[np.float32]
    teacher: NDArray[np.bool_]
    valid: NDArray[np.bool_]
    windows: tuple[tuple[float, float], ...] | None = None
    spacing_mm: tuple[float, float] | None = None
    around: NDArray[np.float32] | None = None
    membership: NDArray[np.float32] | None = None
    classes: NDArray[np.uint8] | None = None

    def __post_init__(self) -> None:
        """Refuse arrays that do not fit each other."""
        if self.image.ndim != 3:
            raise ShapeError(f"a lesson's image must be (c, y, x), got {self.image.shape}")
        shape = self.image.shape[1:]
        planes = {
            "teacher": self.teacher,
            "valid": self.valid,
            "membership": self.membership,
            "classes": self.classes,
        }
        for name, plane in planes.items():
            if plane is not None and plane.shape != shape:
                raise ShapeError(f"a lesson's {name} must be {shape}, got {plane.shape}")
        around = self.around
        if around is not None and (around.shape[1:] != self.image.shape or len(around) % 2):
            raise ShapeError(
                f"a lesson's neighbours must be (2k, {', '.join(map(str, self.image.shape))}), "
                f"got {around.shape}"
            )

    @property
    def known(self) -> NDArray[np.bool_]:
        """Where a pixel has data and counts."""
        return np.asarray(self.valid & ~np.isnan(self.image).any(axis=0))


def lessons_of(
    images: NDArray[np.float32], teacher: NDArray[np.bool_], valid: NDArray[np.bool_]
) -> list[Lesson]:
    """Make lessons of slices of one scan.

    Args:
        images: (n, c, y, x).
        teacher: (n, y, x).
        valid: (n, y, x).

    Raises:
        ShapeError: the arrays do not fit each other.
    """
    shape = (len(images), *images.shape[2:])
    if images.ndim != 4 or teacher.shape != shape or valid.shape != shape:
        raise ShapeError(
            f"images must be (n, c, y, x), teacher and valid (n, y, x), got {images.shape}, "
            f"{teacher.shape} and {valid.shape}"
        )
    return [Lesson(*parts) for parts in zip(images, teacher, valid, strict=True)]
