"""CT alone: which of the dense objects that a map marks are surely no lesions, and why.

On CT a lesion class is what is denser than tissue, and stays in doubt whatever is said here (`classes.contrast`).
Its objects are the mask's own connected parts, neither cut again nor closed. Named normal is only what cannot be
anything else: what lies outside the body (a table, a pillow), what hugs its surface as a sheet, a structure as long
and thin as bones and vessels are, and long structures that have a mirror twin (ribs). Whatever else stays a lesion.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from somray.kernels.objects.cut import grown_box
from somray.kernels.objects.found import LESION, PHYSIOLOGICAL, FoundObject
from somray.kernels.objects.intensity.candidates import BlockPart, parts_of, shape_of
from somray.kernels.objects.intensity.head import depth_below, outline
from somray.kernels.objects.intensity.mirror import find_mirror, twins
from somray.kernels.objects.intensity.traits import longest_mm, thickest_mm

__all__ = ["DENSE_GRID_MM", "OCTAVE_HU", "name_dense_objects"]

Spacing = tuple[float, float, float]

DENSE_GRID_MM = 3.0
"""Traits need no finer grid than a rib's half thickness; labels stay what the mask says on its own grid."""

AIR_HU = -300.0

OCTAVE_HU = 200.0
"""Hounsfield units that count as much as an octave of intensity in salience and symmetry."""

OUTSIDE_SHARE = 0.5
HUG_MM, HUG_SHARE = 6.0, 0.9
LONG_MM, LONG_SPHERICITY = 80.0, 0.35
"""A bone or vessel: longer than any mass is ragged. A limit on length over thickness (5) was tried and lost
drawn masses that branch; sphericity alone loses none."""

TWIN, FLAT = 0.75, 4.0


def name_dense_objects(
    image: NDArray[np.floating],
    labels: NDArray[np.int32],
    spacing_mm: Spacing,
    oriented: bool,
) -> list[FoundObject]:
    """Say of each marked object on CT whether it is surely normal.

    Args:
        image: (z, y, x) HU on a grid of about `DENSE_GRID_MM`, NaN where nothing was scanned.
        labels: (z, y, x) int32 on the same grid, 0 outside; each voxel the object that fills most of it, if any.
        spacing_mm: voxel size along (z, y, x).
        oriented: whether x runs to the left; twins are looked for only then.

    Returns:
        One `FoundObject` per label that is present, in ascending order, `lesion` or `physiological`.
    """
    body = outline(image, spacing_mm, AIR_HU)
    field = (np.where(np.isfinite(image), image, np.nan) / OCTAVE_HU).astype(np.float64)
    depth = depth_below(body, spacing_mm)
    present = list(parts_of(labels))
    if not present:
        return []
    shapes = [shape_of(part.own, field[part.window], spacing_mm) for part in present]
    salience = np.full(present[-1].number, 1e-9)
    for part, shape in zip(present, shapes, strict=True):
        salience[part.number - 1] = max(shape.salience, 1e-9)
    plane = find_mirror(field, body, spacing_mm) if oriented else None
    twin = None if plane is None else twins(labels, salience, spacing_mm, plane)
    found = []
    for part, shape in zip(present, shapes, strict=True):
        n, window, own = part.number, part.window, part.own
        points = part.points_mm(spacing_mm)
        z, y, x = (points / spacing_mm).mean(axis=0).tolist()
        matched = None if twin is None else float(twin[n - 1])
        thick = thickest_mm(own, spacing_mm)
        extent = _Extent(longest_mm(points), thick, shape.sphericity)
        name, reason = _named(body[window][own], depth[window][own], extent, matched)
        told = FoundObject(
            number=n,
            called=LESION if name is None else PHYSIOLOGICAL,
            reason=reason,
            salience=float(salience[n - 1]),
            volume_mm3=shape.volume_mm3,
            centroid=(z, y, x),
            sphericity=shape.sphericity,
            name=name,
            cut_fraction=shape.cut_fraction,
            midline_mm=None if plane is None else float(plane.distance_mm(points).mean()),
            depth_mm=float(depth[window][own].min()),
            twin=matched,
            **_densities(image, labels, part),
        )
        found.append(told)
    return found


@dataclass(frozen=True)
class _Extent:
    """Length and thickness in mm, and sphericity."""

    long_mm: float
    thick_mm: float
    sphericity: float


def _densities(
    image: NDArray[np.floating], labels: NDArray[np.int32], part: BlockPart
) -> dict[str, Any]:  # Any: figures of a FoundObject
    """Measure an object and what touches it, contrast in octaves of `OCTAVE_HU`; NaN where nothing was scanned."""
    wide = grown_box(part.window, (2, 2, 2))
    near, own = image[wide], labels[wide] == part.number
    known = np.isfinite(near)
    values = near[own & known].astype(np.float64)
    names = ("peak", "mean", "contrast_log2", "ct_mean_hu", "ct_std_hu")
    if not len(values):
        return dict.fromkeys(names, float("nan"))
    shell = ndimage.binary_dilation(own, iterations=2) & (labels[wide] == 0) & known
    base = float(np.median(near[shell])) if shell.any() else float(values.min())
    mean = float(values.mean())
    figures = (float(values.max()), mean, (mean - base) / OCTAVE_HU, mean, float(values.std()))
    return dict(zip(names, figures, strict=True))


def _named(
    in_body: NDArray[np.bool_],
    depth: NDArray[np.float64],
    extent: _Extent,
    twin: float | None,
) -> tuple[str | None, str]:
    """Return an object's name where it is surely normal, and why."""
    long_mm, thick_mm, sphericity = extent.long_mm, extent.thick_mm, extent.sphericity
    outside = 1.0 - float(in_body.mean())
    hugs = float(np.mean(depth <= HUG_MM))
    is_flat = long_mm >= FLAT * thick_mm
    if outside >= OUTSIDE_SHARE:
        return "table", f"{100 * outside:.0f} % of it lies outside the body"
    if hugs >= HUG_SHARE and is_flat:
        return (
            "skin",
            f"hugs the body's surface: {100 * hugs:.0f} % of it lies within {HUG_MM:g} mm",
        )
    if long_mm >= LONG_MM and sphericity <= LONG_SPHERICITY:
        return "bone_or_vessel", (
            f"{long_mm:.0f} mm long and far from round (sphericity {sphericity:.2f}), as bones and vessels are"
        )
    if twin is not None and twin >= TWIN and is_flat:
        return "paired_bone", (
            f"long ({long_mm:.0f} mm, {thick_mm:.0f} mm thick) with a twin beyond the midline ({twin:.2f})"
        )
    return None, (
        f"dense, within the body, {long_mm:.0f} mm long, sphericity {sphericity:.2f}: nothing says that it is normal"
    )
