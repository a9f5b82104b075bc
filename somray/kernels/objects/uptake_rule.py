"""What a hot object is called: lesion, physiological or in doubt, with the figures that decided.

In this order:
    stands out      how much hotter, steeper, larger and rounder than noise and diffuse uptake an object is, in one
                    score (`stands_out`); below `LESION_FROM` it is in doubt, far below it is not told at all
    cut             an object of which a good part was not scanned is in doubt: nobody can judge it
    organ           what fits a place of normal uptake best in place, size and strength is physiological
                    (`physiology`); only where a whole body shows landmarks
    fluid           as dense as water on CT and far hotter than tissue: urine
    lesion          everything else that stands out
Nothing is deleted. Evidence of a cohort, an organ mask or a person is weighed after this (`calls`).
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from somray.kernels.objects.found import DOUBT, LESION, PHYSIOLOGICAL, FoundObject
from somray.kernels.objects.physiology import ORGANS, Hot, Organ, fit
from somray.kernels.objects.uptake import HotParts, UptakeScene, hot_parts, scene_tree

__all__ = ["LESION_FROM", "find_hot_objects", "stands_out"]

LESION_FROM = 1.2
"""Score from which an object stands out as a lesion does."""

TOLD_FROM = -0.5  # score below which an object is not told
RATIO_HALF = 4.5  # peak over background that speaks neither for nor against
SALIENCE_HALF = 4.0  # mm^1.5 of octaves, the same
ROUND_HALF = 0.65  # sphericity, the same
MOST_CUT = 0.2  # share of a surface that may lie where nothing was scanned
FITS_FROM = 0.75  # share of a fit that makes an organ
FLUID_HU = (-40.0, 22.0)  # urine, with fat beside it and the blur of a filling bladder
FLUID_RATIO = 8.0  # peak over background from which fluid is urine rather than a cyst in a tumour


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
    by_salience = 1.5 * np.clip(np.log2(salience / SALIENCE_HALF), -1.7, 2.7)
    return np.asarray(by_peak + by_salience + np.clip(4.0 * (sphericity - ROUND_HALF), -1.0, 1.0))


@dataclass(frozen=True)
class _Seen:
    """An object on its way to a name."""

    object: FoundObject
    hot: Hot | None
    score: float


def find_hot_objects(scene: UptakeScene) -> tuple[NDArray[np.int32], list[FoundObject]]:
    """Find, cut and call the hot objects of a scan.

    Returns:
        Labels (z, y, x) int32 on the scene's grid, and the objects in the order of their numbers.
    """
    tree = scene_tree(scene)
    parts = hot_parts(scene, tree)
    seen = _told(scene, parts)
    hiding = _hiding(parts.labels, seen)
    organs: list[tuple[NDArray[np.bool_], _Seen]] = []
    if hiding:
        organs = [(parts.labels == s.object.number, s) for s in hiding]
        whole = np.logical_or.reduce([mask for mask, _ in organs])
        parts = hot_parts(scene, tree, whole)
        seen = _told(scene, parts)
    return _numbered(parts.labels, _named(seen), organs)


def _told(scene: UptakeScene, parts: HotParts) -> list[_Seen]:
    """Measure the objects that are worth telling."""
    scores = stands_out(2.0**parts.peak, parts.salience, parts.sphericity)
    boxes = ndimage.find_objects(parts.labels)
    told = []
    for n, box in enumerate(boxes):
        if box is not None and scores[n] >= TOLD_FROM:
            told.append(_measured(scene, parts, n, box, float(scores[n])))
    return told


def _measured(
    scene: UptakeScene, parts: HotParts, n: int, box: tuple[slice, ...], score: float
) -> _Seen:
    own = parts.labels[box] == n + 1
    index = np.argwhere(own) + [b.start for b in box]
    centroid = tuple(float(c) for c in index.mean(axis=0))
    volume_mm3 = float(len(index) * np.prod(scene.spacing_mm))
    ratio = float(2.0 ** parts.peak[n])
    hu_mean, hu_std = _density(scene, box, own)
    place = None if scene.frame is None else scene.frame.place(centroid)  # type: ignore[arg-type]  # three
    fluid = None if hu_mean is None else FLUID_HU[0] <= hu_mean <= FLUID_HU[1]
    hot = None if place is None else Hot(place, volume_mm3 / 1000.0, ratio, score, fluid)
    values = scene.pet[box][own]
    words = f"peak {ratio:.1f} × background, {volume_mm3 / 1000:.1f} ml, score {score:.1f}"
    found = FoundObject(
        number=n + 1,
        called=LESION,
        reason=f"stands out: {words}",
        salience=float(parts.salience[n]),
        volume_mm3=volume_mm3,
        centroid=centroid,  # type: ignore[arg-type]  # three
        peak=float(np.nanmax(values)),
        mean=float(np.nanmean(values.astype(np.float64))),
        contrast_log2=float(np.nanmean(scene.field[box][own]) - parts.around[n]),
        sphericity=float(parts.sphericity[n]),
        level=float(scene.background * 2.0 ** parts.level[n]),
        cut_fraction=float(parts.cut_fraction[n]),
        ct_mean_hu=hu_mean,
        ct_std_hu=hu_std,
        height_fraction=None if place is None else place.height,
        midline_mm=None if place is None else place.left_mm,
        landmark=None
        if place is None
        else (place.height, place.left_mm, place.depth, volume_mm3 / 1000.0, ratio),
    )
    return _Seen(_by_itself(found, score, ratio, fluid), hot, score)


def _density(
    scene: UptakeScene, box: tuple[slice, ...], own: NDArray[np.bool_]
) -> tuple[float | None, float | None]:
    """Return median and spread of CT in the hotter half of an object, away from its blurred margin."""
    if scene.ct is None:
        return None, None
    field, ct = scene.field[box], scene.ct[box]
    hot = own & (field >= np.median(field[own])) & np.isfinite(ct)
    if not hot.any():
        return None, None
    values = ct[hot].astype(np.float64)
    return float(np.median(values)), float(values.std())


def _by_itself(found: FoundObject, score: float, ratio: float, fluid: bool | None) -> FoundObject:
    """Call an object by what it is, wherever it lies."""
    if score < LESION_FROM:
        why = found.reason.replace("stands out", f"hardly stands out (less than {LESION_FROM:g})")
        return replace(found, called=DOUBT, reason=why)
    if found.cut_fraction >= MOST_CUT:
        cut = f"{found.cut_fraction:.0%} of its surface lies where nothing was scanned"
        return replace(found, called=DOUBT, name="cut", reason=cut)
    if fluid and ratio >= FLUID_RATIO:
        why = f"as dense as water ({found.ct_mean_hu:.0f} HU) and {ratio:.0f} × background: urine"
        return replace(found, called=PHYSIOLOGICAL, name="urine", reason=why)
    return found


def _hiding(labels: NDArray[np.int32], seen: list[_Seen]) -> list[_Seen]:
    """Return the diffuse organs that would hide what lies inside them."""
    found = _named(seen)
    names = {organ.name for organ in ORGANS if organ.holds_lesions}
    return [s for s in found if s.object.name in names]


def _named(seen: list[_Seen]) -> list[_Seen]:
    """Let each organ take the objects that fit it best."""
    left = {s.object.number: s for s in seen if s.hot is not None}
    named: dict[int, _Seen] = {}
    for organ in ORGANS:
        fits = {n: fit(organ, s.hot) for n, s in left.items() if s.hot is not None}
        good = [n for n, share in fits.items() if share >= FITS_FROM]
        good.sort(key=lambda n: (-fits[n] * left[n].object.volume_mm3 * left[n].object.mean, n))
        for n in good[: organ.most]:
            named[n] = _as_organ(left.pop(n), organ, fits[n])
    return [named.get(s.object.number, s) for s in seen]


def _as_organ(seen: _Seen, organ: Organ, share: float) -> _Seen:
    found = seen.object
    where = (
        f"height {found.height_fraction:.2f} between shoulders and legs, "
        f"{abs(found.midline_mm or 0.0):.0f} mm {'left' if (found.midline_mm or 0.0) > 0 else 'right'} "
        f"of the midline, {found.volume_mm3 / 1000:.0f} ml, peak {found.peak:.1f}"
    )
    why = f"lies where {organ.why} ({where}; fits {share:.0%})"
    called = replace(found, called=PHYSIOLOGICAL, name=organ.name, reason=why)
    return replace(seen, object=called)


def _numbered(
    labels: NDArray[np.int32], seen: list[_Seen], organs: list[tuple[NDArray[np.bool_], _Seen]]
) -> tuple[NDArray[np.int32], list[FoundObject]]:
    """Number what is told from 1 on, the organs that were looked into last."""
    number = np.zeros(int(labels.max(initial=0)) + 1, dtype=np.int32)
    objects = []
    for place, s in enumerate(seen, start=1):
        number[s.object.number] = place
        objects.append(replace(s.object, number=place))
    drawn = number[labels]
    for mask, s in organs:
        objects.append(replace(s.object, number=len(objects) + 1))
        drawn[mask & (drawn == 0)] = len(objects)
    return drawn, objects
