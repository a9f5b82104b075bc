"""CT, MR, XCT and others: the regime that stands out from normal tissue, or from the sound material.

1. Background is the darkest (CT: air and lung); in XCT only where it covers much, since a few dark
   pixels of a material are its pores.
2. Normal is the largest regime of the rest (CT: of soft tissue).
3. Lesion is what is brighter than normal by a tenth of the window or more (CT: first by a quarter),
   else by a twentieth, else what is darker. In XCT darker (pores, cracks) comes first, and what is
   rare and far brighter than the material (inclusions) belongs to it. A lesion ends at half its
   height above normal, where the edge of a blurred regime lies.
4. Boundary are the other steep nodes whose level lies between the regimes.
5. Further classes are even nodes off the normal level: fat, lung (where the window reaches air) and
   dense by their HU on CT, dark and bright elsewhere.
"""

import numpy as np
from numpy.typing import NDArray

from somray.domain.teacher import FURTHER
from somray.kernels.classes.rule import (
    BACKGROUND,
    BOUNDARY,
    LESION,
    NORMAL,
    LevelBorder,
    NodeView,
    RuleOutcome,
)

__all__ = ["classify_contrast"]

STEEP = 1.0
"""Standardised edge and contrast above which a node is a boundary."""

GAP = 0.1
"""Least distance in grey level from normal, as a share of the window (80 HU of CT's own)."""

STRONG_GAP = 0.25
"""Tried first on CT (200 HU: calcium, bone, dense contrast) and for what is dark, as in pores."""

PLATEAU = 0.75
"""Share of a regime's pixels that lie nearer to normal than its height; most of them are its rims
(pores of a phantom: mean Dice .95 instead of .91 with the mean for height, bench_phantom_truth)."""

LEAST_SHARE, LARGEST_SHARE = 0.002, 0.15
"""A regime smaller than this is noise; one that covers more is tissue, however it differs."""

AROUND_SHARE = 0.25
"""Dark pixels of a material that cover more than this lie around it; fewer are its pores."""

AIR_HU = -300.0
SOFT_HU = (-20.0, 130.0)
"""Muscle, organs and blood with or without contrast agent."""

FAT_HU = (-200.0, -30.0)

LUNG_HU = (-950.0, -400.0)
"""Aerated lung; told from air only where the window reaches below it."""

INCLUSION_GAP, INCLUSION_SHARE = 0.5, 0.02
"""A material's inclusions lie at least this far above it, and cover no more than this."""

VALLEY, NARROW = 0.5, 0.01
"""A further regime is one with at most half as many pixels between it and normal as in either; a node's
own pixels spread by a hundredth of the window at least."""

DARK = 0.12
"""Windowed level below which a node is background where no unit tells."""

Nodes = NDArray[np.bool_]
Levels = NDArray[np.float64]


def classify_contrast(view: NodeView) -> RuleOutcome:
    """Name nodes by grey level; the module tells the rule."""
    grey = np.asarray(np.mean([view.grey(c) for c in range(len(view.kinds))], axis=0))
    background, ground = _background(view, grey)
    rest = view.known & ~background
    steep = rest & (view.steepness(0) > STEEP)
    plain = rest & ~steep if (rest & ~steep).any() else rest
    normal = _largest_regime(grey, view.profile.share, _soft(view, plain))
    sides = _sides(view, grey, normal, rest, plain)
    lesion, reason, border = _standing_out(view, grey, normal, sides)
    doubt = _doubt(view.kinds[0])
    if not lesion.any():
        small = plain & (view.profile.share <= LARGEST_SHARE)
        lesion = _furthest(grey, normal, small if small.any() else plain)
        reason = "the node furthest in grey level from the largest regime"
        doubt = "no regime stands out by a tenth of the window; " + doubt
    inclusions = _inclusions(view, grey, normal, rest)
    if inclusions.any():
        lesion = lesion | inclusions
        reason += f"; and inclusions more than {INCLUSION_GAP:g} of the window brighter"
    nodes = np.full(len(grey), NORMAL, dtype=np.uint8)
    nodes[background] = BACKGROUND
    nodes[steep & (np.abs(grey - normal) > GAP)] = BOUNDARY
    reasons = {
        "background": ground,
        "normal": f"the largest regime (level {normal:.2f} of the window), and what resembles it",
        "lesion": reason,
        "boundary": (
            f"edge and local contrast more than {STEEP:g} spreads above the mean, and a level more "
            f"than {GAP:g} of the window from normal"
        ),
    }
    for name, (chosen, words) in _further(view, grey, normal, plain).items():
        nodes[chosen] = FURTHER[name]
        reasons |= {name: words} if chosen.any() else {}
    nodes[lesion] = LESION
    return RuleOutcome(nodes, reasons, {"lesion": doubt}, border)


def _sides(
    view: NodeView, grey: Levels, normal: float, rest: Nodes, plain: Nodes
) -> list[tuple[str, Nodes, Nodes]]:
    """List what may stand out, the most telling first: words, nodes, and nodes it may grow into."""
    material = "XCT" in view.kinds
    # Next to background, half-filled pixels look dark without being a regime of their own.
    below = (rest if material else plain) & (grey < normal)
    above = rest & (grey > normal)
    gaps = (STRONG_GAP, GAP, GAP / 2) if "CT" in view.kinds else (GAP, GAP / 2)
    darker = [("darker", below & (grey <= normal - gap), below) for gap in (STRONG_GAP, GAP)]
    brighter = [("brighter", above & (grey >= normal + gap), above) for gap in gaps]
    return [*darker, *brighter] if material else [*brighter, *darker]


def _inclusions(view: NodeView, grey: Levels, normal: float, rest: Nodes) -> Nodes:
    """Pick what is rare in a material and far brighter than it."""
    found = rest & (grey >= normal + INCLUSION_GAP)
    is_rare = LEAST_SHARE <= view.share(found) <= INCLUSION_SHARE
    return found if "XCT" in view.kinds and is_rare else np.zeros_like(found)


def _further(
    view: NodeView, grey: Levels, normal: float, plain: Nodes
) -> dict[str, tuple[Nodes, str]]:
    """Pick even nodes that are neither normal nor background, by name, and tell why."""
    if "CT" not in view.kinds:
        low, high = (_valley(view, grey, normal, plain, side) for side in (-1, 1))
        words = "than normal, beyond the valley between them at level"
        return {
            "dark": (plain & (grey < low), f"darker {words} {low:.2f}"),
            "bright": (plain & (grey > high), f"brighter {words} {high:.2f}"),
        }
    ct = view.kinds.index("CT")
    fat = plain & view.within(ct, FAT_HU)
    dense = plain & view.within(ct, (SOFT_HU[1], np.inf))
    found = {
        "fat": (fat, f"CT {FAT_HU[0]:g} to {FAT_HU[1]:g} HU, and even"),
        "dense": (dense, f"CT above {SOFT_HU[1]:g} HU, and even, but less than the lesion"),
    }
    if view.windows[ct][0] < LUNG_HU[0]:
        even = view.known & (view.steepness(0) <= STEEP)
        lung = even & view.within(ct, LUNG_HU)
        found["lung"] = (lung, f"CT {LUNG_HU[0]:g} to {LUNG_HU[1]:g} HU, and even")
    return found


def _background(view: NodeView, grey: Levels) -> tuple[Nodes, str]:
    """Pick the background's nodes and tell why."""
    if "CT" in view.kinds:
        ct = view.kinds.index("CT")
        found = view.known & view.within(ct, (-np.inf, AIR_HU))
        words = f"CT below {AIR_HU:g} HU: air or lung"
        if view.windows[ct][0] >= AIR_HU:  # the window does not reach air: its low end has to do
            limit = view.windows[ct][0] + DARK * (view.windows[ct][1] - view.windows[ct][0])
            found = view.known & (grey < DARK)
            words = f"the lowest {DARK:g} of the window (CT below {limit:.0f} HU: air or lung)"
    else:
        found, words = view.known & (grey < DARK), f"level below {DARK:g} of the window"
    if "XCT" in view.kinds and view.share(found) <= AROUND_SHARE:
        return np.zeros_like(found), "no dark regime is large enough to lie around the material"
    if (found == view.known).all():
        return np.zeros_like(found), "nothing but background: its nodes were told apart instead"
    return found, words


def _soft(view: NodeView, plain: Nodes) -> Nodes:
    """Leave fat out of what may be normal on CT: it is large, but everything is brighter than fat."""
    if "CT" not in view.kinds:
        return plain
    soft = plain & view.within(view.kinds.index("CT"), SOFT_HU)
    return soft if soft.any() else plain


def _largest_regime(grey: Levels, share: NDArray[np.float64], among: Nodes) -> float:
    """Return the level around which most pixels lie, within half a gap to each side."""
    candidates = np.flatnonzero(among)
    weight = [share[among & (np.abs(grey - grey[node]) <= GAP / 2)].sum() for node in candidates]
    center = grey[candidates[int(np.argmax(weight))]]
    near = among & (np.abs(grey - center) <= GAP / 2)
    return float(np.average(grey[near], weights=share[near] + 1e-12))


def _standing_out(
    view: NodeView, grey: Levels, normal: float, sides: list[tuple[str, Nodes, Nodes]]
) -> tuple[Nodes, str, LevelBorder | None]:
    """Take the first side that holds a regime, from its height down to half of it."""
    for words, nodes, grown in sides:
        core = _furthest_first(view, np.abs(grey - normal), nodes)
        if view.share(core) < LEAST_SHARE:
            continue
        height = _plateau(np.abs(grey[core] - normal), view.profile.share[core])
        half = max(0.5 * height, 0.5 * GAP)
        chosen = _furthest_first(
            view, np.abs(grey - normal), grown & (np.abs(grey - normal) >= half)
        )
        chosen |= core & (np.abs(grey - normal) >= half)
        reason = (
            f"{words} than the largest regime by {half:.2f} of the window or more, half of its own "
            f"{height:.2f}; {100 * view.share(chosen):.1f} % of the reference"
        )
        level = normal + (half if grey[core].mean() > normal else -half)
        is_clear = half >= GAP  # nearer to normal, its own noise would be parted
        border = LevelBorder(tuple(range(len(view.kinds))), level) if is_clear else None
        return chosen, reason, border
    return np.zeros(len(grey), dtype=np.bool_), "", None


def _plateau(gap: Levels, share: NDArray[np.float64]) -> float:
    """Return the distance that three quarters of a regime's pixels keep below: its rims left out."""
    order = np.argsort(gap, kind="stable")
    inside = np.searchsorted(np.cumsum(share[order]), PLATEAU * share.sum())
    return float(gap[order[min(int(inside), len(order) - 1)]])


def _furthest_first(view: NodeView, gap: Levels, nodes: Nodes) -> Nodes:
    """Keep the nodes furthest from normal that together are not too large for a regime."""
    among = np.flatnonzero(nodes & (view.profile.share <= LARGEST_SHARE))
    order = among[np.argsort(-gap[among], kind="stable")]
    chosen = np.zeros(len(gap), dtype=np.bool_)
    chosen[order[np.cumsum(view.profile.share[order]) <= LARGEST_SHARE]] = True
    return chosen


def _valley(view: NodeView, grey: Levels, normal: float, among: Nodes, side: int) -> float:
    """Return the emptiest level between normal and a regime on one side of it; infinite without one.

    Pixels of a node are taken to lie about its level as a normal distribution does.
    """
    level = np.linspace(0.0, 1.0, 201)
    spread = np.maximum(np.mean([view.spread(c) for c in range(len(view.kinds))], axis=0), NARROW)
    nodes = np.flatnonzero(among)
    bells = np.exp(-0.5 * ((level[:, None] - grey[nodes]) / spread[nodes]) ** 2) / spread[nodes]
    density = bells @ view.profile.share[nodes]
    beyond = np.flatnonzero(side * (level - normal) >= GAP)
    if len(beyond) == 0:
        return side * np.inf
    peak = int(beyond[int(np.argmax(density[beyond]))])
    home = round(200 * normal)
    between = np.arange(min(home, peak), max(home, peak) + 1)
    valley = int(between[int(np.argmin(density[between]))])
    if density[valley] > VALLEY * min(density[home], density[peak]):
        return side * np.inf
    return float(level[valley])


def _furthest(grey: Levels, normal: float, among: Nodes) -> Nodes:
    """Pick the one node furthest from normal."""
    chosen = np.zeros(len(grey), dtype=np.bool_)
    candidates = np.flatnonzero(among)
    chosen[candidates[int(np.argmax(np.abs(grey[candidates] - normal)))]] = True
    return chosen


def _doubt(kind: str) -> str:
    """Say why a class that only stands out must be read with care."""
    if kind == "CT":
        return (
            "on CT alone a tumour is often as dense as muscle: this class is the regime that stands "
            "out (bone, contrast, calcium or a dense lesion), to be checked by a reader"
        )
    words = (
        "named because this regime stands out in grey level, not because it is known to be a lesion; "
        "to be checked by a reader"
    )
    if kind == "MR":
        words = f"on MR fat (scalp, marrow) is often what is brightest, and is then taken; {words}"
    return words
