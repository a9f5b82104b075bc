"""PET and PET/CT: a lesion takes up more tracer than the subject's own lesion level.

With CT beside it, it must be soft tissue too: denser than water (urine in the bladder is the hottest
thing of many a scan) and softer than bone.
"""

import numpy as np

from somray.errors import ShapeError
from somray.kernels.classes_rule import (
    BACKGROUND,
    BOUNDARY,
    LESION,
    NORMAL,
    NodeView,
    RuleOutcome,
)
from somray.kernels.classes_uptake import SOFT_TISSUE_HU

__all__ = ["classify_uptake"]

AIR_HU = -120.0
"""CT below this is air or lung; fat lies above it."""

COLD = 0.06
"""Uptake in lesion levels up to which PET alone shows background."""

STEEP = 1.2
"""Standardised edge and contrast above which a node is a boundary."""


def classify_uptake(view: NodeView) -> RuleOutcome:
    """Name nodes by their mean uptake, in lesion levels, and by CT where there is one."""
    if view.level is None:
        raise ShapeError("a PET channel needs the subject's lesion level of uptake")
    pet = view.kinds.index("PET")
    uptake = view.values(pet) / view.level
    hot = view.known & (uptake >= 1.0)
    nodes = np.full(len(uptake), NORMAL, dtype=np.uint8)
    doubtful: dict[str, str] = {}
    if "CT" in view.kinds:
        ct = view.kinds.index("CT")
        steep, tissue = view.steepness(ct), view.within(ct, SOFT_TISSUE_HU)
        nodes[view.known & (view.values(ct) < AIR_HU)] = BACKGROUND
        ground = f"CT below {AIR_HU:g} HU: air or lung"
        where = f", in soft tissue (CT {SOFT_TISSUE_HU[0]:g} to {SOFT_TISSUE_HU[1]:g} HU)"
    else:
        steep, tissue, where = view.steepness(pet), np.ones(len(uptake), dtype=np.bool_), ""
        nodes[view.known & (uptake <= COLD)] = BACKGROUND
        ground = f"uptake below {COLD:g} lesion levels"
        doubtful["lesion"] = (
            "PET alone cannot tell a lesion from brain, heart, kidneys or bladder, which are hot too"
        )
    nodes[steep > STEEP] = BOUNDARY
    lesion = hot & tissue
    if not lesion.any():
        lesion, doubtful["lesion"] = _hottest(view, uptake, tissue)
    nodes[lesion] = LESION
    mean = float(np.average(uptake[lesion], weights=view.profile.share[lesion] + 1e-12))
    reasons = {
        "background": ground,
        "normal": "neither hot, nor background, nor steep",
        "lesion": (
            f"uptake above the subject's lesion level of {view.level:.3g} (geometric mean of the "
            f"body's median and its hottest 0.1 %){where}; windowed mean {mean:.2f} levels, "
            f"{100 * view.share(lesion):.1f} % of the reference"
        ),
        "boundary": f"edge and local contrast more than {STEEP:g} spreads above the mean",
    }
    return RuleOutcome(nodes, reasons, doubtful)


def _hottest(
    view: NodeView, uptake: np.ndarray[tuple[int, ...], np.dtype[np.float64]], tissue: object
) -> tuple[np.ndarray[tuple[int, ...], np.dtype[np.bool_]], str]:
    """Take the hottest node where none reaches the level, and say so."""
    among = view.known & np.asarray(tissue, dtype=np.bool_)
    if not among.any():
        among = view.known
    best = float(uptake[among].max())
    return among & (uptake == best), (
        f"no soft-tissue node of the reference reaches the lesion level: the hottest one was taken "
        f"({best:.2f} levels), which may be normal uptake"
    )
