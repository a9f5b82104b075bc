"""How far two masks agree: overlap figures and the surface distance.

Masks are boolean arrays of one shape, any number of axes. A figure that does not exist is None,
never 0 or 1: two empty masks have no Dice. Which mask is the measure of the other is the caller's
word (`ref` in the tables); agreement with the teacher is not accuracy against the truth.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from somray.errors import ShapeError
from somray.kernels.grids.distance import check_spacing, distances_mm

__all__ = ["agreement", "bounding_box", "surface_distance_95"]


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
    either = in_prediction + in_reference - both
    return {
        "iou": _ratio(both, either),
        "dice": _ratio(2 * both, in_prediction + in_reference),
        "accuracy": _ratio(predicted.size - either + both, predicted.size),
        "precision": _ratio(both, in_prediction),
        "recall": _ratio(both, in_reference),
    }


def surface_distance_95(
    prediction: NDArray[np.bool_],
    reference: NDArray[np.bool_],
    spacing_mm: tuple[float, ...],
) -> float | None:
    """Measure the 95th percentile of the distances between two surfaces, both ways.

    A surface is the mask's pixels with at least one face neighbour outside (what lies beyond the
    array is outside). Each way gives one percentile (linear between ranks); the larger one counts.

    Args:
        prediction: mask with as many axes as `spacing_mm` has numbers.
        reference: mask of the same shape.
        spacing_mm: distance of pixel centres along each axis, in the array's order.

    Returns:
        Distance in mm; None when either mask is empty, since a surface is missing.

    Raises:
        ShapeError: if shapes differ, or `spacing_mm` does not fit or is not positive.

    Source: Huttenlocher et al., "Comparing images using the Hausdorff distance", 1993, in its
    95th-percentile form.
    """
    predicted, expected = _masks(prediction, reference)
    check_spacing(predicted, spacing_mm)
    if not predicted.any() or not expected.any():
        return None
    box = bounding_box(predicted | expected)
    first, second = _surface(predicted[box]), _surface(expected[box])
    return max(_directed_95(first, second, spacing_mm), _directed_95(second, first, spacing_mm))


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


def _surface(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return np.asarray(mask & ~ndimage.binary_erosion(mask))


def _directed_95(
    start: NDArray[np.bool_], end: NDArray[np.bool_], spacing_mm: tuple[float, ...]
) -> float:
    distances = distances_mm(end, spacing_mm, start)
    return float(np.percentile(distances, 95, overwrite_input=True))
