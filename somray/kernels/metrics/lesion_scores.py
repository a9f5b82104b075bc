"""Lesion by lesion: which connected parts of a truth a mask touches, and which of its own touch the truth.

A part is what hangs together by faces, edges or corners of voxels (26-connected). Two parts touch where
they share at least one voxel; how much they share is what Dice and the surfaces say. A mask that covers
everything touches every lesion, so recall is never read without precision.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from somray.errors import ShapeError

__all__ = [
    "LesionScores",
    "NumberedParts",
    "lesion_scores",
    "parts_of",
    "parts_that_count",
    "voxels_of",
]


@dataclass(frozen=True, eq=False)
class NumberedParts:
    """The number of every voxel's part (z, y, x), 0 outside all, and how many parts there are."""

    numbers: NDArray[np.int32]
    count: int


_CONNECTED = np.ones((3, 3, 3), dtype=bool)  # faces, edges and corners


@dataclass(frozen=True)
class LesionScores:
    """What was found lesion by lesion.

    Args:
        true: connected parts of the truth.
        found: of them touched by a predicted part that counts.
        predicted: predicted parts that count.
        right: of them touching the truth.
        false_voxels: voxels of predicted parts that touch nothing.
        missed_voxels: voxels of true parts that nothing touches.
    """

    true: int
    found: int
    predicted: int
    right: int
    false_voxels: int
    missed_voxels: int

    @property
    def recall(self) -> float | None:
        """Share of the true parts that are found; None where there are none."""
        return self.found / self.true if self.true else None

    @property
    def precision(self) -> float | None:
        """Share of the predicted parts that touch the truth; None where nothing was predicted."""
        return self.right / self.predicted if self.predicted else None


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
