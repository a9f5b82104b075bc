"""Hot objects of a PET or PET/CT scan: found without a level for the whole scan, cut, measured.

Uptake counts as log2 over the body's own background, smoothed as a scanner's filter does, and its component tree
gives the most salient parts. A large diffuse organ that holds lesions (the liver) would hide them, since the
larger part wins: such an organ is recognised, left out, and what is hotter inside it is chosen again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from somray.kernels.features.uptake import BODY_HU, SOFT_TISSUE_HU, uptake_histogram, uptake_of
from somray.kernels.objects.cut import CutRule, cut_objects
from somray.kernels.objects.frame import BodyFrame, body_frame, body_mask
from somray.kernels.objects.tree import ComponentTree, component_tree, most_salient, paint

__all__ = [
    "GRID_MM",
    "LESION_FROM",
    "UPTAKE_CUT",
    "HotParts",
    "UptakeScene",
    "hot_parts",
    "scene_tree",
    "stands_out",
    "uptake_scene",
    "uptake_unit",
    "without_objects",
]

GRID_MM = 4.0
"""Blocks that PET is looked at on; scanners resolve 4 to 7 mm."""

Volume = NDArray[np.float32]
Spacing = tuple[float, float, float]

# Standard deviation of the smoothing; 2 to 3 are alike on the eight developed on, 0 keeps noise, 4 joins.
SMOOTH_MM = 2.5
LOWEST_RATIO = (
    1.1  # to the background; from 1.5 on a faint tumour in a tight crop is lost (bench_objects)
)
RUNG = (
    1 / 32
)  # octaves between levels; from 1/8 on a small object hangs on where the levels happen to lie
LEAST_MM3 = (
    250.0  # of a part that is told: a quarter of a millilitre is less than a scanner resolves
)
BODY_RATIO = 0.4  # to the background, that body is told from air by where there is no CT
LEAST_SOFT_SHARE = 0.01  # of the body must be soft tissue for the background to be read there
MOST_MM3 = 2.5e6  # of an object; a brain has 1.9 litres, what is larger is several things at once
LESION_FROM = 0.8
"""Score from which an object stands out as a lesion does."""
TOLD_FROM = -0.5  # score below which an object is not told
UPTAKE_CUT = CutRule(blurred_mm3=(3e4, 8e4))
"""Small lesions end where the scanner's blur does. Their limits and `cut.PLATEAU` were chosen on a PET/CT phantom
(seed 5) with sarcomas and QIN24 in sight, where they change nothing."""
RATIO_HALF = 4.5  # peak over background that speaks neither for nor against
SALIENCE_HALF = 4.0  # mm^1.5 of octaves, the same
LEAST_SALIENCE = (
    1e-3  # far below what changes a score; a part all around which nothing was scanned has none
)
ROUND_HALF = 0.65  # sphericity, the same
UNIT_QUANTILE = 0.2  # of soft tissue's uptake …
UNIT_TIMES = 1.4  # … and so many times that is about its median
HIDING_SHARE = 0.3  # of an organ's volume: parts of the tree larger than that are the organ itself


@dataclass(frozen=True, eq=False)
class UptakeScene:
    """A scan as objects are looked for in it.

    Args:
        pet: (z, y, x) uptake on the grid, NaN where nothing was scanned.
        ct: (z, y, x) HU on the same grid, None without CT.
        field: (z, y, x) log2 of smoothed uptake over `background`.
        background: the body's own, in the PET's unit.
        body: (z, y, x) bool.
        frame: landmarks; None where the scan shows none, or its axes' directions are not known.
        spacing_mm: voxel size along (z, y, x).
    """

    pet: Volume
    ct: Volume | None
    field: NDArray[np.float64]
    background: float
    body: NDArray[np.bool_]
    frame: BodyFrame | None
    spacing_mm: Spacing


@dataclass(frozen=True, eq=False)
class HotParts:
    """Objects with what the tree and the cut say of them, all (n,) in the order of their numbers.

    Args:
        labels: (z, y, x) int32, 0 outside, objects from 1.
        score: how much each stands out (`stands_out`).
        peak: highest field value, octaves over the background.
        salience: of the part that it was cut from.
        sphericity: of the same.
        cut_fraction: of the same.
        level: field value that it was cut at.
        around: field value of what surrounds it.
    """

    labels: NDArray[np.int32]
    score: NDArray[np.float64]
    peak: NDArray[np.float64]
    salience: NDArray[np.float64]
    sphericity: NDArray[np.float64]
    cut_fraction: NDArray[np.float64]
    level: NDArray[np.float64]
    around: NDArray[np.float64]

    def joined(
        self, labels: NDArray[np.int32], more: "HotParts", chosen: Sequence[int]
    ) -> "HotParts":
        """Append some things that were found once another was set aside: their surface lies on that, it is not cut.

        Args:
            labels: (z, y, x) of all, those appended numbered on.
            more: what was found.
            chosen: indices of those that are appended.
        """
        own = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "labels"}
        told = {name: np.append(all_, getattr(more, name)[chosen]) for name, all_ in own.items()}
        told["cut_fraction"][len(self.score) :] = 0.0
        return HotParts(labels, **told)


def uptake_scene(
    pet: Volume, ct: Volume | None, spacing_mm: Spacing, oriented: bool
) -> UptakeScene | None:
    """Read body, background and landmarks of a scan; None where nothing takes up tracer.

    Args:
        pet: (z, y, x) uptake in any unit, NaN where nothing was scanned.
        ct: (z, y, x) HU, or None.
        spacing_mm: voxel size along (z, y, x).
        oriented: whether z runs to superior, y to posterior and x to left.
    """
    known = np.isfinite(pet)
    if not (known & (pet > 0)).any():
        return None
    background = _background(pet, ct)
    solid = pet > BODY_RATIO * background if ct is None else np.nan_to_num(ct, nan=-1e3) > BODY_HU
    body = body_mask(solid & known, spacing_mm)
    smooth = _smoothed(pet, spacing_mm)
    field = np.log2(np.maximum(smooth, background / 8.0) / background)
    frame = body_frame(body, spacing_mm) if oriented else None
    return UptakeScene(pet, ct, field, background, body, frame, spacing_mm)


def uptake_unit(means: Volume, kinds: tuple[str, ...]) -> float:
    """Return what a student counts uptake in; 1 where nothing takes up tracer.

    A low quantile of soft tissue's uptake, which moves a third as much as its median does where a crop moves;
    without CT, the background.

    Args:
        means: (c, z, y, x) channels on a coarse grid.
        kinds: what each measures; one of them PET.
    """
    pet = means[kinds.index("PET")]
    if not (np.isfinite(pet) & (pet > 0)).any():
        return 1.0
    if "CT" not in kinds:
        return _background(pet, None)
    ct = means[kinds.index("CT")]
    soft = _soft(pet, ct)
    if not soft.any():
        return _background(pet, ct)
    return UNIT_TIMES * float(np.quantile(pet[soft], UNIT_QUANTILE))


def without_objects(scene: UptakeScene, labels: NDArray[np.int32]) -> float:
    """Return the median uptake of soft tissue outside of all objects, over the background; 1 without CT.

    A tumour that fills a crop is a good part of its own background; this one it does not raise.
    """
    if scene.ct is None:
        return 1.0
    rest = scene.pet[_soft(scene.pet, scene.ct) & (labels == 0)]
    return float(np.median(rest)) / scene.background if len(rest) else 1.0


def _soft(pet: Volume, ct: Volume) -> NDArray[np.bool_]:
    """Tell which voxels of soft tissue take up tracer."""
    return np.isfinite(pet) & (pet > 0) & (ct > SOFT_TISSUE_HU[0]) & (ct < SOFT_TISSUE_HU[1])


def _background(pet: Volume, ct: Volume | None) -> float:
    """Return the median uptake of soft tissue; without CT, of what is neither air nor hot."""
    if ct is not None:
        known = np.isfinite(pet) & np.isfinite(ct) & (pet > 0)
        body, soft = known & (ct > BODY_HU), _soft(pet, ct)
        enough = np.count_nonzero(soft) >= LEAST_SOFT_SHARE * np.count_nonzero(body) > 0
        chosen = pet[soft if enough else known]
        return float(np.median(chosen)) if len(chosen) else float(np.nanmax(pet))
    return uptake_of(uptake_histogram(pet)).background


def _smoothed(pet: Volume, spacing_mm: Spacing) -> NDArray[np.float64]:
    """Smooth by a Gaussian; what was not scanned neither counts nor changes."""
    known = np.isfinite(pet)
    sigma = [SMOOTH_MM / s for s in spacing_mm]
    values = np.where(known, pet, 0.0).astype(np.float64)
    total = ndimage.gaussian_filter(values, sigma, mode="nearest", truncate=3.0)
    if known.all():
        return total
    share = ndimage.gaussian_filter(known.astype(np.float64), sigma, mode="nearest", truncate=3.0)
    return np.where(known, total / np.maximum(share, 1e-6), np.nan)


def scene_tree(scene: UptakeScene) -> ComponentTree:
    """Build the tree of everything that takes up clearly more than the background."""
    inside = np.where(np.isfinite(scene.pet), scene.field, np.nan)
    lowest = float(np.log2(LOWEST_RATIO))
    return component_tree(inside, scene.spacing_mm, lowest, RUNG, LEAST_MM3)


def hot_parts(
    scene: UptakeScene, tree: ComponentTree, hiding: Sequence[NDArray[np.bool_]] = ()
) -> HotParts:
    """Choose the most salient parts, leave out what hardly stands out, and cut each.

    Two lesions whose feet touch form one part that is larger, hence more salient, than each: it must beat both
    together.

    Args:
        scene: the scan.
        tree: its tree.
        hiding: (z, y, x) bool of each diffuse organ that is left out so that what lies inside it is seen.
    """
    parts = tree.parts
    allowed = parts.volume_mm3 <= MOST_MM3
    for organ in hiding:
        allowed &= _beside(tree, organ)
    score = stands_out(2.0**parts.peak, parts.salience, parts.sphericity)
    chosen = most_salient(parts, allowed, score >= LESION_FROM)
    chosen = chosen[score[chosen] >= TOLD_FROM]
    drawn = paint(tree, chosen)
    labels, level, around = cut_objects(scene.field, drawn, scene.spacing_mm, UPTAKE_CUT)
    names = ("peak", "salience", "sphericity", "cut_fraction")
    told = {name: getattr(parts, name)[chosen] for name in names}
    return HotParts(labels, score[chosen], **told, level=level, around=around)


def stands_out(
    ratio: NDArray[np.float64], salience: NDArray[np.float64], sphericity: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return how much objects stand out; about 0 for gut and noise, 2 to 8 for lesions.

    Args:
        ratio: (n,) peak over background.
        salience: (n,) of `tree`, mm^1.5 of octaves.
        sphericity: (n,).
    """
    by_peak = 2.0 * np.clip(np.log2(ratio / RATIO_HALF), -1.0, 1.5)
    by_salience = 1.5 * np.clip(
        np.log2(np.maximum(salience, LEAST_SALIENCE) / SALIENCE_HALF), -1.7, 2.7
    )
    return np.asarray(by_peak + by_salience + np.clip(4.0 * (sphericity - ROUND_HALF), -1.0, 1.0))


def _beside(tree: ComponentTree, organ: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Tell which parts are no part of a hiding organ's own bulk: those that hold little of it."""
    return np.asarray(tree.held(organ) < HIDING_SHARE * np.count_nonzero(organ))
