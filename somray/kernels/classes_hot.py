"""PET and PET/CT: lesions take up more tracer than the subject's own lesion level."""

from collections.abc import Sequence

import numpy as np

from somray.kernels.classes_profile import NodeProfile
from somray.kernels.classes_rule import (
    BACKGROUND,
    BOUNDARY,
    LESION,
    NORMAL,
    RuleOutcome,
    level,
    steepness,
)
from somray.kernels.windows import PETCT_WINDOW, UPTAKE_SPAN

__all__ = ["classify_uptake"]

AIR_LEVEL = 0.1
"""Windowed CT below this is air or lung (-120 HU in the window of PETCT)."""

COLD_UPTAKE = 0.1
"""Share of the lesion level below which PET alone shows no body."""

STEEP = 1.2
"""Standardised edge above which a node is a boundary."""


def classify_uptake(
    profile: NodeProfile, kinds: Sequence[str], features: Sequence[str]
) -> RuleOutcome:
    """Name nodes by uptake in lesion levels; see the module for the rule."""
    pet = list(kinds).index("PET")
    uptake = level(profile, features, pet) * UPTAKE_SPAN  # 1 = the lesion level
    known = np.isfinite(uptake)
    hot = known & (np.nan_to_num(uptake) >= 1.0)
    nodes = np.full(len(uptake), NORMAL, dtype=np.uint8)
    doubtful: dict[str, str] = {}
    if "CT" in kinds:
        ct = list(kinds).index("CT")
        air = np.nan_to_num(level(profile, features, ct)) < AIR_LEVEL
        steep = steepness(profile, features, ct)
        ground = f"CT below {PETCT_WINDOW[0] + AIR_LEVEL * 400:.0f} HU in the default window"
    else:
        air = np.nan_to_num(uptake) < COLD_UPTAKE
        steep = steepness(profile, features, pet)
        ground = f"uptake below {COLD_UPTAKE:g} of the lesion level"
    nodes[air] = BACKGROUND
    if steep is not None:
        nodes[np.nan_to_num(steep) > STEEP] = BOUNDARY
    if not hot.any():
        hot = known & (uptake == np.nanmax(uptake))
        doubtful["lesion"] = (
            "no node of the reference reaches the lesion level; the hottest node was taken"
        )
    nodes[hot] = LESION
    mean = float(np.average(uptake[hot], weights=np.maximum(profile.share[hot], 1e-12)))
    reasons = {
        "background": ground,
        "normal": "neither hot, nor air, nor steep",
        "lesion": (
            f"uptake above the subject's lesion level (geometric mean of the body's median and its "
            f"hottest 0.1 %); mean {mean:.1f} × that level on the reference"
        ),
        "boundary": f"edge and local contrast more than {STEEP:g} spreads above the mean",
    }
    return RuleOutcome(nodes, reasons, doubtful)
