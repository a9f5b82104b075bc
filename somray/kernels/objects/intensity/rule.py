"""MR and its like: which bright (or dark) objects are lesions, which are the body's own, and why.

Where a skull is seen (`head`), a lesion is one-sided and enclosed by it. Normal is what hugs the body's surface
(scalp, skin), what lies outside the skull's space beside a twin or hard by bone (marrow, orbit, gland), what has
a mirror twin or lies on the midline as its own (plexus, sinuses, pituitary), and what runs as a thin string or
lies as a sheet along the skull (vessels, dura). Outside that space one-sided things that hug nothing are in doubt.
Where no skull is seen, only the surface and the twin speak against an object; a skull-stripped brain is its own
surface, so there nothing short of a sheet hugs it.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from somray.kernels.objects.found import DOUBT, LESION, PHYSIOLOGICAL, FoundObject
from somray.kernels.objects.intensity.candidates import BlockPart, find_candidates, parts_of
from somray.kernels.objects.intensity.head import IntensityScene, depth_below
from somray.kernels.objects.intensity.mirror import find_mirror, twins
from somray.kernels.objects.intensity.traits import (
    HUG_MM,
    LONG,
    RIM_MM,
    Symmetry,
    Trait,
    measure_trait,
)

__all__ = ["INTENSITY_GRID_MM", "objects_of"]

INTENSITY_GRID_MM = 2.5
"""Grid that objects are found on: a skull and the smallest masses (4 mm across) still show, a whole head has half
a million voxels; the thick slices of clinical MR stay as they are."""

HUG_SHARE = 0.6
"""Hugs the surface: this share of it lies within `HUG_MM` of it."""

TWIN, TWIN_OF_SALIENT = 0.5, 0.75
"""Twins match at least so well; what is as salient as a mass (`SALIENT` times the least) has to match better,
since masses on both sides lie alike by chance."""

SALIENT = 2.0

CUT_SHARE = 0.05
"""Of what this much of the surface was not scanned, the shape is not known."""

LARGE_MM3 = 1000.0
"""Where no skull is seen, what the map marks stays a lesion from here on, however ragged: gliomas are."""

LEAST_LESION_MM3 = 250.0
"""A ball of 8 mm. On this grid less is a handful of voxels, whose shape says nothing."""

MIDLINE_MM = 8.0
RIM_SHARE = 0.7
"""Lies along the skull: this share of it lies within `RIM_MM` of the vault's wall."""

LEAST_SALIENCE = 6.0
"""What stands out less is in doubt where the image alone shows it; of drawn heads (bench)."""


def objects_of(
    scene: IntensityScene, image: NDArray[np.floating], oriented: bool
) -> tuple[NDArray[np.int32], list[FoundObject]]:
    """Find objects on a scan of intensities, and say of each whether it is a lesion.

    Args:
        scene: what `look_at` made of the scan.
        image: (z, y, x) intensities on a grid of about `INTENSITY_GRID_MM`, NaN where nothing was scanned.
        oriented: whether x runs to the left; twins are looked for only then.

    Returns:
        Labels (z, y, x) int32, 0 outside, and one `FoundObject` per label from 1, most salient first.
    """
    spacing_mm = scene.spacing_mm
    candidates = find_candidates(scene)
    plane = find_mirror(scene.field, scene.body, spacing_mm) if oriented else None
    symmetry = None
    if plane is not None:
        found = twins(candidates.labels, candidates.salience, spacing_mm, plane)
        symmetry = Symmetry(plane, found)
    walls = None if scene.vault is None else depth_below(scene.vault, spacing_mm)
    objects = []
    for part in parts_of(candidates.labels):
        trait = measure_trait(scene, walls, part, candidates, symmetry)
        level = float(candidates.levels[part.number - 1])
        objects.append(_found(scene, image, part, trait, level))
    return candidates.labels, objects


class Call(NamedTuple):
    """What an object is called, its name where it has one, and why."""

    called: str
    name: str | None
    reason: str


def call(trait: Trait, is_bare: bool) -> Call:
    """Call an object.

    Args:
        trait: of the object.
        is_bare: whether normal tissue is itself the body's surface.
    """
    rules = _IN_THE_OPEN if trait.vault_fraction is None else _WITHIN
    if trait.vault_fraction is not None and trait.vault_fraction < 0.5:
        rules = _OUTSIDE
    for rule in rules:
        verdict = rule(trait, is_bare)
        if verdict is not None:
            return verdict
    if trait.vault_fraction is None:
        why = f"does not hug the surface ({trait.depth_mm:.0f} mm deep), has no twin"
        return Call(LESION, None, why)
    twin = "unknown" if trait.twin is None else f"{trait.twin:.2f}"
    why = (
        f"enclosed by the skull, one-sided (twin {twin}), compact "
        f"({trait.long_mm:.0f} mm long, {trait.thick_mm:.0f} mm thick), salience {trait.salience:.1f}"
    )
    return Call(LESION, None, why)


def _surface(trait: Trait, is_bare: bool) -> Call | None:
    is_flat = trait.long_mm >= LONG * trait.thick_mm
    if trait.hug_fraction < HUG_SHARE or (is_bare and not trait.is_thin):
        return None
    if trait.vault_fraction is None and not is_flat:
        return None  # a lump just below the skin
    name = "skin" if trait.vault_fraction is None else "scalp"
    share = 100 * trait.hug_fraction
    why = f"hugs the body's surface: {share:.0f} % of it lies within {HUG_MM:g} mm"
    return Call(PHYSIOLOGICAL, name, why)


def _mirror(trait: Trait, is_bare: bool) -> Call | None:
    if trait.twin is None or trait.midline_mm is None or trait.twin < TWIN:
        return None
    is_salient = trait.vault_fraction is None or trait.salience >= SALIENT * LEAST_SALIENCE
    if is_salient and trait.twin < TWIN_OF_SALIENT:
        return None
    twin, away = f"{trait.twin:.2f}", f"{trait.midline_mm:+.0f} mm"
    if abs(trait.midline_mm) <= MIDLINE_MM:
        why = f"lies on the midline ({away}) and is its own mirror image ({twin})"
        return Call(PHYSIOLOGICAL, "midline_structure", why)
    why = f"has a twin beyond the midline ({twin} of it matches), {away} from it"
    return Call(PHYSIOLOGICAL, "paired_structure", why)


def _string(trait: Trait, is_bare: bool) -> Call | None:
    if not trait.is_thin:
        return None
    size = f"{trait.thick_mm:.0f} mm thick, {trait.long_mm:.0f} mm long"
    return Call(PHYSIOLOGICAL, "vessel_or_dura", f"a thin string or sheet: {size}")


def _wall(trait: Trait, is_bare: bool) -> Call | None:
    flat = trait.long_mm >= LONG * trait.thick_mm
    if trait.rim_fraction is None or trait.rim_fraction < RIM_SHARE or not flat:
        return None
    share = 100 * trait.rim_fraction
    why = f"lies along the skull: {share:.0f} % within {RIM_MM:g} mm of its inner wall"
    return Call(PHYSIOLOGICAL, "dura_or_sinus", why)


def _faint(trait: Trait, is_bare: bool) -> Call | None:
    if trait.volume_mm3 < LEAST_LESION_MM3:
        why = f"only {trait.volume_mm3:.0f} mm³ large: too small to tell its shape"
        return Call(DOUBT, None, why)
    is_mapped = trait.vault_fraction is None and trait.mask_fraction >= 0.5
    if trait.salience >= LEAST_SALIENCE or (is_mapped and trait.volume_mm3 >= LARGE_MM3):
        return None
    why = f"stands out little (salience {trait.salience:.1f} of {LEAST_SALIENCE:g})"
    return Call(DOUBT, None, why)


def _leaves_view(trait: Trait, is_bare: bool) -> Call | None:
    if trait.cut_fraction < CUT_SHARE or trait.mask_fraction >= 0.5:
        return None
    share = f"{100 * trait.cut_fraction:.0f} % of its surface was not scanned"
    return Call(DOUBT, None, f"leaves the view ({share}) and no map marks it")


def _elsewhere(trait: Trait, is_bare: bool) -> Call | None:
    if trait.midline_mm is not None and abs(trait.midline_mm) <= MIDLINE_MM:
        why = f"outside the skull's space, on the midline ({trait.midline_mm:+.0f} mm)"
        return Call(PHYSIOLOGICAL, "midline_structure", why)
    deep = f"{trait.depth_mm:.0f} mm below the surface"
    return Call(DOUBT, None, f"outside the skull's space, {deep}, without a twin")


Rule = Callable[[Trait, bool], Call | None]
_WITHIN: tuple[Rule, ...] = (_mirror, _string, _wall, _faint)
_OUTSIDE: tuple[Rule, ...] = (_surface, _mirror, _elsewhere)
_IN_THE_OPEN: tuple[Rule, ...] = (_surface, _mirror, _string, _faint, _leaves_view)


def _found(
    scene: IntensityScene, image: NDArray[np.floating], part: BlockPart, trait: Trait, level: float
) -> FoundObject:
    called, name, reason = call(trait, scene.is_bare)
    window, own = part.window, part.own
    values = image[window][own].astype(np.float64)
    centroid = np.argwhere(own).mean(axis=0) + [s.start for s in window]
    return FoundObject(
        number=part.number,
        called=called,
        reason=reason,
        salience=trait.salience,
        volume_mm3=trait.volume_mm3,
        centroid=(float(centroid[0]), float(centroid[1]), float(centroid[2])),
        peak=float(np.nanmax(values)),
        mean=float(np.nanmean(values)),
        contrast_log2=float(scene.sign * np.nanmean(scene.field[window][own])),
        sphericity=trait.sphericity,
        cut_fraction=trait.cut_fraction,
        name=name,
        level=None if np.isnan(level) else level,
        midline_mm=trait.midline_mm,
        depth_mm=trait.depth_mm,
        twin=trait.twin,
    )
