"""Masks compared as whole volumes: the plain way, which the figures of slabs and blocks are held against."""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from somray.domain.geometry import Geometry
from somray.domain.tables import TruthRow
from somray.errors import ShapeError
from somray.kernels.metrics.lesion_scores import LesionScores
from somray.kernels.metrics.overlap import _masks, agreement, bounding_box
from somray.kernels.metrics.surface.cells import EQUAL, areas_of, codes_of, is_surface

Labels = NDArray[np.uint8] | NDArray[np.int32]

UNION = 0
COLUMNS = {field.name for field in fields(TruthRow)}
TOLERANCE_MM = 2.0
_CODES = 256


@dataclass(frozen=True, eq=False)
class NumberedParts:
    """The number of every voxel's part (z, y, x), 0 outside all, and how many parts there are."""

    numbers: NDArray[np.int32]
    count: int


_CONNECTED = np.ones((3, 3, 3), dtype=bool)  # faces, edges and corners


def parts_of(mask: NDArray[np.bool_]) -> NumberedParts:
    """Number the connected parts of a mask (z, y, x) from 1, in scan order."""
    parts, count = ndimage.label(mask, _CONNECTED)
    return NumberedParts(np.asarray(parts, dtype=np.int32), int(count))


def parts_that_count(
    parts: NumberedParts, target: NDArray[np.bool_], elsewhere: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Leave out the predicted parts that belong to another label of the truth.

    Args:
        parts: of the prediction, as `parts_of` gives them.
        target: (z, y, x) bool, the label that is scored.
        elsewhere: (z, y, x) bool, all other labels of the truth.

    Returns:
        (parts + 1,) bool: whether a part touches the label, or no label at all; False for no part.
    """
    counts = _touched(parts, target) | ~_touched(parts, elsewhere)
    counts[0] = False
    return counts


def voxels_of(parts: NumberedParts, counts: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the mask (z, y, x) of the parts that count, (parts + 1,) bool."""
    mask = np.empty(parts.numbers.shape, dtype=bool)
    for z, plane in enumerate(parts.numbers):  # an index takes eight bytes a voxel
        mask[z] = counts[plane]
    return mask


def lesion_scores(
    parts: NumberedParts, target: NDArray[np.bool_], counts: NDArray[np.bool_]
) -> LesionScores:
    """Count what was found, what was missed and what is false, part by part.

    Args:
        parts: of the prediction, as `parts_of` gives them.
        target: (z, y, x) bool, the truth.
        counts: (parts + 1,) bool, which predicted parts count; False for no part.

    Raises:
        ShapeError: if the truth has another shape than the prediction.
    """
    if target.shape != parts.numbers.shape:
        raise ShapeError(f"truth has shape {target.shape}, the prediction {parts.numbers.shape}")
    right = _touched(parts, target) & counts
    false = int(_sizes(parts)[counts & ~right].sum())
    true = parts_of(target)
    found = np.zeros(true.count + 1, dtype=bool)
    for own, predicted in zip(true.numbers, parts.numbers, strict=True):
        found[own[counts[predicted]]] = True
    found[0] = False
    missed = int(_sizes(true)[1:][~found[1:]].sum())
    return LesionScores(
        true=true.count,
        found=int(np.count_nonzero(found)),
        predicted=int(np.count_nonzero(counts)),
        right=int(np.count_nonzero(right)),
        false_voxels=false,
        missed_voxels=missed,
    )


def _touched(parts: NumberedParts, where: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Tell which parts have a voxel there, plane by plane: an index takes eight bytes a voxel."""
    touched = np.zeros(parts.count + 1, dtype=bool)
    for plane, mask in zip(parts.numbers, where, strict=True):
        touched[plane[mask]] = True
    touched[0] = False
    return touched


def _sizes(parts: NumberedParts) -> NDArray[np.int64]:
    """Count every part's voxels, plane by plane: a count of all would take eight bytes a voxel."""
    sizes = np.zeros(parts.count + 1, dtype=np.int64)
    for plane in parts.numbers:
        numbers, voxels = np.unique(plane, return_counts=True)
        sizes[numbers] += voxels
    return sizes


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
        ShapeError: if shapes differ.

    Source: Huttenlocher et al., "Comparing images using the Hausdorff distance", 1993, in its
    95th-percentile form.
    """
    predicted, expected = _masks(prediction, reference)
    if not predicted.any() or not expected.any():
        return None
    box = bounding_box(predicted | expected)
    first, second = _surface(predicted[box]), _surface(expected[box])
    return max(_directed_95(first, second, spacing_mm), _directed_95(second, first, spacing_mm))


def _surface(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return np.asarray(mask & ~ndimage.binary_erosion(mask))


def _directed_95(
    start: NDArray[np.bool_], end: NDArray[np.bool_], spacing_mm: tuple[float, ...]
) -> float:
    return float(np.percentile(_distances_mm(end, spacing_mm, start), 95))


def _distances_mm(
    mask: NDArray[np.bool_], spacing_mm: tuple[float, ...], within: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Return how far the points `within` lie from the nearest one of a mask; inf where it is empty."""
    if not mask.any():
        return np.full(np.count_nonzero(within), np.inf)
    return np.asarray(ndimage.distance_transform_edt(~mask, sampling=spacing_mm))[within]


def surface_dice(
    prediction: NDArray[np.bool_],
    reference: NDArray[np.bool_],
    spacing_mm: tuple[float, float, float],
    tolerance_mm: float,
) -> float | None:
    """Measure which share of both surfaces' area lies within a tolerance of the other surface.

    Args:
        prediction: (z, y, x) bool.
        reference: mask of the same shape.
        spacing_mm: distance of voxel centres along z, y, x.
        tolerance_mm: largest distance of a piece of surface that counts as met, itself included.

    Returns:
        0 to 1; None when both masks are empty.

    Raises:
        ShapeError: if the masks are not two volumes of one shape.

    Cost: some ten bytes per voxel of the box round both masks.
    Source: Nikolov et al., "Deep learning to achieve clinically applicable segmentation of head and neck
    anatomy for radiotherapy", arXiv 1809.04430, 2018; the cells and weights of their `surface-distance`.
    """
    if prediction.ndim != 3 or prediction.shape != reference.shape:
        raise ShapeError(
            f"masks must be (z, y, x) of one shape, got {prediction.shape} and {reference.shape}"
        )
    either = prediction | reference
    if not either.any():
        return None
    box = bounding_box(either)
    del either
    first, second = codes_of(np.pad(prediction[box], 1)), codes_of(np.pad(reference[box], 1))
    areas = areas_of(spacing_mm)
    near, whole = 0.0, 0.0
    for one, other in ((first, second), (second, first)):
        surface = is_surface(one)
        met = _distances_mm(is_surface(other), spacing_mm, surface) <= tolerance_mm * EQUAL
        near += _sum(one[surface][met], areas)
        whole += _sum(one[surface], areas)
    return near / whole


def _sum(codes: NDArray[np.uint8], areas: list[float]) -> float:
    """Add the areas of cells, kind by kind: the same bits in any order of cells."""
    counts = np.zeros(_CODES, dtype=np.int64)
    for start in range(0, len(codes), 1 << 20):  # a count takes eight bytes a cell
        counts += np.bincount(codes[start : start + (1 << 20)], minlength=_CODES)
    return sum(int(n) * area for n, area in zip(counts, areas, strict=True))


def whole_row(
    label: int, prediction: NDArray[np.bool_], truth: Labels, geometry: Geometry
) -> dict[str, Any]:  # Any: the row's types
    """Compare in a label's row all there is, or what does not belong to other labels.

    Parts are numbered anew for every label: held from row to row, they would be there while distances need
    the memory.
    """
    parts = parts_of(prediction)
    if label == UNION:
        target, counts = truth != 0, np.arange(parts.count + 1) > 0
    else:
        target = truth == label
        elsewhere = (truth != 0) & ~target
        counts = parts_that_count(parts, target, elsewhere)
        prediction = voxels_of(parts, counts)
        prediction &= ~elsewhere
        del elsewhere
    lesions = lesion_scores(parts, target, counts)
    del parts
    return _figures(prediction, target, lesions, geometry)


def _figures(
    prediction: NDArray[np.bool_],
    target: NDArray[np.bool_],
    lesions: LesionScores,
    geometry: Geometry,
) -> dict[str, Any]:  # Any: the row's types
    ml = geometry.voxel_mm3 / 1000.0
    overlap = agreement(prediction, target)
    return {
        **{name: figure for name, figure in overlap.items() if name in COLUMNS},
        "hd95_mm": surface_distance_95(prediction, target, geometry.spacing_mm),
        "lesions_true": lesions.true,
        "lesions_found": lesions.found,
        "false_positive_ml": np.count_nonzero(prediction & ~target) * ml,
        "false_negative_ml": np.count_nonzero(target & ~prediction) * ml,
        "lesions_predicted": lesions.predicted,
        "lesion_recall": lesions.recall,
        "lesion_precision": lesions.precision,
        "surface_dice_2mm": surface_dice(prediction, target, geometry.spacing_mm, TOLERANCE_MM),
        "false_positive_lesions_ml": lesions.false_voxels * ml,
        "false_negative_lesions_ml": lesions.missed_voxels * ml,
        "true_ml": np.count_nonzero(target) * ml,
    }
