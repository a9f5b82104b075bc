"""How a protocol looks at pixels: windows, features and scale, whichever slice they come from.

A view is fixed when a teacher is fitted and holds for every scan afterwards. What a scan may differ in is
told beside it: its spacing, and for PET its own level of uptake.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from somray.domain.teacher import TeacherModel
from somray.errors import ShapeError
from somray.kernels.features.spacing import feature_stack_at
from somray.kernels.resolution import at_resolution
from somray.kernels.windows import channel_kind

__all__ = ["FeatureView", "gather", "view_of"]

Window = tuple[float, float]


@dataclass(frozen=True)
class FeatureView:
    """What decides a pixel's features.

    Args:
        modality: CT, PET, PETCT, MR, XCT or other.
        channels: names in image order.
        windows: per channel (low, high) in the image's values.
        features: names of the features of each channel.
        spacing_mm: (y, x) that features are scaled to.
        level: lesion level of uptake that PET's windows belong to, None without PET.
        dimensions: 2, or 3 where features look at the neighbouring slices too.
        resolution_mm: Gaussian that images are brought to before features, None as they are.
    """

    modality: str
    channels: tuple[str, ...]
    windows: tuple[Window, ...]
    features: tuple[str, ...]
    spacing_mm: tuple[float, float]
    level: float | None = None
    dimensions: int = 2
    resolution_mm: float | None = None

    def windows_at(self, level: float | None) -> tuple[Window, ...]:
        """Return the windows for a subject: PET's follows the subject's own level of uptake."""
        if level is None or self.level is None:
            return self.windows
        if not (np.isfinite(level) and level > 0):
            raise ShapeError(f"level must be a positive uptake, got {level}")
        ratio = level / self.level
        return tuple(
            (low * ratio, high * ratio)
            if channel_kind(self.modality, name) == "PET"
            else (low, high)
            for name, (low, high) in zip(self.channels, self.windows, strict=True)
        )


def view_of(model: TeacherModel) -> FeatureView:
    """Return the view that a teacher was fitted with."""
    return FeatureView(
        modality=model.modality,
        channels=model.channels,
        windows=model.windows,
        features=model.features,
        spacing_mm=model.spacing_mm,
        level=model.extra.get("subject_level"),
        dimensions=getattr(model, "dimensions", 2),
        resolution_mm=model.extra.get("resolution_mm"),
    )


def gather(
    view: FeatureView,
    slices: Iterable[NDArray[np.float32]],
    spacing_mm: tuple[float, float],
    level: float | None = None,
    every: int = 1,
) -> NDArray[np.float32]:
    """Compute the raw features of every pixel that has data in all channels.

    Args:
        view: of the protocol.
        slices: each (c, y, x) physical values, NaN where there is no data.
        spacing_mm: (y, x) of the slices.
        level: lesion level of uptake of their scan, where a channel is PET.
        every: keep the pixels of every n-th row only.

    Returns:
        (c·f, n) float32, slice by slice, row by row.
    """
    windows = view.windows_at(level)
    parts = []
    for image in slices:
        valid = np.asarray(np.isfinite(image[:, ::every]).all(axis=0))
        seen = at_resolution(image, view.resolution_mm, spacing_mm)
        stack = feature_stack_at(seen, windows, view.features, spacing_mm, view.spacing_mm)
        parts.append(stack[:, ::every][:, valid])
    return np.concatenate(parts, axis=1)
