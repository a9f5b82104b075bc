"""Candidates for objects in a scan of intensities: from the image's own tree, and from a map's or student's mask.

The image gives the most salient disjoint parts of its component tree, each cut again at half its own height and
closed; a mask gives its connected parts as they are. All are measured by the same salience, on the same field,
and where two candidates want the same voxels the more salient one has them. Within a skull, only what lies
inside comes from the image; outside, the mask alone says what there is to name.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from somray.kernels.objects.cut import CutRule, cut_objects
from somray.kernels.objects.intensity.head import IntensityScene
from somray.kernels.objects.tree import ComponentTree, component_tree, most_salient, paint

__all__ = [
    "Candidates",
    "faces_of",
    "find_candidates",
    "salience_of",
    "sphericity_of",
    "windows_of",
]

Spacing = tuple[float, float, float]
Labels = NDArray[np.int32]

LOWEST, STEP = 0.3, 0.1
"""Octaves above normal tissue that the tree begins at, and its steps."""

LEAST_MM3 = 150.0
LARGEST_MM3 = 400e3
"""What is larger is a regime of tissue, no object."""

CUT = CutRule(hot_share=0.5, closing_mm=6.0, near_mm=4.0, far_mm=12.0)
"""Half its height is where a blurred border lies; closing bridges a ring's gaps."""

NETWORK = 0.3
"""What is less spherical is a network or a shell (fluid around a brain, scalp): large, hence salient, but every
compact candidate is cut out of it first."""

SHARED = 0.5
"""A candidate that lost this share of its voxels to more salient ones is the same object again."""


@dataclass(frozen=True, eq=False)
class Candidates:
    """Candidates drawn, and what is known of each.

    Args:
        labels: (z, y, x) int32, 0 outside, candidates from 1.
        levels: (n,) octaves each was cut at; NaN where the mask drew it.
        salience: (n,) see `tree`.
    """

    labels: Labels
    levels: NDArray[np.float64]
    salience: NDArray[np.float64]


def find_candidates(scene: IntensityScene) -> Candidates:
    """Draw all candidates of a scene, compact ones before networks, the most salient first.

    Args:
        scene: of `look_at`.
    """
    drawn, levels = _from_image(scene)
    both = [(*cut, levels[n - 1]) for n, *cut in windows_of(drawn)]
    both += [(*cut, np.nan) for _, *cut in windows_of(_from_mask(scene))]
    salience, compact = np.zeros(len(both)), np.zeros(len(both), dtype=bool)
    for n, (window, own, _) in enumerate(both):
        edge, area, _ = faces_of(own, scene.field[window], scene.spacing_mm)
        volume = float(own.sum() * np.prod(scene.spacing_mm))
        sphericity = sphericity_of(volume, area)
        salience[n] = edge * np.sqrt(volume) * sphericity**2
        compact[n] = sphericity >= NETWORK
    least = LEAST_MM3 / float(np.prod(scene.spacing_mm))
    labels = np.zeros(scene.field.shape, dtype=np.int32)
    kept: list[tuple[float, float]] = []
    for n in np.lexsort((-salience, ~compact)):
        window, own, level = both[n]
        free = own & (labels[window] == 0)
        if free.sum() <= (1 - SHARED) * own.sum() or free.sum() < least:
            continue
        kept.append((level, float(salience[n])))
        labels[window][free] = len(kept)
    table = np.array(kept, dtype=np.float64).reshape(-1, 2)
    return Candidates(labels, table[:, 0], table[:, 1])


def windows_of(labels: Labels) -> Iterator[tuple[int, tuple[slice, ...], NDArray[np.bool_]]]:
    """Give each label with its box, grown by one voxel, and its mask therein.

    Args:
        labels: (z, y, x) int32, 0 outside.
    """
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        if box is not None:
            window = tuple(slice(max(s.start - 1, 0), s.stop + 1) for s in box)
            yield number, window, labels[window] == number


def salience_of(own: NDArray[np.bool_], field: NDArray[np.float64], spacing_mm: Spacing) -> float:
    """Return the salience of one object on its own, as `tree` counts it for a part.

    Args:
        own: (z, y, x) bool.
        field: (z, y, x); NaN where nothing was scanned.
        spacing_mm: voxel size along (z, y, x).
    """
    edge, area, _ = faces_of(own, field, spacing_mm)
    volume = float(own.sum() * np.prod(spacing_mm))
    return float(edge * np.sqrt(volume) * sphericity_of(volume, area) ** 2)


def sphericity_of(volume_mm3: float, faces_mm2: float) -> float:
    """Return (36πV²)^⅓ / surface, the surface being two thirds of the voxels' faces.

    Args:
        volume_mm3: of the object.
        faces_mm2: area of its voxels' faces.
    """
    return float(np.cbrt(36 * np.pi * volume_mm3**2) / max(faces_mm2 / 1.5, 1e-12))


def faces_of(
    own: NDArray[np.bool_], field: NDArray[np.float64], spacing_mm: Spacing
) -> tuple[float, float, float]:
    """Return an object's edge (mean difference per mm over scanned faces), all its faces' area, and the share cut.

    Args:
        own: (z, y, x) bool.
        field: (z, y, x); NaN where nothing was scanned.
        spacing_mm: voxel size along (z, y, x).
    """
    (window,) = ndimage.find_objects(own.astype(np.int8))
    grown = tuple(slice(max(s.start - 1, 0), s.stop + 1) for s in window)
    inside, values = np.pad(own[grown], 1), np.pad(field[grown], 1, constant_values=np.nan)
    total, seen, area = 0.0, 0.0, 0.0
    for axis in range(3):
        face = float(np.prod(spacing_mm) / spacing_mm[axis])
        for sign in (-1, 1):
            near_in, near = np.roll(inside, sign, axis), np.roll(values, sign, axis)
            at = inside & ~near_in
            drop = (values - near)[at]
            drop = drop[np.isfinite(drop)]
            area += face * int(at.sum())
            seen += face * len(drop)
            total += face * float(drop.sum()) / spacing_mm[axis]
    return total / max(seen, 1e-12), area, 1.0 - seen / area


def _from_image(scene: IntensityScene) -> tuple[Labels, NDArray[np.float64]]:
    tree = component_tree(scene.field, scene.spacing_mm, LOWEST, STEP, LEAST_MM3)
    allowed = (tree.parts.volume_mm3 <= LARGEST_MM3) & (tree.parts.peak >= LOWEST + 2 * STEP)
    if scene.vault is not None:
        allowed &= _shares(tree, scene.vault) >= 0.5
    parts = paint(tree, most_salient(tree.parts, allowed))
    labels, levels, _ = cut_objects(scene.field, parts, scene.spacing_mm, CUT)
    return labels, levels


def _shares(tree: ComponentTree, region: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the share of every part's voxels that lies in a region."""
    count = len(tree.parts.parent)
    at = tree.voxel_part >= 0
    whole = np.bincount(tree.voxel_part[at], minlength=count)
    inner = np.bincount(tree.voxel_part[at & region], minlength=count)
    for part, parent in enumerate(tree.parts.parent.tolist()):  # children stand before parents
        if parent >= 0:
            whole[parent] += whole[part]
            inner[parent] += inner[part]
    return np.asarray(inner / np.maximum(whole, 1))


def _from_mask(scene: IntensityScene) -> Labels:
    """Number the mask's connected parts, apart within and outside a skull."""
    marked = scene.marked
    regions = [marked] if scene.vault is None else [marked & scene.vault, marked & ~scene.vault]
    labels = np.zeros(marked.shape, dtype=np.int32)
    for region in regions:
        found, _ = ndimage.label(region, np.ones((3, 3, 3)))
        sizes = np.bincount(found.ravel()) * float(np.prod(scene.spacing_mm))
        sizes[0] = 0
        kept = np.flatnonzero(sizes >= LEAST_MM3)
        number = np.zeros(len(sizes), dtype=np.int32)
        number[kept] = np.arange(1, len(kept) + 1) + int(labels.max(initial=0))
        labels = np.where(found > 0, number[found], labels).astype(np.int32)
    return labels
