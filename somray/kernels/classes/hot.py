"""PET and PET/CT: a lesion takes up more tracer than the subject's own lesion level.

PET/CT, in this order:
    lesion         uptake of at least the lesion level, in soft tissue: denser than water or urine, and
                   softer than bone where CT's window reaches that far (by default it ends at 45 HU:
                   bone that is as hot as a lesion is marked)
    background     CT below -120 HU: air or lung
    physiological  uptake of at least the lesion level in anything else: urine in kidneys and bladder
                   (often the hottest thing of a scan), marrow, the blurred margin of a lesion in fat
    boundary       CT's edge and local contrast stand out
    normal         the rest
What is not hot is then told by CT's own scale, pixel by pixel (`classes_density`).
PET alone, where nothing tells urine from tissue and brain from lesion:
    lesion         uptake of at least the lesion level; always doubtful
    background     uptake of next to nothing
    boundary, normal  as above, by PET
Where no node reaches the level the hottest one is taken, and doubted.
"""

import numpy as np
from numpy.typing import NDArray

from somray.domain.teacher import FURTHER
from somray.errors import ShapeError
from somray.kernels.classes.rule import (
    BACKGROUND,
    BOUNDARY,
    LESION,
    NORMAL,
    LevelBorder,
    NodeView,
    RuleOutcome,
)
from somray.kernels.features.uptake import SOFT_TISSUE_HU

__all__ = ["classify_uptake"]

Nodes = NDArray[np.bool_]

PHYSIOLOGICAL = FURTHER["physiological"]

AIR_HU = -120.0
"""CT below this is air or lung; fat lies above it."""

COLD = 0.06
"""Uptake in lesion levels up to which PET alone shows background."""

STEEP = 2.2
"""Standardised edge and contrast above which a node is a boundary. Edges hardly count in this map, so a lower
limit names nodes of noisy fat (bench_phantom_truth: agreement between sessions .91 at 1.2, .95 here)."""

PET_ALONE = (
    "PET alone cannot tell a lesion from brain, heart, kidneys or bladder, which are hot too"
)

NOT_TISSUE = (
    "as hot as a lesion, but not of soft tissue's density: urine, marrow or gut, or the blurred margin "
    "of a lesion beside fat or bone; density alone cannot say which"
)

ORGANS = (
    "organs of soft tissue that take up tracer (brain, heart, kidneys, gut, glands) are marked "
    "too: neither density nor uptake tells them from a lesion"
)


def classify_uptake(view: NodeView) -> RuleOutcome:
    """Name nodes by their mean uptake, in lesion levels, and by CT where there is one.

    Raises:
        ShapeError: the view has no lesion level.
    """
    if view.level is None:
        raise ShapeError("a PET channel needs the subject's lesion level of uptake")
    with_ct = "CT" in view.kinds
    found = _beside_ct(view) if with_ct else _alone(view)
    uptake = _uptake(view)
    lesion = found.node_classes == LESION
    if not lesion.any():
        among = view.known & (_tissue(view) if with_ct else view.known)
        lesion = _hottest(view.known if not among.any() else among, uptake)
        found.node_classes[lesion] = LESION
        found.doubtful["lesion"] = (
            f"no {'soft-tissue ' if with_ct else ''}node of the reference reaches the lesion level: the "
            f"hottest one was taken ({uptake[lesion].max():.2f} levels), which may be normal uptake"
        )
    found.reasons["lesion"] = _lesion_reason(view, lesion, with_ct)
    return found


def _uptake(view: NodeView) -> NDArray[np.float64]:
    """Return each node's uptake (k,) in lesion levels, as far as the window shows it."""
    level = view.level if view.level is not None else 1.0
    return np.asarray(view.values(view.kinds.index("PET")) / level)


def _tissue(view: NodeView) -> Nodes:
    return view.within(view.kinds.index("CT"), SOFT_TISSUE_HU)


def _hottest(among: Nodes, uptake: NDArray[np.float64]) -> Nodes:
    return np.asarray(among & (uptake == uptake[among].max()))


def _beside_ct(view: NodeView) -> RuleOutcome:
    """Name nodes where CT tells what is hot."""
    ct = view.kinds.index("CT")
    hot, air = view.known & (_uptake(view) >= 1.0), view.known & (view.values(ct) < AIR_HU)
    nodes = np.full(len(hot), NORMAL, dtype=np.uint8)
    nodes[view.steepness(ct) > STEEP] = BOUNDARY
    nodes[hot] = PHYSIOLOGICAL
    nodes[air] = BACKGROUND
    nodes[hot & _tissue(view)] = LESION
    other = nodes == PHYSIOLOGICAL
    reasons = {
        "background": f"CT below {AIR_HU:g} HU: air or lung",
        "normal": "neither hot, nor background, nor steep",
        "boundary": f"CT's edge and local contrast more than {STEEP:g} spreads above the mean",
    }
    border = _border(view)
    if not other.any():
        return RuleOutcome(nodes, reasons, border=border)
    low, high = SOFT_TISSUE_HU
    reasons["physiological"] = (
        f"uptake above the subject's lesion level, CT not between {low:g} and {high:g} HU (mean "
        f"{_mean(view, ct, other):.0f} HU), {100 * view.share(other):.1f} % of the reference"
    )
    return RuleOutcome(nodes, reasons, {"physiological": NOT_TISSUE}, border)


def _border(view: NodeView) -> LevelBorder:
    """Tell where hot begins, in PET's window: a node astride it is parted (bench_phantom_truth)."""
    pet = view.kinds.index("PET")
    low, high = view.windows[pet]
    level = view.level if view.level is not None else 1.0
    return LevelBorder((pet,), (level - low) / (high - low))


def _alone(view: NodeView) -> RuleOutcome:
    """Name nodes where PET is all there is."""
    uptake = _uptake(view)
    nodes = np.full(len(uptake), NORMAL, dtype=np.uint8)
    nodes[view.known & (uptake <= COLD)] = BACKGROUND
    nodes[view.steepness(view.kinds.index("PET")) > STEEP] = BOUNDARY
    nodes[view.known & (uptake >= 1.0)] = LESION
    reasons = {
        "background": f"uptake below {COLD:g} lesion levels",
        "normal": "neither hot, nor background, nor steep",
        "boundary": f"edge and local contrast more than {STEEP:g} spreads above the mean",
    }
    return RuleOutcome(nodes, reasons, {"lesion": PET_ALONE})


def _mean(view: NodeView, channel: int, nodes: Nodes) -> float:
    """Return the mean value of some nodes, weighted by what they won."""
    values, share = view.values(channel)[nodes], view.profile.share[nodes]
    return float(np.average(values, weights=share)) if share.sum() > 0 else float(values.mean())


def _lesion_reason(view: NodeView, lesion: Nodes, with_ct: bool) -> str:
    """Say what made the lesion nodes lesion."""
    where = caveat = ""
    if with_ct:
        low, high = SOFT_TISSUE_HU
        density = _mean(view, view.kinds.index("CT"), lesion)
        where = f", in soft tissue (CT {low:g} to {high:g} HU; mean {density:.0f} HU)"
        caveat = f"; {ORGANS}"
    return (
        f"uptake above the subject's lesion level of {view.level:.3g}, which parts its hot tissue from its "
        f"background{where}; {int(lesion.sum())} nodes, "
        f"{100 * view.share(lesion):.1f} % of the reference{caveat}"
    )
