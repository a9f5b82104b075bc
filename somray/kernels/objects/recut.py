"""Where a lesion ends, asked twice: the object step's own cut, and the student's probability.

Both err at borders, and not alike: the object is cut at one level of its own, the student averages over what every
scan of the protocol taught it. A lesion is therefore cut once more where the mean of its closed mask and the
student's probability passes one half. Averages of segmenters that err apart are better than each (Warfield et al.,
"STAPLE", 2004; Isensee et al., "nnU-Net", 2021, for ensembles of probabilities).

The student moves a border, nothing else, and a small lesion's border least: every lesion is recut from its own
neighbourhood, never vanishes, never takes another object's voxels, never grows to touch one. What the student does
not know at all, and what is called otherwise, stays as it is.

Chosen on the eight PET/CT subjects, leave-subjects-out, and on phantoms of bodies, with their truth in sight: the
student's share (.55 to .7 are alike) and `move_share` (.5 made small lesions of bodies worse).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from somray.errors import ShapeError
from somray.kernels.objects.cut import CONNECTED, CutRule, closed_by_ball, grown_box, largest_part

__all__ = ["RecutRule", "recut"]

Labels = NDArray[np.int32]
Mask = NDArray[np.bool_]
Spacing = tuple[float, float, float]


@dataclass(frozen=True)
class RecutRule:
    """How far the student is heard.

    Args:
        student: its share of the mean; above one half, else it could never move a border.
        move_share: how far its border may move, as a share of the radius of a ball of its volume: a millimetre
            too much is nothing to a large tumour, and doubles a small node …
        reach_mm: … and how far at most.
        closing_mm: radius of the closing of an object before it is averaged, as it was cut.
        least_kept: share of the object that must be left, and …
        most_grown: … times the object's volume that it may grow to; beyond either the student does not know
            this lesion, and the object stays as it was.
    """

    student: float = 0.6
    move_share: float = 0.25
    reach_mm: float = 16.0
    closing_mm: float = CutRule().closing_mm
    least_kept: float = 0.5
    most_grown: float = 2.0


def recut(
    labels: Labels,
    chance: NDArray[np.float32],
    lesions: set[int],
    spacing_mm: Spacing,
    rule: RecutRule | None = None,
) -> Labels:
    """Cut every lesion again, between its own mask and the student's probability.

    Args:
        labels: (z, y, x) int32, 0 outside, objects from 1.
        chance: (z, y, x) float32 in [0, 1] on the same grid; NaN, where nothing was scanned, counts as 0.
        lesions: numbers of the objects that are recut; others stay, and are in the way.
        spacing_mm: voxel size along (z, y, x).
        rule: shares and limits.

    Returns:
        Labels (z, y, x) int32 with the same numbers. It does not depend on the order of the objects.

    Raises:
        ShapeError: the arrays do not fit each other.

    Cost: each lesion's box and `reach_mm` + `closing_mm` around it.
    """
    if labels.shape != chance.shape:
        raise ShapeError(f"labels {labels.shape} and chance {chance.shape} must be on one grid")
    rule = rule or RecutRule()
    margin = [int(np.ceil((rule.reach_mm + rule.closing_mm) / s)) + 2 for s in spacing_mm]
    found = labels.copy()
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        if box is None or number not in lesions:
            continue
        window = grown_box(box, margin)
        own = labels[window] == number
        others = (labels[window] != 0) & ~own
        new = _one(own, others, np.nan_to_num(chance[window]), spacing_mm, rule)
        inside = found[window]  # no object's voxels but its own and free ones are written
        inside[own] = 0
        inside[new] = number
    return found


def _one(
    own: Mask, others: Mask, chance: NDArray[np.float32], spacing_mm: Spacing, rule: RecutRule
) -> Mask:
    """Return a lesion's new mask within its window; the old one where the student does not know it."""
    before = np.count_nonzero(own)
    near = _distance(own, others, spacing_mm)
    closed = closed_by_ball(own, spacing_mm, rule.closing_mm)
    mean = rule.student * chance + (1.0 - rule.student) * closed
    wanted = largest_part((mean > 0.5) & (near <= rule.reach_mm), CONNECTED)
    kept, after = np.count_nonzero(wanted & own), np.count_nonzero(wanted)
    if kept < rule.least_kept * before or after > rule.most_grown * before:
        return own
    radius = np.cbrt(before * float(np.prod(spacing_mm)) * 3.0 / (4.0 * np.pi))
    limit = min(rule.reach_mm, rule.move_share * float(radius))
    free = near <= limit
    core = ndimage.distance_transform_edt(own, sampling=spacing_mm) > limit
    new = largest_part(ndimage.binary_fill_holes((wanted & free) | core) & free, CONNECTED)
    return new if (new & own).any() else own


def _distance(own: Mask, others: Mask, spacing_mm: Spacing) -> NDArray[np.float64]:
    """Return each voxel's distance from a lesion in mm, infinite where it is not clearly nearer than any other.

    Two voxels that touch lie a block's diagonal apart at most. What either of two objects gains is nearer to it
    than to the other by more than that, so they cannot touch there, whichever is recut first.
    """
    near = np.asarray(ndimage.distance_transform_edt(~own, sampling=spacing_mm), dtype=np.float64)
    if others.any():
        apart = ndimage.distance_transform_edt(~others, sampling=spacing_mm)
        near[~own & (near + float(np.linalg.norm(spacing_mm)) >= apart)] = np.inf
    return near
