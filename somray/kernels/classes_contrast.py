"""CT, MR, XCT and others: the regime that stands out from normal tissue, or from the sound material.

background  the darkest nodes (CT: air and lung); in XCT only where they cover much, since a few
dark pixels in a material are pores
normal      the largest regime of the rest
lesion      what is brighter than normal by a tenth of the window or more; else what is darker.
In XCT darker (pores, cracks) comes first, then brighter (inclusions)
boundary    steep nodes that are none of these
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
"""Least distance in grey level from normal, as a share of the window (140 HU of CT's own)."""

LARGEST_SHARE = 0.25
"""A regime that covers more of the slice than this is tissue, however it differs."""

AIR_HU = -300.0
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
    normal = _largest_regime(grey, view.profile.share, plain)
    bright = rest & (grey >= normal + GAP)
    # Next to background, half-filled pixels look dark without being a regime of their own.
    dark = (rest if material else plain) & (grey <= normal - GAP)
    sides = (
        [("darker", dark), ("brighter", bright)]
        if material
        else [("brighter", bright), ("darker", dark)]
    )
    lesion, reason = _standing_out(view, grey, normal, sides)
    doubt = _doubt(view.kinds[0])
    if not lesion.any():
        lesion = _furthest(grey, normal, plain)
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
    if material and view.share(found) <= LARGEST_SHARE:
        return np.zeros_like(found), "no dark regime is large enough to lie around the material"
    if (found == view.known).all():
        return np.zeros_like(found), "nothing but background: its nodes were told apart instead"
    return found, words


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
        if not nodes.any():
            continue
        order = np.flatnonzero(nodes)[np.argsort(-np.abs(grey[nodes] - normal), kind="stable")]
        kept = order[np.cumsum(view.profile.share[order]) <= LARGEST_SHARE]
        if len(kept):
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
