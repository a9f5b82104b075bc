"""Which things in the lung are lesions: compact, dense, and with lung all around them.

Vessels are as dense as nodules. What tells them apart is shape: a vessel is long, or branches, and leaves the lung
at the hilum; a nodule is compact and the lung surrounds it. Candidates are parts of the component tree of the blurred
space, in which thin things fade and compact ones stay; each is cut again half way up its own border. Then, in this
order: what is not solid is in doubt, what is long or branches is a vessel, what has other tissue about it belongs to
the hilum or the wall, or is in doubt where it is attached to them on one side only. Masses attached broadly to chest
wall, diaphragm or mediastinum lie outside the space and are not found; nor is what is thinner than `LEAST_MM`.
In slices further apart than `THICK_MM` cut vessels are balls: all is in doubt there. So is what one slice alone shows,
unless it is a disc in it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from somray.kernels.objects.cut import CONNECTED, CutRule, cut_objects
from somray.kernels.objects.found import DOUBT, LESION, PHYSIOLOGICAL, FoundObject
from somray.kernels.objects.intensity.candidates import BlockPart, PartShape, parts_of, shape_of
from somray.kernels.objects.intensity.dense_rule import OCTAVE_HU
from somray.kernels.objects.intensity.traits import longest_mm, thickest_mm
from somray.kernels.objects.lung.space import LungScene, look_at_lung
from somray.kernels.objects.tree import component_tree, most_salient, paint

__all__ = ["ATTACHED", "LEAST_MM", "LUNG_GRID_MM", "THICK_MM", "find_in_lung"]

Spacing = tuple[float, float, float]

LUNG_GRID_MM = 2.0

BLUR_MM = 1.5
"""Standard deviation that makes vessels of a few mm fade, and no nodule of `LEAST_MM`."""

LOWEST, STEP, PEAK = 1.0, 0.1, 2.0
LEAST_MM3 = 60.0
LARGEST_MM3 = 400e3
ROUGH = 0.3
"""What is less spherical is a vessel tree or a shell."""

CUT = CutRule(hot_share=0.5, closing_mm=2.0, near_mm=4.0, far_mm=12.0)

LEAST_MM = 6.0
"""Diameter of the largest ball inside, up to a block too large. Guidelines do not follow smaller nodules either
(Fleischner Society 2017)."""

THICK_MM = 6.0
LEAST_IN_THICK_MM3 = 1000.0
"""What is smaller is not told in slices further apart: every vessel that crosses them is a ball there."""

SOLID_HU = -250.0
"""Mean of an object with its blurred border."""

COMPACT = 0.6
"""Diameter of the largest ball inside, over that of a ball of the same volume."""

LONG = 3.0
"""Times its thickness."""

ROUND = 1.3
"""Length of what one slice alone shows, over the diameter of a disc of its area."""

TISSUE_HU = -400.0
ATTACHED, EMBEDDED = 0.25, 0.5
"""Shares of what touches an object that are tissue, not lung."""

CUT_SHARE = 0.05


@dataclass(frozen=True)
class LungTrait:
    """What the rule reads of one object.

    Args:
        mean_hu: of its voxels.
        thick_mm: diameter of the largest ball inside.
        long_mm: extent along its longest axis.
        compact: thickness over the diameter of a ball of its volume.
        tissue_share: share of what touches it that is denser than `TISSUE_HU`.
        cut_fraction: share of its surface where nothing was scanned.
        flat_length: where one slice alone shows it, its length over the diameter of a disc of its area.
        slice_mm: largest side of a block.
    """

    mean_hu: float
    thick_mm: float
    long_mm: float
    compact: float
    tissue_share: float
    cut_fraction: float
    flat_length: float | None
    slice_mm: float


def find_in_lung(
    image: NDArray[np.floating], spacing_mm: Spacing
) -> tuple[NDArray[np.int32], list[FoundObject]]:
    """Find what the lung encloses, and say of each whether it is a lesion.

    Args:
        image: (z, y, x) HU on a grid of about `LUNG_GRID_MM`, NaN where nothing was scanned.
        spacing_mm: voxel size along (z, y, x).

    Returns:
        Labels (z, y, x) int32, 0 outside, and one `FoundObject` per label from 1, most salient first.
    """
    labels = np.zeros(image.shape, dtype=np.int32)
    scene = look_at_lung(image, spacing_mm)
    if scene is None:
        return labels, []
    field = (scene.hu - scene.level) / OCTAVE_HU
    drawn = _candidates(scene, field)
    least = LEAST_MM3 if max(spacing_mm) <= THICK_MM else LEAST_IN_THICK_MM3
    told: list[tuple[BlockPart, PartShape, LungTrait]] = []
    for part in parts_of(drawn):
        if part.own.sum() * np.prod(spacing_mm) < least:
            continue
        thick = thickest_mm(part.own, spacing_mm)
        if thick >= LEAST_MM:
            shape = shape_of(part.own, field[part.window], spacing_mm)
            told.append((part, shape, _trait(scene, part, shape, thick)))
    told.sort(key=lambda one: (-one[1].salience, one[0].number))
    inner = labels[scene.window]
    for number, (part, _, _) in enumerate(told, start=1):
        inner[part.window][part.own] = number
    objects = [_found(scene, n, *one) for n, one in enumerate(told, start=1)]
    return labels, objects


def _candidates(scene: LungScene, field: NDArray[np.float64]) -> NDArray[np.int32]:
    """Draw compact parts of the blurred space, each cut half way up its border."""
    within = np.where(scene.space, np.clip(field, -1.0, 5.0), 0.0)
    blurred = ndimage.gaussian_filter(within, [BLUR_MM / s for s in scene.spacing_mm])
    tree = component_tree(
        np.where(scene.space, blurred, np.nan), scene.spacing_mm, LOWEST, STEP, LEAST_MM3
    )
    allowed = (tree.parts.volume_mm3 <= LARGEST_MM3) & (tree.parts.peak >= PEAK)
    allowed &= tree.parts.sphericity >= ROUGH
    parts = paint(tree, most_salient(tree.parts, allowed))
    cut, _, _ = cut_objects(np.where(scene.space, within, np.nan), parts, scene.spacing_mm, CUT)
    return cut


def _trait(scene: LungScene, part: BlockPart, shape: PartShape, thick: float) -> LungTrait:
    hu = scene.hu[part.window]
    shell = ndimage.binary_dilation(part.own, CONNECTED) & ~part.own & np.isfinite(hu)
    around = hu[shell]
    ball = 2.0 * (3.0 * shape.volume_mm3 / (4.0 * np.pi)) ** (1 / 3)
    return LungTrait(
        mean_hu=float(hu[part.own].mean()),
        thick_mm=thick,
        long_mm=longest_mm(part.points_mm(scene.spacing_mm)),
        compact=thick / ball,
        tissue_share=float(np.mean(around > TISSUE_HU)) if len(around) else 1.0,
        cut_fraction=shape.cut_fraction,
        flat_length=_flat_length(part, scene.spacing_mm),
        slice_mm=max(scene.spacing_mm),
    )


def _flat_length(part: BlockPart, spacing_mm: Spacing) -> float | None:
    """Return an object's length over a disc's of its area where it is one block deep; None where it is deeper."""
    axis = int(np.argmax(spacing_mm))
    if np.ptp(np.nonzero(part.own)[axis]) > 0:
        return None
    sides = np.delete(np.array(spacing_mm), axis)
    disc = float(np.sqrt(4.0 * part.own.sum() * sides.prod() / np.pi))
    return (longest_mm(part.points_mm(spacing_mm)) + float(sides.max())) / disc


def call(trait: LungTrait) -> tuple[str, str | None, str]:
    """Call an object: its call, its name where it has one, and why."""
    size = f"{trait.long_mm:.0f} mm long, {trait.thick_mm:.0f} mm thick"
    if trait.long_mm >= LONG * trait.thick_mm or trait.compact < COMPACT:
        return PHYSIOLOGICAL, "vessel", f"long or branched, as vessels are: {size}"
    share = f"{trait.tissue_share:.0%} of what touches it is tissue"
    if trait.tissue_share > EMBEDDED:
        return PHYSIOLOGICAL, "hilum_or_wall", f"{share}, as at the hilum and the wall"
    if trait.slice_mm > THICK_MM:
        return DOUBT, None, f"slices {trait.slice_mm:g} mm apart show cut vessels alike ({size})"
    if trait.flat_length is not None and trait.flat_length > ROUND:
        why = f"one slice alone shows it, and not as a disc ({size}): a vessel may run in it"
        return DOUBT, None, why
    if trait.tissue_share > ATTACHED:
        return DOUBT, None, f"attached: {share}; {size}"
    if trait.cut_fraction > CUT_SHARE:
        return DOUBT, None, f"{trait.cut_fraction:.0%} of its surface was not scanned"
    if trait.mean_hu < SOLID_HU:
        return DOUBT, None, f"not solid ({trait.mean_hu:.0f} HU on average); {size}"
    return LESION, None, f"compact, solid and enclosed by lung ({share}); {size}"


def _found(
    scene: LungScene, number: int, part: BlockPart, shape: PartShape, trait: LungTrait
) -> FoundObject:
    values = scene.hu[part.window][part.own]
    start = [s.start + w.start for s, w in zip(part.window, scene.window, strict=True)]
    z, y, x = (np.argwhere(part.own).mean(axis=0) + start).tolist()
    called, name, reason = call(trait)
    return FoundObject(
        number=number,
        called=called,
        reason=reason,
        salience=shape.salience,
        volume_mm3=shape.volume_mm3,
        centroid=(z, y, x),
        peak=float(values.max()),
        mean=float(values.mean()),
        contrast_log2=float((values.mean() - scene.level) / OCTAVE_HU),
        sphericity=shape.sphericity,
        name=name,
        cut_fraction=trait.cut_fraction,
        ct_mean_hu=trait.mean_hu,
        ct_std_hu=float(values.std()),
    )
