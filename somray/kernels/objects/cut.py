"""Where an object ends: its own level, its holes and its cold core.

A part of the tree is where an object stands out, not where it ends: a steep surface in logarithms lies at the
foot of a blurred border. Each object is therefore cut again at a level of its own, between what surrounds it and
what is hot inside it, by the same rule as a subject's level (`classes.hot`), read from its own voxels. Then it
is closed: tumours are compact and have cold cores, while thresholds give shells. Closing works on one object at a
time and never takes another's voxels.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

__all__ = [
    "CONNECTED",
    "CutRule",
    "closed_by_ball",
    "closing_of",
    "cut_objects",
    "grown_box",
    "largest_part",
    "surroundings_of",
]

Volume = NDArray[np.float64]
Spacing = tuple[float, float, float]

CONNECTED = np.ones((3, 3, 3), dtype=bool)
"""Faces, edges and corners."""

PLATEAU = 0.75  # quantile of an object's values that its plateau is read at
HOT_FROM = 0.98  # quantile that the search for the level begins at: the very hottest may be noise


@dataclass(frozen=True)
class CutRule:
    """How objects are cut and closed.

    Args:
        hot_share: how far the level lies from background to hot, in the field's unit; chosen on the eight
            PET/CT subjects that everything here was developed on (bench_objects).
        closing_mm: radius of the closing; 0 for none.
        near_mm: what surrounds an object begins here …
        far_mm: … and ends here.
        blurred_mm3: for a field of octaves: an object up to the first volume ends where its blur does, half way
            from its surroundings to its plateau in the linear unit; one from the second volume on at its share
            alone, for large tumours are not of one kind inside; None for the share alone.
    """

    hot_share: float = 0.72
    closing_mm: float = 24.0
    near_mm: float = 8.0
    far_mm: float = 20.0
    blurred_mm3: tuple[float, float] | None = None


def cut_objects(
    field: Volume, parts: NDArray[np.int32], spacing_mm: Spacing, rule: CutRule
) -> tuple[NDArray[np.int32], NDArray[np.float64], NDArray[np.float64]]:
    """Cut every part at its own level and close it.

    Args:
        field: (z, y, x), such as log2 of uptake over background; NaN where nothing was scanned.
        parts: (z, y, x) int32, 0 outside, parts from 1.
        spacing_mm: voxel size along (z, y, x).
        rule: share, radii.

    Returns:
        Objects (z, y, x) int32 with the parts' numbers; each one's level and surroundings (n,) in the
        field's unit.

    Cost: each object's box and `far_mm` + `closing_mm` around it.
    """
    boxes = ndimage.find_objects(parts)
    objects = np.zeros_like(parts)
    levels, around = np.full(len(boxes), np.nan), np.full(len(boxes), np.nan)
    margin = [int(np.ceil(max(rule.far_mm, rule.closing_mm) / s)) + 1 for s in spacing_mm]
    for number, box in enumerate(boxes, start=1):
        if box is None:
            continue
        window = grown_box(box, margin)
        own = parts[window] == number
        values = field[window]
        base = surroundings_of(values, parts[window], number, spacing_mm, rule)
        level = _own_level(values[own], base, rule.hot_share)
        if rule.blurred_mm3 is not None:
            hot = values[own & (values >= level)]
            heard = _blur_share(float(len(hot) * np.prod(spacing_mm)), rule.blurred_mm3)
            level += heard * max(0.0, _half_level(hot, base) - level)
        core = largest_part(own & (values >= level), CONNECTED)
        free = (parts[window] == 0) | own
        closed = closed_by_ball(core, spacing_mm, rule.closing_mm) & free & np.isfinite(values)
        objects[window][closed & (objects[window] == 0)] = number
        levels[number - 1], around[number - 1] = level, base
    return objects, levels, around


def surroundings_of(
    field: Volume, parts: NDArray[np.int32], number: int, spacing_mm: Spacing, rule: CutRule
) -> float:
    """Return the median of what surrounds a part, other parts left out; its own least where nothing does."""
    own = parts == number
    distance = ndimage.distance_transform_edt(~own, sampling=spacing_mm)
    shell = (distance > rule.near_mm) & (distance <= rule.far_mm) & (parts == 0)
    values = field[shell & np.isfinite(field)]
    return float(np.median(values)) if len(values) else float(field[own].min())


def _own_level(values: NDArray[np.float64], base: float, share: float) -> float:
    """Return the highest cut that lies at a share of the way from the surroundings to what is above it."""
    ordered = np.sort(values)[::-1]
    hot = np.cumsum(ordered) / np.arange(1, len(ordered) + 1)  # mean of the n + 1 highest
    wanted = base + share * (hot - base)
    start = int((1.0 - HOT_FROM) * len(ordered))
    below = np.flatnonzero(ordered[start:] <= wanted[start:])
    if not len(below):
        return float(ordered[-1])
    return float(max(wanted[start + below[0]], ordered[-1]))


def _half_level(octaves: NDArray[np.float64], base: float) -> float:
    """Return the level half way, in the linear unit, from the surroundings to the plateau.

    A border blurred by any even function lies there, as long as the object is wider than the blur.
    """
    plateau = float(np.quantile(octaves, PLATEAU))
    return float(np.log2((2.0**base + 2.0**plateau) / 2.0))


def _blur_share(volume_mm3: float, limits: tuple[float, float]) -> float:
    """Return how far the blur decides where an object of a volume ends: 1 for small ones, 0 for large."""
    low, high = np.log(limits)
    return float(np.clip((high - np.log(max(volume_mm3, 1.0))) / (high - low), 0.0, 1.0))


def grown_box(box: Sequence[slice], margin: Sequence[int]) -> tuple[slice, ...]:
    """Return a box grown by so many voxels along each axis, but not below index 0."""
    return tuple(slice(max(b.start - m, 0), b.stop + m) for b, m in zip(box, margin, strict=True))


def largest_part(
    mask: NDArray[np.bool_], structure: NDArray[np.bool_] | None = None
) -> NDArray[np.bool_]:
    """Return the largest connected part of a mask, over faces unless a structure is given."""
    labels, count = ndimage.label(mask, structure)
    if count < 2:
        return mask
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return np.asarray(labels == int(np.argmax(sizes)))


def closing_of(wide: NDArray[np.bool_], spacing_mm: Spacing, radius_mm: float) -> NDArray[np.bool_]:
    """Close a mask by a ball; it must be padded by the radius."""
    near = ndimage.distance_transform_edt(~wide, sampling=spacing_mm) <= radius_mm
    return np.asarray(ndimage.distance_transform_edt(near, sampling=spacing_mm) > radius_mm)


def closed_by_ball(
    mask: NDArray[np.bool_], spacing_mm: Spacing, radius_mm: float
) -> NDArray[np.bool_]:
    """Close by a ball, as if the volume went on beyond its ends, and fill what is enclosed."""
    if radius_mm <= 0 or not mask.any():
        return np.asarray(ndimage.binary_fill_holes(mask))
    (box,) = ndimage.find_objects(mask.view(np.uint8))  # nothing beyond it is closed
    pad = [int(np.ceil(radius_mm / s)) + 1 for s in spacing_mm]
    wide = np.pad(mask[box], [(p, p) for p in pad])
    closed = closing_of(wide, spacing_mm, radius_mm)
    whole = np.zeros_like(mask)
    inner = closed[tuple(slice(p, -p) for p in pad)]
    whole[box] = ndimage.binary_fill_holes(inner | mask[box])
    return whole
