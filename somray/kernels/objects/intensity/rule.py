"""MR and its like: which bright (or dark) objects are lesions, which are the body's own, and why.

Where a skull is seen (`heads`), a lesion is one-sided and enclosed by it. Normal is what hugs the body's surface
(scalp, skin), what lies outside the skull's space beside a twin or hard by bone (marrow, orbit, gland), what has
a mirror twin or lies on the midline as its own (plexus, sinuses, pituitary), and what runs as a thin string or
lies as a sheet along the skull (vessels, dura). Outside that space one-sided things that hug nothing are in doubt.
Where no skull is seen, only the surface and the twin speak against an object; a skull-stripped brain is its own
surface, so there nothing short of a sheet hugs it.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from somray.kernels.objects.found import DOUBT, LESION, PHYSIOLOGICAL, FoundObject
from somray.kernels.objects.intensity.candidates import (
    Candidates,
    find_candidates,
    windows_of,
)
from somray.kernels.objects.intensity.head import IntensityScene, look_at
from somray.kernels.objects.intensity.mirror import find_mirror, twins
from somray.kernels.objects.intensity.traits import (
    HUG_MM,
    LONG,
    RIM_MM,
    Trait,
    measure_trait,
    walls_of,
)

__all__ = ["INTENSITY_GRID_MM", "find_intensity_objects", "objects_of"]

Spacing = tuple[float, float, float]

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


def find_intensity_objects(
    image: NDArray[np.floating],
    mask: NDArray[np.floating],
    spacing_mm: Spacing,
    oriented: bool,
) -> tuple[NDArray[np.int32], list[FoundObject]]:
    """Find objects on a scan of intensities, and say of each whether it is a lesion.

    Args:
        image: (z, y, x) intensities on a grid of about `INTENSITY_GRID_MM`, NaN where nothing was scanned.
        mask: (z, y, x) share of the lesion class in every voxel.
        spacing_mm: voxel size along (z, y, x).
        oriented: whether x runs to the left; twins are looked for only then.

    Returns:
        Labels (z, y, x) int32, 0 outside, and one `FoundObject` per label from 1, most salient first.
    """
    scene = look_at(image, mask, spacing_mm)
    if scene is None:
        return np.zeros(image.shape, dtype=np.int32), []
    return objects_of(scene, image, oriented)


def objects_of(
    scene: IntensityScene, image: NDArray[np.floating], oriented: bool
) -> tuple[NDArray[np.int32], list[FoundObject]]:
    """Find the objects of a scene; see `find_intensity_objects`."""
    spacing_mm = scene.spacing_mm
    candidates = find_candidates(scene)
    plane = find_mirror(scene.field, scene.body, spacing_mm) if oriented else None
    twin = (
        None if plane is None else twins(candidates.labels, candidates.salience, spacing_mm, plane)
    )
    around = walls_of(scene)
    objects = []
    for number, window, own in windows_of(candidates.labels):
        trait = measure_trait(scene, around, (window, own), candidates, (number, plane, twin))
        objects.append(_found(scene, image, (window, own), trait, (number, candidates)))
    return candidates.labels, objects


def call(trait: Trait, is_bare: bool) -> tuple[str, str | None, str]:
    """Return what an object is called, its name where it has one, and why.

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
        return LESION, None, f"does not hug the surface ({trait.depth_mm:.0f} mm deep), has no twin"
    return (
        LESION,
        None,
        (
            f"enclosed by the skull, one-sided (twin {_told(trait.twin)}), compact "
            f"({trait.long_mm:.0f} mm long, {trait.thick_mm:.0f} mm thick), salience {trait.salience:.1f}"
        ),
    )


Verdict = tuple[str, str | None, str] | None


def _surface(trait: Trait, is_bare: bool) -> Verdict:
    is_flat = trait.long_mm >= LONG * trait.thick_mm
    if trait.hug_fraction < HUG_SHARE or (is_bare and not trait.is_thin):
        return None
    if trait.vault_fraction is None and not is_flat:
        return None  # a lump just below the skin
    name = "skin" if trait.vault_fraction is None else "scalp"
    return (
        PHYSIOLOGICAL,
        name,
        (
            f"hugs the body's surface: {100 * trait.hug_fraction:.0f} % of it lies within {HUG_MM:g} mm"
        ),
    )


def _mirror(trait: Trait, is_bare: bool) -> Verdict:
    if trait.twin is None or trait.midline_mm is None or trait.twin < TWIN:
        return None
    is_salient = trait.vault_fraction is None or trait.salience >= SALIENT * LEAST_SALIENCE
    if is_salient and trait.twin < TWIN_OF_SALIENT:
        return None
    if abs(trait.midline_mm) <= MIDLINE_MM:
        words = f"lies on the midline ({trait.midline_mm:+.0f} mm) and is its own mirror image"
        return PHYSIOLOGICAL, "midline_structure", f"{words} ({trait.twin:.2f})"
    return (
        PHYSIOLOGICAL,
        "paired_structure",
        (
            f"has a twin beyond the midline ({trait.twin:.2f} of it matches), {trait.midline_mm:+.0f} mm from it"
        ),
    )


def _string(trait: Trait, is_bare: bool) -> Verdict:
    if not trait.is_thin:
        return None
    return (
        PHYSIOLOGICAL,
        "vessel_or_dura",
        (f"a thin string or sheet: {trait.thick_mm:.0f} mm thick, {trait.long_mm:.0f} mm long"),
    )


def _wall(trait: Trait, is_bare: bool) -> Verdict:
    flat = trait.long_mm >= LONG * trait.thick_mm
    if trait.rim_fraction is None or trait.rim_fraction < RIM_SHARE or not flat:
        return None
    return (
        PHYSIOLOGICAL,
        "dura_or_sinus",
        (
            f"lies along the skull: {100 * trait.rim_fraction:.0f} % within {RIM_MM:g} mm of its inner wall"
        ),
    )


def _faint(trait: Trait, is_bare: bool) -> Verdict:
    if trait.volume_mm3 < LEAST_LESION_MM3:
        return DOUBT, None, f"only {trait.volume_mm3:.0f} mm³ large: too small to tell its shape"
    is_mapped = trait.vault_fraction is None and trait.mask_fraction >= 0.5
    if trait.salience >= LEAST_SALIENCE or (is_mapped and trait.volume_mm3 >= LARGE_MM3):
        return None
    return DOUBT, None, f"stands out little (salience {trait.salience:.1f} of {LEAST_SALIENCE:g})"


def _leaves_view(trait: Trait, is_bare: bool) -> Verdict:
    if trait.cut_fraction < CUT_SHARE or trait.mask_fraction >= 0.5:
        return None
    return (
        DOUBT,
        None,
        (
            f"leaves the view ({100 * trait.cut_fraction:.0f} % of its surface was not scanned) and no map marks it"
        ),
    )


def _elsewhere(trait: Trait, is_bare: bool) -> Verdict:
    if trait.midline_mm is not None and abs(trait.midline_mm) <= MIDLINE_MM:
        return (
            PHYSIOLOGICAL,
            "midline_structure",
            (f"outside the skull's space, on the midline ({trait.midline_mm:+.0f} mm)"),
        )
    return (
        DOUBT,
        None,
        (f"outside the skull's space, {trait.depth_mm:.0f} mm below the surface, without a twin"),
    )


Rule = Callable[[Trait, bool], Verdict]
_WITHIN: tuple[Rule, ...] = (_mirror, _string, _wall, _faint)
_OUTSIDE: tuple[Rule, ...] = (_surface, _mirror, _elsewhere)
_IN_THE_OPEN: tuple[Rule, ...] = (_surface, _mirror, _string, _faint, _leaves_view)


def _told(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.2f}"


def _found(
    scene: IntensityScene,
    image: NDArray[np.floating],
    part: tuple[tuple[slice, ...], NDArray[np.bool_]],
    trait: Trait,
    place: tuple[int, Candidates],
) -> FoundObject:
    number, candidates = place
    called, name, reason = call(trait, scene.is_bare)
    window, own = part
    values = image[window][own].astype(np.float64)
    centroid = np.argwhere(own).mean(axis=0) + [s.start for s in window]
    level = float(candidates.levels[number - 1])
    return FoundObject(
        number=number,
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
