"""What a CT shows of the lung: its air, and the space that it encloses.

Nothing here knows a chest. Lung is a large compartment of what is lighter than `AIR_HU` and yet no gas: parenchyma
lies between -950 and -550 HU, while a room's air, a bowel's gas and a trachea of its own lie at -1000. It is looked
for within the body, or in the whole view where no body holds any (a crop within the chest). The space is that
compartment closed by a ball: it takes in vessels and whatever the lung surrounds, and ends at wall and mediastinum.
Axes as in `grid`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from somray.kernels.objects.cut import closing_of, grown_box
from somray.kernels.objects.intensity.head import outline

__all__ = ["CLOSING_MM", "LungScene", "look_at_lung"]

Spacing = tuple[float, float, float]
Volume = NDArray[np.float64]
Mask = NDArray[np.bool_]

AIR_HU = -500.0
"""Between lung and soft tissue, where a blurred border lies."""

BODY_HU = -300.0

LUNG_HU = (-965.0, -550.0)
"""Medians of parenchyma, emphysema to dense lungs of children; gas lies below."""

LEAST_ML = 30.0
"""A smaller compartment is a cut edge of lung or a foam."""

INSIDE_SHARE = 0.5

CLOSING_MM = 12.0
"""Radius of the ball that closes the space: what is thicker and touches the wall stays outside."""


@dataclass(frozen=True, eq=False)
class LungScene:
    """A lung and its space, in the box that holds them.

    Args:
        hu: (z, y, x) float64; NaN where nothing was scanned.
        lung: (z, y, x) bool air of the parenchyma.
        space: (z, y, x) bool, that and what it encloses.
        level: median HU of the parenchyma.
        window: the box in the volume that was looked at.
        spacing_mm: voxel size along (z, y, x).
    """

    hu: Volume
    lung: Mask
    space: Mask
    level: float
    window: tuple[slice, ...]
    spacing_mm: Spacing


def look_at_lung(image: NDArray[np.floating], spacing_mm: Spacing) -> LungScene | None:
    """Look for the lung.

    Args:
        image: (z, y, x) HU on blocks, NaN where nothing was scanned.
        spacing_mm: size of the blocks along (z, y, x).

    Returns:
        The scene; None where no lung is seen.
    """
    lung = _lung(image, spacing_mm)
    if not lung.any():
        return None
    (box,) = ndimage.find_objects(lung.astype(np.int8))
    margin = [int(np.ceil(CLOSING_MM / s)) + 1 for s in spacing_mm]
    window = grown_box(box, margin)
    hu, inner = image[window].astype(np.float64), lung[window]
    space = _closed(inner, spacing_mm) & np.isfinite(hu)
    level = float(np.median(hu[inner]))
    return LungScene(hu, inner, space, level, window, spacing_mm)


def _lung(image: NDArray[np.floating], spacing_mm: Spacing) -> Mask:
    """Return the compartments of parenchyma, within the body where it holds any."""
    known = np.isfinite(image)
    light: Mask = known & (np.where(known, image, 0.0) < AIR_HU)
    labels, count = ndimage.label(light)
    if not count:
        return light
    numbers = np.arange(1, count + 1)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    large = numbers[sizes * float(np.prod(spacing_mm)) >= 1000.0 * LEAST_ML]
    medians = ndimage.median(image, labels, large) if len(large) else np.empty(0)
    fits = large[(medians >= LUNG_HU[0]) & (medians <= LUNG_HU[1])]
    if not len(fits):
        return np.zeros_like(light)
    body = outline(image, spacing_mm, BODY_HU)
    inside = np.array([body[labels == n].mean() >= INSIDE_SHARE for n in fits], dtype=bool)
    kept = fits[inside] if inside.any() else fits
    return np.asarray(np.isin(labels, kept))


def _closed(lung: Mask, spacing_mm: Spacing) -> Mask:
    """Close by a ball, as if the volume went on beyond its ends, and fill what is enclosed in a plane."""
    pad = [int(np.ceil(CLOSING_MM / s)) + 1 for s in spacing_mm]
    wide = np.pad(lung, [(p, p) for p in pad], mode="edge")
    inner = closing_of(wide, spacing_mm, CLOSING_MM)[tuple(slice(p, -p) for p in pad)] | lung
    return np.stack([ndimage.binary_fill_holes(plane) for plane in inner])
