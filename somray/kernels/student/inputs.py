"""What the student sees of a slice: the teacher's features, or the windowed channels alone.

The features are a fixed first layer: computed by the same kernel as the teacher's, never learned.
A slice gives a stack (d, y, x) float32, NaN where any channel has no data.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from somray.errors import ShapeError
from somray.kernels.features.spacing import feature_stack_at

__all__ = ["Window", "input_count", "student_inputs"]

Window = tuple[float, float]


def input_count(channels: int, feature_names: Sequence[str]) -> int:
    """Return the number of planes d that `student_inputs` makes."""
    raw = 0 if "intensity" in feature_names else channels
    return raw + channels * len(feature_names)


def student_inputs(
    image: NDArray[np.float32],
    windows: Sequence[Window],
    feature_names: Sequence[str],
    spacing_mm: tuple[float, float],
    reference_mm: tuple[float, float] | None = None,
) -> NDArray[np.float32]:
    """Build the input stack of one slice.

    The windowed channels come first, unless the feature `intensity`, which is the same plane, is
    among the names.

    Args:
        image: (c, y, x) physical values, NaN where there is no data.
        windows: per channel (low, high); clips and scales to [0, 1].
        feature_names: features of every channel, in order; empty for the raw channels alone.
        spacing_mm: (y, x) distance of pixel centres.
        reference_mm: pixel size that features are defined at, the slice's own where left out.

    Returns:
        (d, y, x) float32; every plane is NaN where any channel has no data.

    Raises:
        ShapeError: if windows and channels differ in number, or the image is not (c, y, x).
    """
    if image.ndim != 3 or len(windows) != len(image):
        raise ShapeError(f"image {image.shape} must be (c, y, x) with c = {len(windows)} windows")
    planes = []
    if "intensity" not in feature_names:
        low = np.array([w[0] for w in windows], dtype=np.float32)[:, None, None]
        high = np.array([w[1] for w in windows], dtype=np.float32)[:, None, None]
        planes.append(np.clip((image - low) / (high - low), 0.0, 1.0).astype(np.float32))
    if feature_names:
        at = reference_mm or spacing_mm
        planes.append(feature_stack_at(image, windows, feature_names, spacing_mm, at))
    stack = np.concatenate(planes)
    stack[:, np.isnan(image).any(axis=0)] = np.nan
    return np.ascontiguousarray(stack, dtype=np.float32)
