"""Slices as a teacher takes them: pixels, spacing, and PET's level of uptake."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from somray.api.inputs.image import ImageLike
from somray.api.inputs.spacing import spacing_of
from somray.api.inputs.stack import SliceStack, stack_of
from somray.domain.channel import channels_of
from somray.errors import ShapeError
from somray.kernels.features.uptake_level import has_level, subject_histogram, subject_level
from somray.kernels.teacher.spec import TeacherSpec

__all__ = ["SPACING_MM", "ScanReader"]

SPACING_MM = (1.0, 1.0)
"""Of images that name none."""


@dataclass(frozen=True)
class ScanReader:
    """Reads what people give a teacher of a spec."""

    spec: TeacherSpec

    def stacked(self, image: ImageLike) -> SliceStack:
        """Bring an image to (n, c, y, x)."""
        return stack_of(image, self.spec.channels)

    def read(
        self, image: ImageLike, spacing_mm: Sequence[float] | None
    ) -> tuple[SliceStack, tuple[float, ...]]:
        """Read slices and the spacing that counts.

        Raises:
            ShapeError: what was given does not fit, or three dimensions lack the distance of slices.
        """
        stack = self.stacked(image)
        spacing = spacing_of(stack.given, spacing_mm) or SPACING_MM
        if self.spec.dimensions == 3 and len(spacing) < 3:
            raise ShapeError(
                "a teacher with dimensions=3 needs the distance of slices too: spacing_mm=(z, y, x), for example "
                f"(3.0, 0.8, 0.8); got {spacing}"
            )
        return stack, spacing

    def level_of(self, images: NDArray[np.float32]) -> float | None:
        """Return the lesion level of uptake that slices (n, c, y, x) tell; None without PET."""
        channels = channels_of(self.spec.modality, self.spec.channels)
        if not has_level(channels):
            return None
        return subject_level(subject_histogram(images, channels), self.spec.modality)

    def checked_level(self, level: Any) -> float | None:  # Any: whatever a person typed
        """Refuse a level that is no uptake, or said of images without PET."""
        if level is None:
            return None
        if not has_level(channels_of(self.spec.modality, self.spec.channels)):
            named = ", ".join(self.spec.channels)
            raise ShapeError(f"level is for PET, and no channel of {named} is: leave it out")
        is_number = isinstance(level, int | float | np.number) and not isinstance(level, bool)
        if not is_number or not (np.isfinite(level) and level > 0):
            raise ShapeError(
                "level must be a positive uptake in the PET channel's unit, as teacher.level_of(volume) gives it; "
                f"got {level!r}"
            )
        return float(level)
