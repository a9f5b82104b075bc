"""Direct transfer: a fitted teacher's classes for the pixels of any slice of its protocol.

Slices are worked on one by one, so memory is that of one slice's features, and a slice's labels do not
depend on which others come with it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from somray.domain.teacher import TeacherModel
from somray.errors import ShapeError
from somray.kernels.features import feature_stack
from somray.kernels.som_search import find_classes
from somray.kernels.windows import channel_kind

__all__ = ["TeacherLabels", "apply_teacher", "checked_images", "scaled_windows"]

BLOCK = 8192
"""Pixels assigned at once; labels do not depend on it."""


@dataclass(frozen=True, eq=False)
class TeacherLabels:
    """What the teacher says of slices.

    Args:
        labels: (n, y, x) uint8 class values, 0 where any channel has no data.
        confidence: (n, y, x) float32 in [0, 1], 0 on the border between two classes and in holes.
    """

    labels: NDArray[np.uint8]
    confidence: NDArray[np.float32]


def checked_images(images: NDArray[np.float32], channels: Sequence[str]) -> NDArray[np.float32]:
    """Return images as float32 (n, c, y, x), or refuse them."""
    array = np.asarray(images)
    if array.ndim != 4 or array.shape[1] != len(channels) or array.size == 0:
        raise ShapeError(
            f"images must be (n, {len(channels)}, y, x) for channels {', '.join(channels)}, "
            f"got shape {array.shape}"
        )
    if np.isinf(array).any():
        raise ShapeError("images hold infinite values; mark pixels without data as NaN")
    return array.astype(np.float32, copy=False)


def scaled_windows(model: TeacherModel, level: float | None) -> tuple[tuple[float, float], ...]:
    """Return the windows for a subject: PET's follows the subject's own level of uptake."""
    own = model.extra.get("subject_level")
    if level is None or own is None:
        return model.windows
    if not (np.isfinite(level) and level > 0):
        raise ShapeError(f"level must be a positive uptake, got {level}")
    ratio = level / own
    return tuple(
        (low * ratio, high * ratio) if channel_kind(model.modality, name) == "PET" else (low, high)
        for name, (low, high) in zip(model.channels, model.windows, strict=True)
    )


def apply_teacher(
    model: TeacherModel,
    images: NDArray[np.float32],
    spacing_mm: tuple[float, float],
    level: float | None = None,
) -> TeacherLabels:
    """Label slices with a fitted teacher, each by itself.

    Args:
        model: from `fit_teacher`.
        images: (n, c, y, x) physical values, NaN where there is no data.
        spacing_mm: distance between pixels along (y, x).
        level: lesion level of uptake of the scan the slices are from; the reference's own where left
            out, so that a slice is labelled the same alone and among others.

    Returns:
        Labels and confidence; 0 where any channel is NaN.

    Raises:
        ShapeError: images do not fit the model, or hold infinite values.
    """
    images = checked_images(images, model.channels)
    windows = scaled_windows(model, level)
    count, _, rows, columns = images.shape
    labels = np.zeros((count, rows, columns), dtype=np.uint8)
    confidence = np.zeros((count, rows, columns), dtype=np.float32)
    for number, image in enumerate(images):
        stack = feature_stack(image, windows, model.features, spacing_mm).reshape(
            -1, rows * columns
        )
        _label_slice(model, stack, labels[number].reshape(-1), confidence[number].reshape(-1))
        holes = ~np.isfinite(image).all(axis=0)
        labels[number][holes] = 0
        confidence[number][holes] = 0.0
    return TeacherLabels(labels, confidence)


def _label_slice(
    model: TeacherModel,
    stack: NDArray[np.float32],
    labels: NDArray[np.uint8],
    confidence: NDArray[np.float32],
) -> None:
    """Write the classes of features (c·f, n) into flat views of the result."""
    for start in range(0, stack.shape[1], BLOCK):
        part = slice(start, start + BLOCK)
        block = stack[:, part] - model.center[:, None]
        block /= model.scale[:, None]
        block *= model.feature_weights[:, None]
        find_classes(
            block, model.codebook.weights, model.node_classes, labels[part], confidence[part]
        )
