"""What CT tells of a PET/CT reference's pixels, so that its classes are described as the class map shows them.

A reference is described by its nodes' pixels. Classes that CT tells (`classes_density`) cut across nodes:
their features are added up by node and told class together, and joined once nodes have classes.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from somray.domain.teacher import TeacherModel
from somray.errors import ShapeError
from somray.kernels.classes.density import retold_values, tell_by_density
from somray.kernels.classes.profiles import GroupSums, groups_of
from somray.kernels.classes.rule import BACKGROUND
from somray.kernels.features.view import FeatureView, ScanSlices, calmed

__all__ = ["has_told", "joined_told", "sums_by_class", "sums_by_node_and_told", "told_of"]

Labels = NDArray[np.uint8]

KINDS = 8
"""CT tells classes 1 to 7."""


def has_told(view: FeatureView) -> bool:
    """Tell whether a protocol shows both CT and PET."""
    return {"CT", "PET"} <= set(view.kinds)


def told_of(view: FeatureView, slices: ScanSlices) -> Labels | None:
    """Tell the class of every pixel that has data in all channels by CT alone, in the order of `gather`.

    Returns:
        (n,) uint8, or None for what is no PET/CT.

    Raises:
        ShapeError: the slices are parts: regions that CT tells need whole ones.
    """
    if not has_told(view):
        return None
    if slices.piece is not None:
        raise ShapeError("classes that CT tells beside PET need whole slices")
    found = []
    slices = calmed(view, slices)
    for image in slices.images[slice(*slices.inner)]:
        labels = np.full(image.shape[1:], BACKGROUND, dtype=np.uint8)
        tell_by_density(labels, image[view.kinds.index("CT")], slices.spacing_mm, (BACKGROUND,))
        found.append(labels[np.isfinite(image).all(axis=0)])
    return np.concatenate(found)


def joined_told(parts: Iterable[Labels | None]) -> Labels | None:
    """Join what was told of several parts; None where nothing was."""
    told = [part for part in parts if part is not None]
    return np.concatenate(told) if told else None


def sums_by_node_and_told(
    standardised: NDArray[np.float32], near: NDArray[np.int32], count: int, told: Labels
) -> GroupSums:
    """Add up features (f, n) by nearest node (n,) of `count`, and by what CT tells (n,)."""
    return groups_of(standardised, near.astype(np.int64) * KINDS + told, count * KINDS)


def sums_by_class(
    model: TeacherModel, groups: GroupSums, by_told: GroupSums | None = None
) -> GroupSums:
    """Join sums to those of each class of `labels/som`, before its vote.

    Args:
        model: whose nodes have classes.
        groups: by node.
        by_told: by node and what CT tells, where there is such.
    """
    size = max(model.class_names) + 1
    retold = retold_values(model.extra)
    if by_told is None or not retold:
        return groups.joined(model.node_classes, size)
    told = np.tile(np.arange(KINDS, dtype=np.uint8), len(model.node_classes))
    own = np.repeat(model.node_classes, KINDS)
    return by_told.joined(np.where(np.isin(own, retold), told, own), size)
