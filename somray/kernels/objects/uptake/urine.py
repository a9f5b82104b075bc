"""What touches a bladder: CT tells where the urine ends, PET alone shows one hot thing.

Urine is so much hotter than everything beside it that a tumour at the bladder's wall has no peak of its own: the
component tree shows both as one part. Where CT shows fluid inside a hot object, the fluid and what its blur reaches
are taken out, and what stands out in the rest is an object of its own.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from somray.kernels.objects.cut import CONNECTED, closed_by_ball, grown_box, largest_part
from somray.kernels.objects.uptake.find import (
    LESION_FROM,
    HotParts,
    UptakeScene,
    hot_parts,
    scene_tree,
)

__all__ = ["FLUID_HU", "FLUID_RATIO", "URINE", "apart_from_urine"]

Spacing = tuple[float, float, float]

FLUID_HU = (
    -15.0,
    15.0,
)  # urine; a small lesion in fat looks as thin as 20 HU, a tumour denser than 25
URINE = ("urinary_bladder", "urine")  # names of what may be one
FLUID_RATIO = 8.0  # peak over background from which fluid is urine rather than a cyst in a tumour
LEAST_URINE_MM3 = 8e3  # of fluid in a bladder; less may be a calyx or a mixture with fat
REACH_MM = 10.0
"""How far urine outshines its surroundings: a scanner's blur of 7 mm and the smoothing leave 1 % of it there, and
blocks at the wall are no fluid any more."""
AROUND_MM = 40.0  # of the bladder that is looked at again
MOST_CONTACT = 0.45  # share of a surface that may lie on the urine; a rest of its blur has more …
ROUND_FROM = 0.75  # … is no ball …
LEAST_MM3 = 1e3  # … or small


def apart_from_urine(scene: UptakeScene, parts: HotParts, bladders: Sequence[int]) -> HotParts:
    """Give what touches a bladder a number of its own, after all others; unchanged without CT.

    Args:
        scene: the scan.
        parts: its hot objects.
        bladders: numbers of those that may be urine.
    """
    if scene.ct is None:
        return parts
    urine = (scene.ct >= FLUID_HU[0]) & (scene.ct <= FLUID_HU[1])
    urine &= scene.field >= np.log2(FLUID_RATIO)
    least = LEAST_URINE_MM3 / float(np.prod(scene.spacing_mm))
    held = np.bincount(parts.labels[urine], minlength=len(parts.score) + 1)
    for number in bladders:
        if held[number] >= least:
            parts = _beside(scene, parts, number, urine)
    return parts


def _beside(scene: UptakeScene, parts: HotParts, number: int, urine: NDArray[np.bool_]) -> HotParts:
    """Look again at what lies beside one bladder."""
    margin = [int(np.ceil(AROUND_MM / s)) for s in scene.spacing_mm]
    box = grown_box(ndimage.find_objects(parts.labels)[number - 1], margin)
    labels = parts.labels[box]
    own = labels == number
    fluid = closed_by_ball(largest_part(urine[box] & own, CONNECTED), scene.spacing_mm, REACH_MM)
    apart_mm = ndimage.distance_transform_edt(~fluid, sampling=scene.spacing_mm)
    free = own | (labels == 0)
    field = np.where(free & (apart_mm > REACH_MM), scene.field[box], np.nan)
    rest = replace(scene, pet=scene.pet[box], field=field)
    found = hot_parts(rest, scene_tree(rest))
    near = own | (apart_mm <= REACH_MM + max(scene.spacing_mm))
    chosen = _things(found, near, float(np.prod(scene.spacing_mm)))
    drawn = np.where(np.isin(found.labels, chosen + 1), found.labels, 0)
    solid = free & np.isfinite(scene.field[box]) & (scene.ct[box] > FLUID_HU[1])  # type: ignore[index]
    drawn = _to_the_wall(drawn, apart_mm, solid, scene.spacing_mm)
    return _joined(parts, box, replace(found, labels=drawn), chosen)


def _things(found: HotParts, near: NDArray[np.bool_], voxel_mm3: float) -> NDArray[np.intp]:
    """Choose what is no rest of the urine's blur: indices in ascending order."""
    count = len(found.score) + 1
    size_mm3 = np.bincount(found.labels.ravel(), minlength=count)[1:] * voxel_mm3
    touches = np.bincount(found.labels[near], minlength=count)[1:] > 0
    stands = (found.score >= LESION_FROM) & (found.sphericity >= ROUND_FROM)
    within = (found.cut_fraction <= MOST_CONTACT) & (size_mm3 >= LEAST_MM3)
    return np.flatnonzero(stands & within & touches)


def _to_the_wall(
    drawn: NDArray[np.int32],
    apart_mm: NDArray[np.float64],
    solid: NDArray[np.bool_],
    spacing_mm: Spacing,
) -> NDArray[np.int32]:
    """Give solid tissue that the urine outshines to a thing that lies nearer than the urine."""
    if not drawn.any():
        return drawn
    off_mm, nearest = ndimage.distance_transform_edt(
        drawn == 0, sampling=spacing_mm, return_indices=True
    )
    taken = solid & (apart_mm <= REACH_MM) & (off_mm < apart_mm)
    return np.where(taken, drawn[tuple(nearest)], drawn)


def _joined(
    parts: HotParts, box: tuple[slice, ...], found: HotParts, chosen: NDArray[np.intp]
) -> HotParts:
    """Append some of the things found in a box."""
    labels = parts.labels.copy()
    for number, index in enumerate(chosen.tolist(), start=len(parts.score) + 1):
        labels[box][found.labels == index + 1] = number
    return parts.joined(labels, found, chosen.tolist())
