"""CT, MR, XCT and others: the regime that stands out from normal tissue."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

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

__all__ = ["classify_contrast"]

STEEP = 1.0
"""Standardised edge above which a node is a boundary."""

LARGEST_SHARE = 0.25
"""A regime that covers more of the slice than this is tissue, however it differs."""

DARK = 0.12
"""Share of the window below which a node is background (CT: -832 HU, air)."""


def _groups(values: NDArray[np.float64], shares: NDArray[np.float64]) -> NDArray[np.intp]:
    """Group nodes by level: Ward's criterion on shares, until levels differ by a tenth or more."""
    order = np.argsort(values, kind="stable")
    groups = [[int(i)] for i in order]
    while len(groups) > 2:
        centers = [float(np.average(values[g], weights=shares[g] + 1e-9)) for g in groups]
        gaps = np.diff(centers)
        weights = [float(shares[g].sum()) + 1e-9 for g in groups]
        cost = [
            gaps[i] ** 2 * weights[i] * weights[i + 1] / (weights[i] + weights[i + 1])
            for i in range(len(gaps))
        ]
        near = [i for i in range(len(gaps)) if gaps[i] < 0.1]
        if not near:
            break
        best = min(near, key=lambda i: cost[i])
        groups[best : best + 2] = [groups[best] + groups[best + 1]]
    number = np.zeros(len(values), dtype=np.intp)
    for position, members in enumerate(groups):
        number[members] = position
    return number


def classify_contrast(
    profile: NodeProfile, kinds: Sequence[str], features: Sequence[str]
) -> RuleOutcome:
    """Name nodes by grey level; see the module for the rule."""
    grey = np.mean([level(profile, features, c) for c in range(len(kinds))], axis=0)
    known = np.isfinite(grey)
    grey = np.nan_to_num(grey)
    nodes = np.full(len(grey), NORMAL, dtype=np.uint8)
    steep = steepness(profile, features, 0)
    if steep is not None:
        nodes[np.nan_to_num(steep) > STEEP] = BOUNDARY
    dark = known & (grey < DARK) & (profile.share > 0)
    if dark.sum() < known.sum() and "XCT" not in kinds:
        nodes[dark] = BACKGROUND
    plain = np.flatnonzero(known & (nodes == NORMAL))
    if len(plain) < 2:
        plain = np.flatnonzero(known & (nodes != BACKGROUND))
    reasons = {
        "background": f"grey level below {DARK:g} of the window",
        "normal": "the largest regime, and what resembles it",
        "boundary": f"edge and local contrast more than {STEEP:g} spreads above the mean",
    }
    doubtful = {"lesion": _doubt(kinds[0])}
    if len(plain):
        chosen, reasons["lesion"] = _standing_out(grey, profile.share, plain)
        nodes[plain] = NORMAL
        nodes[chosen] = LESION
    return RuleOutcome(nodes, reasons, doubtful)


def _standing_out(
    grey: NDArray[np.float64], share: NDArray[np.float64], plain: NDArray[np.intp]
) -> tuple[NDArray[np.intp], str]:
    """Pick the group of nodes furthest in level from the largest, among those small enough."""
    group = _groups(grey[plain], share[plain])
    members = [plain[group == g] for g in range(group.max() + 1)]
    sizes = np.array([share[m].sum() for m in members])
    centers = np.array([np.average(grey[m], weights=share[m] + 1e-9) for m in members])
    normal = int(np.argmax(sizes))
    distance = np.abs(centers - centers[normal])
    small = (sizes <= LARGEST_SHARE) & (np.arange(len(sizes)) != normal)
    if not small.any():
        furthest = plain[np.argmax(np.abs(grey[plain] - centers[normal]))]
        return np.array([furthest]), "the single node furthest in grey level from normal tissue"
    pick = int(np.argmax(np.where(small, distance, -1.0)))
    side = "brighter" if centers[pick] > centers[normal] else "darker"
    return members[pick], (
        f"the regime furthest in grey level from the largest one: {side} by {distance[pick]:.2f} of "
        f"the window, {100 * sizes[pick]:.1f} % of the reference"
    )


def _doubt(kind: str) -> str:
    if kind == "CT":
        return (
            "on CT alone a tumour is often as dense as muscle: this class is the regime that stands "
            "out (bone, contrast, calcium or a dense lesion), to be checked by a reader"
        )
    return (
        "named because this regime stands out in grey level, not because it is known to be a lesion; "
        "to be checked by a reader"
    )
