"""What differs between bodies, and the lines along which the standard body is built.

Depths below the vertex are written as positive `d` (= −z). Orders of magnitude are those of anatomy
textbooks, of no one's scan.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from somray.phantom.drawing.painter import OrganPlace, draw_place
from somray.phantom.drawing.shapes import Point
from somray.phantom.drawing.vessels import Rod, draw_bowel, draw_lung_vessels
from somray.phantom.session import FloatArray

__all__ = ["COLON", "LABELS", "NAMES", "BodyPlan", "draw_plan", "profile", "spine_y"]

NAMES = {
    1: "brain", 2: "heart", 3: "kidney_left", 4: "kidney_right", 5: "urinary_bladder", 6: "liver",
    7: "spleen", 8: "stomach", 9: "colon", 10: "small_bowel", 11: "parotid_gland_left",
    12: "parotid_gland_right", 13: "submandibular_gland_left", 14: "submandibular_gland_right",
    15: "palatine_tonsils", 16: "ureter_left", 17: "ureter_right", 18: "brown_fat", 19: "testes",
    20: "larynx", 21: "thyroid_gland", 22: "nasal_mucosa", 23: "aorta", 24: "injection_site",
    25: "eye_muscles",
}  # fmt: skip
"""Numbers of the physiology masks; TotalSegmentator's names where it has the structure."""
LABELS = {name: number for number, name in NAMES.items()}

SPINE = ((100, 140, 170, 230, 290, 340, 420, 500, 560, 640, 690, 740, 800, 860),
         (20, 20, 22, 30, 42, 55, 64, 60, 52, 40, 44, 62, 80, 78))  # fmt: skip
"""Depth below the vertex and y of the vertebral bodies' middle: kyphosis, lordosis, sacrum."""

COLON: tuple[Point, ...] = (
    (-92, 0, -708), (-100, 2, -655), (-98, -2, -600), (-55, -52, -606), (0, -64, -622),
    (52, -56, -608), (98, -12, -566), (106, 14, -606), (106, 16, -668), (92, 8, -718),
    (52, -12, -742), (14, 18, -752), (2, 50, -768), (0, 58, -800), (0, 52, -846),
)  # fmt: skip
"""The large bowel's middle line, from the caecum to the end of the rectum."""

SPREAD: Mapping[str, tuple[tuple[float, float, float], float]] = {
    "brain": ((1, 2, 2), 0.02), "face": ((0, 3, 5), 0.04), "heart": ((6, 5, 9), 0.07),
    "liver": ((4, 4, 9), 0.06), "spleen": ((4, 5, 8), 0.1), "kidney_left": ((5, 4, 12), 0.07),
    "kidney_right": ((5, 4, 12), 0.07), "stomach": ((8, 6, 10), 0.1), "bowel": ((8, 3, 10), 0.0),
    "bladder": ((6, 5, 5), 0.0), "neck": ((1, 3, 5), 0.05), "glands": ((0, 3, 5), 0.1),
    "pelvis": ((0, 3, 4), 0.03),
}  # fmt: skip
"""Standard deviation of each organ's shift along x, y, z in mm, and of its relative size."""


@dataclass(frozen=True, eq=False)
class BodyPlan:
    """One subject's body.

    Args:
        scale: stature and width relative to the standard body along x, y, z.
        fat_mm: thickness of the fat under the skin of the trunk.
        arms: up or down.
        places: organ to its place.
        phases: twelve phases of the surfaces' undulation.
        bowel: loops of small bowel.
        lung_vessels: trees of both lungs.
        bladder: semi-axes of the full bladder in mm.
        has: traits: male, brown_fat, injection, ureters, larynx, thyroid.
    """

    scale: tuple[float, float, float]
    fat_mm: float
    arms: str
    places: Mapping[str, OrganPlace]
    phases: tuple[float, ...]
    bowel: tuple[Rod, ...]
    lung_vessels: tuple[Rod, ...]
    bladder: tuple[float, float, float]
    has: frozenset[str]


def draw_plan(rng: np.random.Generator) -> BodyPlan:
    """Draw one subject's body."""
    male = rng.uniform() < 0.5
    tall = rng.normal(1.0 if male else 0.955, 0.03)
    wide = rng.normal(1.0 if male else 0.95, 0.035)
    scale = (float(np.clip(wide, 0.87, 1.06)), float(np.clip(wide * rng.normal(1, 0.03), 0.87, 1.1)),
             float(np.clip(tall, 0.89, 1.07)))  # fmt: skip
    traits = (
        ("brown_fat", 0.2),
        ("injection", 0.2),
        ("ureters", 0.6),
        ("larynx", 0.35),
        ("thyroid", 0.25),
    )
    has = {name for name, share in traits if rng.uniform() < share}
    voided = rng.uniform() < 0.3
    size = rng.uniform(14, 20) if voided else rng.uniform(27, 42)
    bladder = (float(size * rng.uniform(1.0, 1.2)), float(size * rng.uniform(0.75, 0.95)),
               float(size * rng.uniform(0.7, 0.95)))  # fmt: skip
    return BodyPlan(
        scale=scale,
        fat_mm=float(np.exp(rng.uniform(np.log(7), np.log(30)))),
        arms="down" if rng.uniform() < 0.45 else "up",
        places={name: draw_place(rng, *spread) for name, spread in SPREAD.items()},
        phases=tuple(float(v) for v in rng.uniform(0, 2 * np.pi, 12)),
        bowel=tuple(
            draw_bowel(
                rng, (30, -30, -640), ((-74, -58, -745), (78, -12, -636)), 46, ((18, 34), (9, 12.5))
            )
        ),
        lung_vessels=tuple(
            rod for x in (-34.0, 34.0) for rod in draw_lung_vessels(rng, (x, 6, -405), 5, _in_lung)
        ),
        bladder=bladder,
        has=frozenset(has | ({"male"} if male else set())),
    )


def _in_lung(point: NDArray[np.float64]) -> bool:
    """Tell whether a vessel may grow to a point; what leaves the lung is painted over by what lies there."""
    side = np.array([np.sign(point[0]) * 74.0, 6.0, -415.0])
    return bool((((point - side) / (46, 66, 92)) ** 2).sum() < 1)


def profile(z: FloatArray, knots: tuple[tuple[float, ...], tuple[float, ...]]) -> FloatArray:
    """Look a line over the depth below the vertex up, linearly."""
    return np.asarray(np.interp(-z, knots[0], knots[1]), dtype=np.float32)


def spine_y(d: float | NDArray[np.float64]) -> float:
    """Return y of the vertebral bodies at a depth below the vertex."""
    return float(np.interp(d, SPINE[0], SPINE[1]))
