"""What a scan of intensities shows of the body: its outline, its depth, the space within a skull.

Nothing here knows a contrast: normal tissue is the most frequent level inside the body, bone and air are far
darker than it, and a skull is a dark shell between the largest compartment of normal tissue and the body's surface.
A body without such a shell (a skull-stripped brain, a breast, a thigh) has no vault, and nothing is told about
what lies inside or outside of one. Axes as in `grid`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from somray.kernels.objects.cut import largest_part

__all__ = ["IntensityScene", "depth_below", "look_at", "outline"]

Spacing = tuple[float, float, float]
Volume = NDArray[np.float64]
Mask = NDArray[np.bool_]

THIN_MM = 4.0
"""What is thinner is no part of the body: cables, ears, wrap-around."""

INNER_MM = 8.0
"""The normal level is read this far below the surface."""

LEVEL_STEP = 0.05  # octaves
TISSUE_OCTAVES = 0.6
"""Normal tissue lies this near to the normal level: grey and white matter, muscle, the coil's bias."""

BIAS_OCTAVES, BIAS_MM = 0.4, 40.0
"""The coil's bias is the mean of tissue this near to the level, over this standard deviation."""

BRIDGE_MM = 6.0
"""Half the width of what still joins compartments: nerves and vessels through the skull's base."""

FOLD_MM = 18.0
"""Half the width of what is taken into a compartment from outside: ventricles, sulci, cold cores."""

DARK_OCTAVES = -1.0
SHELL_MM, SHELL_SHARE = 12.0, 0.6
"""A skull: this share of the compartment's surface has something dark before it, within this distance."""

COVER_MM, COVER_SHARE = 5.0, 0.15
"""A vault is covered: what is not dark beyond this distance from it is this large a share of it (scalp alone .3)."""

VAULT_MM3 = (300e3, 2.6e6)
"""Spaces within skulls, children's and large ones."""


@dataclass(frozen=True, eq=False)
class IntensityScene:
    """One scan as the rule looks at it.

    Args:
        field: (z, y, x) float64, log2 of intensity over normal tissue around, positive for what the lesion class
            is: bright, or dark where `sign` is -1; NaN where nothing was scanned.
        body: (z, y, x) bool.
        depth_mm: (z, y, x) distance from the body's surface, 0 outside.
        marked: (z, y, x) bool, what the mask holds.
        vault: (z, y, x) bool space within the skull; None where there is none.
        spacing_mm: voxel size along (z, y, x).
        sign: 1 where lesions are bright, -1 where they are dark.
        is_bare: whether the normal tissue itself is the body's surface, as in a skull-stripped brain.
    """

    field: Volume
    body: Mask
    depth_mm: Volume
    marked: Mask
    vault: Mask | None
    spacing_mm: Spacing
    sign: int
    is_bare: bool


def look_at(
    image: NDArray[np.floating], mask: NDArray[np.floating], spacing_mm: Spacing
) -> IntensityScene | None:
    """Look at a scan of intensities.

    Args:
        image: (z, y, x), NaN where nothing was scanned.
        mask: (z, y, x) share of the lesion class; it tells whether lesions are bright or dark.
        spacing_mm: voxel size along (z, y, x).

    Returns:
        The scene; None where no body stands out of the background.
    """
    body = outline(image, spacing_mm)
    if not body.any():
        return None
    depth = depth_below(body, spacing_mm)
    known = np.isfinite(image)
    floor = 1e-3 * float(np.max(image[body & known]))
    octaves = np.log2(np.maximum(np.where(known, image, floor), floor)).astype(np.float64)
    level = _normal_level(octaves, body & known, depth)
    raw = octaves - level
    field = raw - _bias(raw, body & known, spacing_mm)
    tissue = body & (np.abs(field) < TISSUE_OCTAVES)
    compartment = _compartment(tissue, body, spacing_mm)
    marked = np.asarray((mask >= 0.5) & known, dtype=np.bool_)
    sign = -1 if (marked & body).any() and float(np.median(field[marked & body])) < 0 else 1
    vault, is_bare = _vault(compartment, field, body, spacing_mm)
    seen = np.where(body, sign * field, -3.0 if sign > 0 else 0.0)
    signed = np.clip(np.where(known, seen, np.nan), -3.0, 4.0)
    return IntensityScene(signed, body, depth, marked, vault, spacing_mm, sign, is_bare)


def outline(image: NDArray[np.floating], spacing_mm: Spacing, air: float | None = None) -> Mask:
    """Return the body: what is not background, filled slice by slice, without what is thin, the largest part.

    Args:
        image: (z, y, x), NaN where nothing was scanned.
        spacing_mm: voxel size along (z, y, x).
        air: level that background lies below; found from the intensities where left out.
    """
    known: Mask = np.isfinite(image)
    if not known.any():
        return np.zeros(image.shape, dtype=np.bool_)
    level = 0.5 * _between(image[known].astype(np.float64)) if air is None else air
    solid = known & (np.where(known, image, -np.inf) > level)
    filled = np.stack([_filled(plane) for plane in solid])
    rows = [max(1, round(THIN_MM / s)) for s in spacing_mm[1:]]
    brush = np.ones((1, 2 * rows[0] + 1, 2 * rows[1] + 1), dtype=bool)
    pad = [(0, 0), (brush.shape[1], brush.shape[1]), (brush.shape[2], brush.shape[2])]
    opened = ndimage.binary_opening(np.pad(filled, pad, mode="edge"), brush)
    inner = opened[:, pad[1][0] : -pad[1][1], pad[2][0] : -pad[2][1]]
    return largest_part(np.asarray(inner))


def _between(values: NDArray[np.float64]) -> float:
    """Return the level midway between the means of what is below and above it (Ridler & Calvard, 1978)."""
    level = float(values.mean())
    for _ in range(50):
        low, high = values[values <= level], values[values > level]
        if not len(high):
            return level
        level = 0.5 * (float(low.mean()) + float(high.mean()))
    return level


def _filled(plane: Mask) -> Mask:
    """Close small gaps and fill what is enclosed."""
    closed = ndimage.binary_closing(np.pad(plane, 2), np.ones((3, 3), dtype=bool))[2:-2, 2:-2]
    return np.asarray(ndimage.binary_fill_holes(closed | plane))


def depth_below(body: Mask, spacing_mm: Spacing) -> Volume:
    """Distance to the surface; a body that leaves the view has no surface there."""
    wide = np.pad(body, 1, mode="edge")
    depth = ndimage.distance_transform_edt(wide, sampling=spacing_mm)[1:-1, 1:-1, 1:-1]
    return np.asarray(depth, dtype=np.float64)


def _normal_level(octaves: Volume, body: Mask, depth: Volume) -> float:
    """Return the most frequent level inside the body."""
    deep = body & (depth > INNER_MM)
    values = octaves[deep if deep.any() else body]
    bins = np.arange(values.min(), values.max() + 3 * LEVEL_STEP, LEVEL_STEP)
    counts, edges = np.histogram(values, bins)
    smooth = ndimage.gaussian_filter1d(counts.astype(np.float64), 2.0)
    return float(edges[int(np.argmax(smooth))] + LEVEL_STEP / 2)


def _bias(raw: Volume, body: Mask, spacing_mm: Spacing) -> Volume:
    """Return the smooth mean of normal tissue around every voxel, 0 far from any."""
    near = body & (np.abs(raw) < BIAS_OCTAVES)
    sigma = [BIAS_MM / s for s in spacing_mm]
    weight = ndimage.gaussian_filter(near.astype(np.float64), sigma, mode="constant")
    total = ndimage.gaussian_filter(np.where(near, raw, 0.0), sigma, mode="constant")
    return np.asarray(total / (weight + 0.02))


def _compartment(tissue: Mask, body: Mask, spacing_mm: Spacing) -> Mask:
    """Return the largest compartment of normal tissue, with what it encloses or folds around."""
    core = largest_part(ndimage.distance_transform_edt(tissue, sampling=spacing_mm) > BRIDGE_MM)
    if not core.any():
        return core
    pad = [int(np.ceil(FOLD_MM / s)) + 1 for s in spacing_mm]
    wide = np.pad(core, [(p, p) for p in pad])
    away = ndimage.distance_transform_edt(~wide, sampling=spacing_mm)
    closed = (
        ndimage.distance_transform_edt(away <= BRIDGE_MM + FOLD_MM, sampling=spacing_mm) > FOLD_MM
    )
    inner = closed[tuple(slice(p, -p) for p in pad)] & body
    return np.stack([ndimage.binary_fill_holes(plane) for plane in inner])


def _vault(
    compartment: Mask, field: Volume, body: Mask, spacing_mm: Spacing
) -> tuple[Mask | None, bool]:
    """Say whether a compartment is the space within a skull; and whether it is bare."""
    if not compartment.any():
        return None, False
    beyond = ndimage.distance_transform_edt(~compartment, sampling=spacing_mm) > COVER_MM
    cover = int((beyond & body & (field >= DARK_OCTAVES)).sum())
    is_bare = cover < COVER_SHARE * int(compartment.sum())
    volume = float(compartment.sum() * np.prod(spacing_mm))
    dark = body & (field < DARK_OCTAVES)
    if is_bare or not VAULT_MM3[0] <= volume <= VAULT_MM3[1] or not dark.any():
        return None, is_bare
    rim = compartment & ~ndimage.binary_erosion(compartment, border_value=1)
    if not rim.any():
        return None, is_bare
    to_dark = ndimage.distance_transform_edt(~dark, sampling=spacing_mm)
    has_shell = float(np.mean(to_dark[rim] <= SHELL_MM)) >= SHELL_SHARE
    return (compartment if has_shell else None), is_bare
