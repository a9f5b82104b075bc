"""A student as people see it: what it learned from, and what it finds there."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from somray.api.shown.colours import grey, heat
from somray.api.shown.page import block, figure, figures, small
from somray.domain.student import StudentModel

__all__ = ["StudentCard"]

Lesson = tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.float32]]


@dataclass(frozen=True, eq=False)
class StudentCard:
    """What is shown of a student.

    `lesson` is a slice (c, y, x) of the fit, its mask, and the probabilities found on it.
    """

    channels: tuple[str, ...]
    model: StudentModel | None
    lesson: Lesson | None

    def text(self) -> str:
        """Return one line."""
        named = ", ".join(self.channels)
        if self.model is None:
            return f"Student ({named}), not fitted yet: call fit(images, masks)"
        count = sum(int(np.size(weight)) for weight in self.model.weights.values())
        y, x = self.model.spacing_mm
        windows = ", ".join(
            f"{name} {low:.4g} to {high:.4g}"
            for name, (low, high) in zip(self.channels, self.model.windows, strict=True)
        )
        return (
            f"Student ({named}), {count} weights, pixels of {y:.3g} × {x:.3g} mm, window {windows}"
        )

    def html(self) -> str:
        """Return the line and three pictures: slice, mask, probability."""
        if self.model is None or self.lesson is None:
            return block(self.text(), [])
        image, mask, found = self.lesson
        y, x = self.model.spacing_mm
        size = image.shape[1] * y, image.shape[2] * x
        plane = np.asarray(small(image[0]), np.float64)
        parts = [
            figure(
                grey(plane, self.model.windows[0]), f"{self.channels[0]}: a slice of the fit", size
            ),
            figure(heat(np.asarray(small(mask), np.float64)), "The mask it was taught", size),
            figure(heat(np.asarray(small(found), np.float64)), "The probability it finds", size),
        ]
        return block(self.text(), [figures(parts)])
