"""What a far hotter thing beside it hides: a tumour that a bladder, a vessel or a joint tears to pieces.

Parts of a component tree are whole things only as long as they touch nothing hotter. Where the foot of a hotter
thing reaches into a tumour both are one part at every level that would show the tumour whole; the hotter one wins
there, and what is left of the tumour are shreds at its own peaks. So each thing that stands out is set aside once
with its blur, the tree of the rest is built, and a part that stands out more than the shreds takes their place.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from somray.kernels.objects.uptake.find import (
    HotParts,
    UptakeScene,
    hot_parts,
    scene_tree,
)

__all__ = ["with_hidden"]

# All limits were chosen on the eight PET/CT subjects with balls drawn beside and onto their tumours (seeds 1 to 4), on
# tumours dimmed to a quarter, and on drawn trunks (seeds 0 to 8); what they are worth was reported on other seeds.
OUT_FROM = 3.0  # score of what hides and of what is hidden: rests of a blur and noise score less
LEAST_MM3 = 8e3  # of both
BLUR_MM = 10.0  # about a thing that is set aside
MOST_CONTACT = 0.3  # share of a surface that may lie on what was set aside
MORE_BY = 1.2  # score by which the whole stands out more than each shred
MOST_KNOWN = 0.5  # of its volume that may lie in objects already: else it is one of them
SWALLOWED = 0.5  # share of an object inside it from which it is a shred

Labels = NDArray[np.int32]


def with_hidden(scene: UptakeScene, parts: HotParts, least_ratio: float) -> HotParts:
    """Put torn things in the place of their shreds, numbered after all others.

    Only for crops without landmarks: in a whole body kidneys, gut and heart are torn too, and become lesions.

    Args:
        scene: the scan.
        parts: its hot objects.
        least_ratio: peak over the background that no normal organ has; what is fainter is not looked for.
    """
    for number in _hiding(scene, parts):
        if (parts.labels == number).any():
            parts = _seen_without(scene, parts, number, least_ratio)
    return parts


def _hiding(scene: UptakeScene, parts: HotParts) -> Iterator[int]:
    """Give the numbers of what may hide something, the one that stands out most first."""
    volume_mm3 = _counts(parts.labels, len(parts.score)) * float(np.prod(scene.spacing_mm))
    for index in np.argsort(-parts.score, kind="stable").tolist():
        if parts.score[index] >= OUT_FROM and volume_mm3[index] >= LEAST_MM3:
            yield index + 1


def _seen_without(scene: UptakeScene, parts: HotParts, number: int, least_ratio: float) -> HotParts:
    """Look again with one object set aside."""
    apart_mm = ndimage.distance_transform_edt(parts.labels != number, sampling=scene.spacing_mm)
    field = np.where(apart_mm > BLUR_MM, scene.field, np.nan)
    if not (field >= np.log2(least_ratio)).any():
        return parts
    rest = replace(scene, field=field)
    found = hot_parts(rest, scene_tree(rest))
    beside = apart_mm <= BLUR_MM + max(scene.spacing_mm)
    touches = _counts(found.labels[beside], len(found.score)) > 0
    voxels = _counts(found.labels, len(found.score))
    large = voxels * float(np.prod(scene.spacing_mm)) >= LEAST_MM3
    known = _counts(found.labels[parts.labels > 0], len(found.score)) >= MOST_KNOWN * voxels
    stands = (found.score >= OUT_FROM) & (2.0**found.peak >= least_ratio)
    stands &= found.cut_fraction <= MOST_CONTACT
    labels, taken = parts.labels.copy(), []
    for index in np.flatnonzero(stands & touches & large & ~known).tolist():
        own = found.labels == index + 1
        shreds = _swallowed(parts.labels, own)
        best = max((float(parts.score[n - 1]) for n in shreds), default=-np.inf)
        if found.score[index] < best + MORE_BY:
            continue
        labels[np.isin(labels, shreds)] = 0
        taken.append(index)
        labels[own & (labels == 0)] = len(parts.score) + len(taken)
    return parts.joined(labels, found, taken) if taken else parts


def _counts(labels: Labels, count: int) -> NDArray[np.intp]:
    """Count the voxels of each of the objects 1 to `count`."""
    return np.bincount(labels.ravel(), minlength=count + 1)[1:]


def _swallowed(labels: Labels, own: NDArray[np.bool_]) -> list[int]:
    """List the objects that lie in a region for the most part."""
    count = int(labels.max(initial=0))
    inside, whole = _counts(labels[own], count), _counts(labels, count)
    return (np.flatnonzero((whole > 0) & (inside >= SWALLOWED * whole)) + 1).tolist()
