"""How far two masks agree: overlap figures.

Masks are boolean arrays of one shape, any number of axes. A figure that does not exist is None,
never 0 or 1: two empty masks have no Dice. Which mask is the measure of the other is the caller's
word (`ref` in the tables); agreement with the teacher is not accuracy against the truth.
"""

import numpy as np
from numpy.typing import NDArray

from somray.errors import ShapeError

__all__ = ["agreement", "agreement_of_counts", "bounding_box"]


def agreement(
    prediction: NDArray[np.bool_], reference: NDArray[np.bool_]
) -> dict[str, float | None]:
    """Count how a predicted mask agrees with a reference mask.

    Args:
        prediction: mask of any shape; every value but 0 is inside.
        reference: mask of the same shape.

    Returns:
        `iou` and `dice` (None when both masks are empty), `accuracy` (None without pixels),
        `precision` (None when nothing was predicted), `recall` (None when the reference is empty).

    Raises:
        ShapeError: if the shapes differ.
    """
    predicted, expected = _masks(prediction, reference)
    both = int(np.count_nonzero(predicted & expected))
    in_prediction = int(np.count_nonzero(predicted))
    in_reference = int(np.count_nonzero(expected))
    return agreement_of_counts(both, in_prediction, in_reference, predicted.size)


def agreement_of_counts(
    both: int, in_prediction: int, in_reference: int, size: int
) -> dict[str, float | None]:
    """Return the figures of `agreement` from counts of pixels: in both, in either mask, in the image."""
    either = in_prediction + in_reference - both
    return {
        "iou": _ratio(both, either),
        "dice": _ratio(2 * both, in_prediction + in_reference),
        "accuracy": _ratio(size - either + both, size),
        "precision": _ratio(both, in_prediction),
        "recall": _ratio(both, in_reference),
    }


def bounding_box(mask: NDArray[np.bool_]) -> tuple[slice, ...]:
    """Return the smallest box round a mask that is not empty: nothing outside it is near its surface."""
    spans = []
    for axis in range(mask.ndim):
        others = tuple(a for a in range(mask.ndim) if a != axis)
        hit = np.flatnonzero(mask.any(axis=others))
        spans.append(slice(int(hit[0]), int(hit[-1]) + 1))
    return tuple(spans)


def _masks(
    prediction: NDArray[np.bool_], reference: NDArray[np.bool_]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    predicted, expected = np.asarray(prediction), np.asarray(reference)
    if predicted.shape != expected.shape:
        raise ShapeError(
            f"prediction and reference must have one shape, got {predicted.shape} "
            f"and {expected.shape}"
        )
    return predicted.astype(bool, copy=False), expected.astype(bool, copy=False)


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None
