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

from somray.kernels.objects.cut import CONNECTED, CutRule, cut_objects, grown_box
from somray.kernels.objects.intensity.head import IntensityScene
from somray.kernels.objects.tree import (
    FACES_OF_A_BALL,
    component_tree,
    most_salient,
    paint,
)

__all__ = [
    "BlockPart",
    "Candidates",
    "PartShape",
    "find_candidates",
    "parts_of",
    "shape_of",
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


@dataclass(frozen=True, eq=False)
class BlockPart:
    """One label on blocks.

    Args:
        number: the label.
        window: its box, grown by one voxel.
        own: (z, y, x) bool, its mask therein.
    """

    number: int
    window: tuple[slice, ...]
    own: NDArray[np.bool_]

    def points_mm(self, spacing_mm: Spacing) -> NDArray[np.float64]:
        """Return its voxels' centres (n, 3) in z, y, x, in mm from the volume's first voxel."""
        index = np.argwhere(self.own) + [s.start for s in self.window]
        return np.asarray(index * np.array(spacing_mm))


@dataclass(frozen=True)
class PartShape:
    """What an object's voxel faces say of it.

    Args:
        volume_mm3: of the object.
        edge: mean difference of the field per mm over scanned faces.
        faces_mm2: area of its voxels' faces.
        cut_fraction: share of them where nothing was scanned.
    """

    volume_mm3: float
    edge: float
    faces_mm2: float
    cut_fraction: float

    @property
    def sphericity(self) -> float:
        """(36πV²)^⅓ / surface, the surface being two thirds of the voxels' faces."""
        ball = np.cbrt(36 * np.pi * self.volume_mm3**2)
        return float(ball / max(self.faces_mm2 / FACES_OF_A_BALL, 1e-12))

    @property
    def salience(self) -> float:
        """How much it stands out, as `tree` counts it for a part."""
        return float(self.edge * np.sqrt(self.volume_mm3) * self.sphericity**2)


def shape_of(own: NDArray[np.bool_], field: NDArray[np.float64], spacing_mm: Spacing) -> PartShape:
    """Measure an object by its voxel faces.

    Args:
        own: (z, y, x) bool.
        field: (z, y, x); NaN where nothing was scanned.
        spacing_mm: voxel size along (z, y, x).
    """
    (window,) = ndimage.find_objects(own.astype(np.int8))
    grown = grown_box(window, (1, 1, 1))
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
    volume = float(own.sum() * np.prod(spacing_mm))
    return PartShape(volume, total / max(seen, 1e-12), area, 1.0 - seen / area)


def find_candidates(scene: IntensityScene) -> Candidates:
    """Draw all candidates of a scene, compact ones before networks, the most salient first.

    Args:
        scene: of `look_at`.
    """
    drawn, levels = _from_image(scene)
    both = [(part, levels[part.number - 1]) for part in parts_of(drawn)]
    both += [(part, np.nan) for part in parts_of(_from_mask(scene))]
    shapes = [shape_of(p.own, scene.field[p.window], scene.spacing_mm) for p, _ in both]
    salience = np.array([shape.salience for shape in shapes])
    compact = np.array([shape.sphericity >= NETWORK for shape in shapes], dtype=bool)
    least = LEAST_MM3 / float(np.prod(scene.spacing_mm))
    labels = np.zeros(scene.field.shape, dtype=np.int32)
    kept: list[tuple[float, float]] = []
    for n in np.lexsort((-salience, ~compact)):
        part, level = both[n]
        free = part.own & (labels[part.window] == 0)
        if free.sum() <= (1 - SHARED) * part.own.sum() or free.sum() < least:
            continue
        kept.append((level, float(salience[n])))
        labels[part.window][free] = len(kept)
    table = np.array(kept, dtype=np.float64).reshape(-1, 2)
    return Candidates(labels, table[:, 0], table[:, 1])


def parts_of(labels: Labels) -> Iterator[BlockPart]:
    """Give each label (z, y, x), 0 outside, with its window and mask."""
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        if box is not None:
            window = grown_box(box, (1, 1, 1))
            yield BlockPart(number, window, labels[window] == number)


def _from_image(scene: IntensityScene) -> tuple[Labels, NDArray[np.float64]]:
    tree = component_tree(scene.field, scene.spacing_mm, LOWEST, STEP, LEAST_MM3)
    allowed = (tree.parts.volume_mm3 <= LARGEST_MM3) & (tree.parts.peak >= LOWEST + 2 * STEP)
    if scene.vault is not None:
        whole = tree.held(np.ones_like(scene.vault))
        allowed &= tree.held(scene.vault) / np.maximum(whole, 1) >= 0.5
    parts = paint(tree, most_salient(tree.parts, allowed))
    labels, levels, _ = cut_objects(scene.field, parts, scene.spacing_mm, CUT)
    return labels, levels


def _from_mask(scene: IntensityScene) -> Labels:
    """Number the mask's connected parts, apart within and outside a skull."""
    marked = scene.marked
    regions = [marked] if scene.vault is None else [marked & scene.vault, marked & ~scene.vault]
    labels = np.zeros(marked.shape, dtype=np.int32)
    for region in regions:
        found, _ = ndimage.label(region, CONNECTED)
        sizes = np.bincount(found.ravel()) * float(np.prod(scene.spacing_mm))
        sizes[0] = 0
        kept = np.flatnonzero(sizes >= LEAST_MM3)
        number = np.zeros(len(sizes), dtype=np.int32)
        number[kept] = np.arange(1, len(kept) + 1) + int(labels.max(initial=0))
        labels = np.where(found > 0, number[found], labels).astype(np.int32)
    return labels
