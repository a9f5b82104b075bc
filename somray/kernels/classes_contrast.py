"""CT, MR, XCT and others: the regime that stands out from normal tissue, or from the sound material.

Background is the darkest (CT: air and lung); in XCT only where it covers much, since a few dark pixels
of a material are its pores. Normal is the largest regime of the rest (CT: of soft tissue). Lesion is
what is brighter than normal by a tenth of the window or more (CT: first by a quarter), else by a
twentieth, else what is darker; in XCT darker (pores, cracks) comes first. Boundary are steep nodes that are none of
these.
"""

import numpy as np
from numpy.typing import NDArray

from somray.kernels.classes_rule import (
    BACKGROUND,
    BOUNDARY,
    LESION,
    NORMAL,
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

LEAST_SHARE, LARGEST_SHARE = 0.002, 0.15
"""A regime smaller than this is noise; one that covers more is tissue, however it differs."""

AROUND_SHARE = 0.25
"""Dark pixels of a material that cover more than this lie around it; fewer are its pores."""

AIR_HU = -300.0
SOFT_HU = (-20.0, 130.0)
"""Muscle, organs and blood with or without contrast agent."""

DARK = 0.12
"""Windowed level below which a node is background where no unit tells."""

Nodes = NDArray[np.bool_]
Levels = NDArray[np.float64]


def classify_contrast(view: NodeView) -> RuleOutcome:
    """Name nodes by grey level; the module tells the rule."""
    grey = np.asarray(np.mean([view.grey(c) for c in range(len(view.kinds))], axis=0))
    material = "XCT" in view.kinds
    background, ground = _background(view, grey, material)
    rest = view.known & ~background
    steep = rest & (view.steepness(0) > STEEP)
    plain = rest & ~steep if (rest & ~steep).any() else rest
    normal = _largest_regime(grey, view.profile.share, _soft(view, plain))
    # Next to background, half-filled pixels look dark without being a regime of their own.
    around = rest if material else plain
    darker = [("darker", around & (grey <= normal - gap)) for gap in (STRONG_GAP, GAP)]
    gaps = (STRONG_GAP, GAP, GAP / 2) if "CT" in view.kinds else (GAP, GAP / 2)
    brighter = [("brighter", rest & (grey >= normal + gap)) for gap in gaps]
    sides = [*darker, *brighter] if material else [*brighter, *darker]
    lesion, reason = _standing_out(view, grey, normal, sides)
    doubt = _doubt(view.kinds[0])
    if not lesion.any():
        small = plain & (view.profile.share <= LARGEST_SHARE)
        lesion = _furthest(grey, normal, small if small.any() else plain)
        reason = "the node furthest in grey level from the largest regime"
        doubt = "no regime stands out by a tenth of the window; " + doubt
    nodes = np.full(len(grey), NORMAL, dtype=np.uint8)
    nodes[background] = BACKGROUND
    nodes[steep] = BOUNDARY
    nodes[lesion] = LESION
    reasons = {
        "background": ground,
        "normal": f"the largest regime (level {normal:.2f} of the window), and what resembles it",
        "lesion": reason,
        "boundary": f"edge and local contrast more than {STEEP:g} spreads above the mean",
    }
    return RuleOutcome(nodes, reasons, {"lesion": doubt})


def _background(view: NodeView, grey: Levels, material: bool) -> tuple[Nodes, str]:
    """Pick the background's nodes and tell why."""
    if "CT" in view.kinds:
        ct = view.kinds.index("CT")
        found = view.known & view.within(ct, (-np.inf, AIR_HU))
        words = f"CT below {AIR_HU:g} HU: air or lung"
        if view.windows[ct][0] >= AIR_HU:  # the window does not reach air: its low end has to do
            found, words = view.known & (grey < DARK), f"level below {DARK:g} of the window"
    else:
        found, words = view.known & (grey < DARK), f"level below {DARK:g} of the window"
    if material and view.share(found) <= AROUND_SHARE:
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
    view: NodeView, grey: Levels, normal: float, sides: list[tuple[str, Nodes]]
) -> tuple[Nodes, str]:
    """Take the first side that holds a regime, without its nearer part where it is too large."""
    for words, nodes in sides:
        nodes = nodes & (view.profile.share <= LARGEST_SHARE)
        order = np.flatnonzero(nodes)[np.argsort(-np.abs(grey[nodes] - normal), kind="stable")]
        kept: NDArray[np.intp] = order[np.cumsum(view.profile.share[order]) <= LARGEST_SHARE]
        if view.share(kept) >= LEAST_SHARE:
            chosen = np.zeros(len(grey), dtype=np.bool_)
            chosen[kept] = True
            least = float(np.abs(grey[kept] - normal).min())
            return chosen, (
                f"{words} than the largest regime by {least:.2f} of the window or more; "
                f"{100 * view.share(chosen):.1f} % of the reference"
            )
    return np.zeros(len(grey), dtype=np.bool_), ""


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
    return (
        "named because this regime stands out in grey level, not because it is known to be a lesion; "
        "to be checked by a reader"
    )
