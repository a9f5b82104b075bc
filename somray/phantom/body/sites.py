"""Where lesions of whole bodies lie, which of them a subject has, and whether one lies in its organ."""

import numpy as np

from somray.phantom.body.bones import LEVELS
from somray.phantom.body.outline import belly, fat_mm, lean, liver, lungs
from somray.phantom.body.plan import BodyPlan, spine_y
from somray.phantom.body.viscera import BLADDER
from somray.phantom.drawing.shapes import Point
from somray.phantom.lesion_sites import Site

__all__ = ["body_sites", "draw_wishes", "is_in_organ"]

SPARED_EVERY = 5
"""Every fifth subject has no lesion."""

HEAD_NECK = (
    ((34, 0, -205), (8, 10, 16), (3, 14), "", 1.6),  # nodes beside the vessels of the neck
    ((42, 14, -250), (8, 8, 22), (3, 13), "", 1.4),
    ((54, 6, -298), (14, 8, 8), (3, 12), "", 1.0),  # above the collar bone
    ((8, -24, -196), (10, 12, 12), (6, 18), "", 1.0),  # tongue's base and tonsil
    ((10, -16, -168), (6, 6, 6), (6, 15), "", 0.5),  # upper throat
)
CHEST = (
    ((82, 4, -395), (34, 50, 80), (3, 24), "lung", 4.0),
    ((8, 0, -385), (14, 14, 34), (5, 16), "", 1.2),  # middle
    ((36, 8, -408), (8, 8, 12), (5, 15), "", 1.2),  # hilum
    ((126, 26, -366), (14, 16, 24), (4, 14), "", 0.7),  # armpit
)
BELLY = (
    ((14, 10, -630), (22, 8, 56), (4, 15), "belly", 2.0),  # beside the great vessels
    ((10, -30, -640), (34, 14, 40), (4, 16), "belly", 1.0),  # mesentery
    ((44, 34, -516), (8, 10, 8), (6, 18), "belly", 1.0),  # adrenal
)
PELVIS = (
    ((52, 2, -762), (10, 14, 26), (4, 15), "", 1.6),  # beside the iliac vessels
    ((0, 52, -800), (12, 8, 22), (8, 26), "", 1.0),  # rectum
    ((62, -44, -850), (12, 8, 14), (4, 14), "", 1.0),  # groin
)
BONE = (
    ((78, 52, -735), (14, 14, 26), (6, 22), "", 1.2),  # hip bone
    ((0, 76, -765), (36, 6, 30), (6, 20), "", 0.8),  # sacrum
    ((112, 12, -862), (10, 6, 40), (6, 20), "", 1.2),
    ((170, 12, -345), (10, 8, 24), (5, 16), "", 0.5),
    ((0, -82, -400), (6, 2, 40), (5, 13), "", 0.5),  # breastbone
)
LIVER = ((-74, 0, -528), (62, 60, 62), (5, 30), "liver", 6.0)
NEAR_KIDNEY = ((-66, 24, -572), (16, 14, 12), (5, 22), "liver", 3.0)

_Row = tuple[Point, Point, tuple[float, float], str, float]


def body_sites(plan: BodyPlan, focus: dict[str, float]) -> list[Site]:
    """Return the sites of one subject; paired ones on both sides, regions weighted by `focus`."""
    rows: list[tuple[str, _Row]] = []
    for region, table in (("head_neck", HEAD_NECK), ("chest", CHEST), ("abdomen", BELLY),
                          ("pelvis", PELVIS), ("bone", BONE)):  # fmt: skip
        for center, extent, radius, within, weight in table:
            rows.append((region, (center, extent, radius, within, weight)))
            if center[0] > 0:
                other = (-center[0], center[1], center[2])
                rows.append((region, (other, extent, radius, within, weight)))
    rows += [("liver", LIVER), ("liver", NEAR_KIDNEY)]
    beside = plan.places["bladder"].moved(BLADDER)
    for side in (-1.0, 1.0):  # touches the urine
        at = (
            beside[0] + side * (plan.bladder[0] + 6),
            beside[1] + 6,
            beside[2] + plan.bladder[2] - 18,
        )
        rows.append(("pelvis", (at, (4, 8, 8), (7, 20), "", 1.0)))
    for d in LEVELS[4::3]:
        rows.append(("bone", ((0, spine_y(d), -d), (8, 6, 4), (5, 16), "", 0.7)))
    return [Site(r, row[0], row[1], row[2], row[3], row[4] * focus[r]) for r, row in rows]


def draw_wishes(rng: np.random.Generator, number: int) -> tuple[list[str], dict[str, float]]:
    """Draw how many lesions of which kind a subject has, and which regions its disease prefers.

    Args:
        rng: source of the draws.
        number: subject and seed together; every fifth is spared.

    Returns:
        The kind of each lesion, the hardest to place first, and a weight per region.
    """
    low, high = ((1, 3), (1, 3), (4, 7), (4, 7), (8, 12))[int(rng.integers(5))]
    count = int(rng.integers(low, high + 1))
    kinds = [
        str(k) for k in rng.choice(["solid", "faint", "cold_core"], count, p=(0.62, 0.22, 0.16))
    ]
    names = ("head_neck", "chest", "abdomen", "liver", "pelvis", "bone")
    focus = dict(
        zip(names, (float(v) for v in 0.15 + rng.gamma(0.5, 1.0, len(names))), strict=True)
    )
    if number % SPARED_EVERY == 2:
        return [], focus
    return sorted(kinds, key=("cold_core", "faint", "solid").index), focus


def is_in_organ(plan: BodyPlan, site: Site, center: Point, radius: float) -> bool:
    """Return whether a lesion lies under the skin, and where its site says: lung, liver, belly."""
    points = [center]
    points += [tuple(c + s * radius * (a == b) for b, c in enumerate(center))  # type: ignore[misc]
               for a in range(3) for s in (-1.0, 1.0)]  # fmt: skip
    xyz = tuple(np.array([p[a] for p in points], dtype=np.float32) for a in range(3))
    skin = lean(xyz, plan) - fat_mm(xyz[2], plan)
    if float(skin.max()) > -4:
        return False
    if site.within == "liver":
        return bool(liver(xyz, plan)[0] < -0.4 * radius)
    if site.within == "lung":
        return bool(lungs(xyz, plan)[0] < -0.4 * radius)
    if site.within == "belly":
        return bool(belly(xyz, plan)[0] < 0)
    return True
