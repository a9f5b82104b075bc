"""What a hot object is called: lesion, physiological or in doubt, with the figures that decided.

In this order:
    stands out      how much hotter, steeper, larger and rounder than noise and diffuse uptake an object is, in one
                    score (`stands_out`); below `LESION_FROM` it is in doubt, far below it is not told at all
    cut             an object of which a good part was not scanned is in doubt: nobody can judge it
    organ           what fits a place of normal uptake best in place, size and strength is physiological
                    (`physiology`); only where a whole body shows landmarks
    fluid           as dense as water on CT and far hotter than tissue: urine; what touches a bladder is looked for
                    once the urine is left out (`urine`)
    hidden          where no landmarks are seen: a tumour that a far hotter thing tears to pieces is looked for once
                    that is set aside (`hidden`)
    faint           where no landmarks are seen: what is large and no hotter than normal organs are, beside several
                    lesions that are far hotter, is in doubt
    lesion          everything else that stands out
Nothing is deleted. Evidence of a cohort, an organ mask or a person is weighed after this (`calls`).
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from somray.kernels.objects.found import DOUBT, LESION, PHYSIOLOGICAL, FoundObject
from somray.kernels.objects.prior import Landmark, mirrored
from somray.kernels.objects.uptake.find import (
    LESION_FROM,
    HotParts,
    UptakeScene,
    hot_parts,
    scene_tree,
    without_objects,
)
from somray.kernels.objects.uptake.hidden import with_hidden
from somray.kernels.objects.uptake.physiology import ORGANS, Hot, Organ, fit
from somray.kernels.objects.uptake.urine import FLUID_HU, FLUID_RATIO, URINE, apart_from_urine

__all__ = ["LESION_FROM", "find_hot_objects"]

MOST_CUT = 0.2  # share of a surface that may lie where nothing was scanned
FITS_FROM = 0.75  # share of a fit that makes an organ
URINE_FROM = 0.1  # of the body's height: in head and neck what is as thin as water is a gland's fat
MARROW_HU = 130.0  # denser than this is bone, in blocks of some millimetres
MARROW_QUANTILE = 0.8  # of bone's uptake: cortical bone takes up less than marrow
MARROW_SPREAD = 1.8  # uptake over that, up to which bone shows its own marrow
FAT_HU = (-130.0, -55.0)  # fat, a lesion's blur included; what looks thinner lies in lung
FAT_HEIGHT = (-0.2, 0.3)  # of the body, that brown fat lies at: neck, shoulders, beside the spine
TWIN_HEIGHT = (-0.45, 0.12)  # glands, tonsils and muscles of head and neck lie in pairs
TWIN_FROM = 0.4  # degree to which two objects are each other's mirror image
FAINT_RATIO = 3.5
"""Peak over soft tissue outside of all objects, that liver, spleen, heart and marrow stay under: up to 2.9 on drawn
trunks (seeds 0, 1), where the eight tumours that this was developed on have 5.9 or more, crops included."""
FAINT_MM3 = 8e3  # what is smaller loses of its peak to the blur, and may be hotter than it looks
FAR_HOTTER = 2.0  # times a faint object's peak, from which lesions show what is disease here
SEVERAL = 3
"""Lesions that must be far hotter: one or two beside a faint tumour may be organs that nothing tells here. Any number
from 1 to 3 gives the same on drawn trunks (seeds 0, 1, 2)."""


@dataclass(frozen=True)
class _Seen:
    """An object on its way to a name."""

    object: FoundObject
    hot: Hot | None
    score: float
    ratio: float

    @property
    def weight(self) -> float:
        """How much of an organ's uptake it is: its peak × its width."""
        return float(self.object.peak * np.cbrt(self.object.volume_mm3))

    @property
    def is_large_lesion(self) -> bool:
        """Whether it is called so far, and large enough for its peak to be told."""
        return self.object.called == LESION and self.object.volume_mm3 >= FAINT_MM3

    def called(self, call: str, name: str | None, reason: str) -> "_Seen":
        """Return it with a call and its reason."""
        return replace(self, object=replace(self.object, called=call, name=name, reason=reason))


def find_hot_objects(scene: UptakeScene) -> tuple[NDArray[np.int32], list[FoundObject]]:
    """Find, cut and call the hot objects of a scan.

    Returns:
        Labels (z, y, x) int32 on the scene's grid, and the objects in the order of their numbers.
    """
    tree = scene_tree(scene)
    parts = hot_parts(scene, tree)
    seen = _told(scene, parts)
    hiding = _hiding(seen)
    organs: list[tuple[NDArray[np.bool_], _Seen]] = []
    if hiding:
        organs = [(parts.labels == s.object.number, s) for s in hiding]
        parts = hot_parts(scene, tree, [mask for mask, _ in organs])
        seen = _told(scene, parts)
    bladders = [s.object.number for s in _named(seen) if s.object.name in URINE]
    if bladders:
        parts = apart_from_urine(scene, parts, bladders)
        seen = _told(scene, parts)
    if scene.frame is None:
        whole = with_hidden(scene, parts, FAINT_RATIO * without_objects(scene, parts.labels))
        seen = seen if whole is parts else _told(scene, whole)
        parts = whole
    seen = _without_faint(scene, parts.labels, _named(seen))
    return _numbered(parts.labels, seen, organs)


def _told(scene: UptakeScene, parts: HotParts) -> list[_Seen]:
    """Measure the objects that are worth telling."""
    boxes = ndimage.find_objects(parts.labels)
    told = [
        _measured(scene, parts, n, box, float(parts.score[n]))
        for n, box in enumerate(boxes)
        if box is not None
    ]
    marrow = _marrow_ratio(scene)
    return [_by_itself(one, marrow) for one in _with_twins(told)]


def _marrow_ratio(scene: UptakeScene) -> float:
    """Return the uptake of bone that holds marrow, over the background; 0 without CT."""
    if scene.ct is None:
        return 0.0
    bone = (scene.ct > MARROW_HU) & scene.body & np.isfinite(scene.field)
    return float(2.0 ** np.quantile(scene.field[bone], MARROW_QUANTILE)) if bone.any() else 0.0


def _with_twins(told: list[_Seen]) -> list[_Seen]:
    """Tell how well each object's mirror image is matched by another object."""
    marks = [Landmark(*s.object.landmark) for s in told if s.object.landmark is not None]
    if not marks:
        return told
    return [
        replace(s, object=replace(s.object, twin=mirrored(Landmark(*s.object.landmark), marks)))
        if s.object.landmark is not None
        else s
        for s in told
    ]


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
    shape = float(parts.sphericity[n]), _elongation(index, scene.spacing_mm)
    hot = (
        None
        if place is None
        else Hot(place, volume_mm3 / 1000.0, ratio, score, *shape, fluid, hu_mean is not None)
    )
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
    return _Seen(found, hot, score, ratio)


def _elongation(index: NDArray[np.int64], spacing_mm: tuple[float, float, float]) -> float:
    """Return the longest spread of voxels (n, 3) over the second one."""
    if len(index) < 4:
        return 1.0
    spread = np.linalg.eigvalsh(np.cov((index * np.array(spacing_mm)).T))
    return float(np.sqrt(spread[2] / max(spread[1], 1e-9)))


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


def _by_itself(seen: _Seen, marrow: float) -> _Seen:
    """Call an object by what it is, wherever an organ lies."""
    found, ratio = seen.object, seen.ratio
    hu, height = found.ct_mean_hu, found.height_fraction
    if found.cut_fraction >= MOST_CUT:
        cut = f"{found.cut_fraction:.0%} of its surface lies where nothing was scanned"
        return seen.called(DOUBT, "cut", cut)
    fluid = hu is not None and FLUID_HU[0] <= hu <= FLUID_HU[1]
    if fluid and ratio >= FLUID_RATIO and (height is None or height >= URINE_FROM):
        why = f"as dense as water ({hu:.0f} HU) and {ratio:.0f} × background: urine"
        return seen.called(PHYSIOLOGICAL, "urine", why)
    if hu is not None and hu > MARROW_HU and ratio <= MARROW_SPREAD * marrow:
        why = f"bone ({hu:.0f} HU) no hotter than bone elsewhere ({ratio:.1f} against {marrow:.1f})"
        return seen.called(PHYSIOLOGICAL, "marrow", why)
    if hu is not None and FAT_HU[0] < hu < FAT_HU[1] and _within(height, FAT_HEIGHT):
        why = f"as thin as fat ({hu:.0f} HU) between neck and chest: brown fat"
        return seen.called(PHYSIOLOGICAL, "brown_fat", why)
    if found.twin is not None and found.twin >= TWIN_FROM and _within(height, TWIN_HEIGHT):
        why = f"has a mirror twin ({found.twin:.0%} alike) in head or neck: a pair of glands or muscles"
        return seen.called(PHYSIOLOGICAL, "pair", why)
    if seen.score < LESION_FROM:
        why = found.reason.replace("stands out", f"hardly stands out (less than {LESION_FROM:g})")
        return seen.called(DOUBT, None, why)
    return seen


def _within(value: float | None, limits: tuple[float, float]) -> bool:
    return value is not None and limits[0] <= value <= limits[1]


def _without_faint(scene: UptakeScene, labels: NDArray[np.int32], seen: list[_Seen]) -> list[_Seen]:
    """Doubt what is large, yet as faint as normal organs, beside several lesions that are far hotter.

    Where no landmark tells an organ by its place, it stands out by its size alone.
    """
    if scene.frame is not None:
        return seen
    hottest = sorted((s.ratio for s in seen if s.object.called == LESION), reverse=True)
    if len(hottest) < SEVERAL:
        return seen
    rest = without_objects(scene, labels)
    most = min(FAINT_RATIO * rest, hottest[SEVERAL - 1] / FAR_HOTTER)
    return [_faint(s, s.ratio / rest) if s.is_large_lesion and s.ratio < most else s for s in seen]


def _faint(seen: _Seen, ratio: float) -> _Seen:
    why = (
        f"as faint as normal organs (peak {ratio:.1f} × soft tissue, less than {FAINT_RATIO:g}) beside {SEVERAL} or "
        f"more lesions at least {FAR_HOTTER:g} times as hot; {seen.object.reason}"
    )
    return seen.called(DOUBT, "faint", why)


def _hiding(seen: list[_Seen]) -> list[_Seen]:
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
        good.sort(key=lambda n: (-(fits[n] ** 4) * left[n].weight, n))
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
    return seen.called(PHYSIOLOGICAL, organ.name, why)


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
