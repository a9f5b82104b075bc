"""What the tissues of a whole body measure: HU, and uptake of FDG in SUV, which differs between subjects.

Orders of magnitude are those of nuclear medicine's textbooks an hour after injection; they are fitted to
no one's scan.
"""

from collections.abc import Mapping

import numpy as np

from somray.phantom.body.viscera import COLON_PIECES, LOOP_PIECES
from somray.phantom.drawing.canvas import Material

__all__ = ["HU", "UptakeRange", "draw_uptake", "session_uptake"]

UptakeRange = tuple[float, float]

_GUT, _URINE = Material(38, 9), Material(9, 4)
HU: Mapping[str, Material] = {
    "skin": Material(15, 8), "fat": Material(-102, 8), "mesentery": Material(-92, 16), "muscle": Material(54, 8),
    "lung": Material(-840, 26), "air": Material(-985, 0), "airway": Material(-20, 8),
    "cortex": Material(720, 40), "skull": Material(900, 40), "marrow": Material(190, 28),
    "fatty_marrow": Material(20, 25), "femur_marrow": Material(60, 30), "disc": Material(78, 8),
    "csf": Material(8, 3), "cord": Material(35, 3), "grey": Material(38, 3), "white": Material(29, 3),
    "basal": Material(37, 3), "cerebellum": Material(36, 3), "eye": Material(12, 4),
    "eye_muscle": Material(-10, 10), "mucosa": Material(35, 10), "tongue": Material(55, 10),
    "parotid": Material(-5, 14), "submandibular": Material(42, 8), "tonsil": Material(50, 6),
    "larynx": Material(50, 12), "thyroid": Material(95, 8), "esophagus": Material(38, 8),
    "blood": Material(43, 4), "myocardium": Material(46, 5), "ventricle_right": Material(45, 5),
    "liver": Material(60, 6), "gallbladder": Material(10, 4), "spleen": Material(51, 5),
    "kidney": Material(34, 5), "medulla": Material(28, 5), "urine_kidney": _URINE,
    "pancreas": Material(40, 9), "stomach_wall": _GUT, "stomach_content": Material(22, 14),
    "content": Material(22, 14), "gas": Material(-930, 0), "bladder_wall": Material(36, 5),
    "urine_bladder": Material(8, 4), "prostate": Material(42, 5), "uterus": Material(50, 6),
    "testis": Material(35, 5), "brown_fat": Material(-95, 10), "injection": Material(50, 8),
    **{f"colon{k}": _GUT for k in range(COLON_PIECES)},
    **{f"loop{k}": _GUT for k in range(LOOP_PIECES)},
    **{f"ureter{k}_{side}": _URINE for k in range(4) for side in ("left", "right")},
    "table": Material(-310, 0), "foam": Material(-930, 4),
}  # fmt: skip
"""Without contrast agent."""

STEADY: Mapping[str, UptakeRange] = {
    "skin": (0.3, 0.5), "fat": (0.2, 0.4), "mesentery": (0.5, 0.9), "muscle": (0.5, 0.75), "lung": (0.3, 0.5),
    "airway": (0.5, 0.7), "cortex": (0.5, 0.8), "skull": (0.5, 0.8), "marrow": (1.0, 2.0),
    "fatty_marrow": (0.4, 0.7), "femur_marrow": (0.5, 0.9), "disc": (0.5, 0.8), "csf": (0.6, 1.2),
    "cord": (1.2, 2.0), "eye": (0.5, 0.8), "eye_muscle": (2.0, 4.0), "mucosa": (1.3, 3.5),
    "tongue": (0.9, 2.2), "parotid": (1.2, 3.5), "submandibular": (1.5, 4.0), "tonsil": (2.0, 5.0),
    "esophagus": (1.0, 2.2), "liver": (2.0, 3.0), "gallbladder": (0.5, 1.0), "spleen": (1.5, 2.5),
    "kidney": (2.0, 4.5), "medulla": (2.0, 4.0), "pancreas": (1.1, 1.7), "stomach_wall": (1.3, 3.2),
    "stomach_content": (0.4, 0.8), "content": (0.7, 1.6), "bladder_wall": (0.8, 1.2),
    "prostate": (1.0, 2.0), "uterus": (1.2, 3.0), "testis": (2.0, 4.5), "blood": (1.3, 2.0),
}  # fmt: skip
"""Range of SUV over subjects, drawn evenly."""


def _skewed(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def draw_uptake(rng: np.random.Generator, has: frozenset[str]) -> dict[str, float]:
    """Draw one subject's SUV of each tissue.

    Args:
        rng: source of the draws; their number depends on nothing.
        has: the subject's traits: what is not there has its surroundings' uptake.
    """
    suv = {name: float(rng.uniform(*span)) for name, span in STEADY.items()}
    suv |= dict.fromkeys(("air", "gas", "table", "foam"), 0.02)
    grey = rng.uniform(7.0, 15.0)
    suv |= {"grey": grey, "basal": grey * rng.uniform(1.0, 1.25),
            "cerebellum": grey * rng.uniform(0.65, 0.9), "white": grey * rng.uniform(0.28, 0.4)}  # fmt: skip
    dark, bright = rng.uniform(1.0, 2.0), _skewed(rng, 2.5, 14.0)
    suv["myocardium"] = dark if rng.uniform() < 0.3 else bright
    suv["ventricle_right"] = suv["blood"] + 0.12 * suv["myocardium"]
    suv["urine_kidney"], suv["urine_bladder"] = _skewed(rng, 6, 32), _skewed(rng, 10, 60)
    larynx, thyroid, warm = rng.uniform(2, 5), rng.uniform(2, 5), _skewed(rng, 2.5, 9)
    suv["larynx"] = larynx if "larynx" in has else 1.2
    suv["thyroid"] = thyroid if "thyroid" in has else suv["blood"]
    suv["brown_fat"], suv["injection"] = warm, _skewed(rng, 8, 40)
    level = _skewed(rng, 1.0, 2.6)
    for name, pieces in (("colon", COLON_PIECES), ("loop", LOOP_PIECES)):
        for k in range(pieces):
            suv[f"{name}{k}"] = float(np.clip(level * _skewed(rng, 0.55, 2.2), 0.8, 6.0))
    for side in ("left", "right"):
        for k in range(4):
            seen = rng.uniform() < 0.35
            spot = _skewed(rng, 6, 25)
            suv[f"ureter{k}_{side}"] = spot if seen else 0.9
    return suv


CHANGING = {"myocardium": 0.3, "urine_kidney": 0.35, "urine_bladder": 0.4, "brown_fat": 0.3}
PATCHY = ("colon", "loop", "stomach_wall", "ureter")
TEXTURE = {
    "grey": 0.1,
    "liver": 0.06,
    "marrow": 0.12,
    "muscle": 0.15,
    "mesentery": 0.3,
    "blood": 0.08,
    "myocardium": 0.06,
}


def session_uptake(rng: np.random.Generator, suv: Mapping[str, float]) -> dict[str, Material]:
    """Return one session's palette: what fills, empties and contracts differs from day to day."""
    palette = {}
    for name, value in suv.items():
        spread = CHANGING.get(name, 0.25 if name.startswith(PATCHY) else 0.04)
        today = value * float(np.exp(np.clip(rng.standard_normal(), -2, 2) * spread))
        fraction = 0.25 if name.startswith(PATCHY) else TEXTURE.get(name, 0.05)
        if name == "urine_bladder":
            today = min(max(today, 10.0), 60.0)
        palette[name] = Material(today, fraction * today)
    return palette
