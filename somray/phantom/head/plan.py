"""What differs between heads, and where their structures lie.

Scene axes: x to the patient's left, y to the back, z to the head; the middle of the brain is at zero.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from somray.phantom.drawing.painter import OrganPlace, draw_place
from somray.phantom.drawing.shapes import Point, point

__all__ = ["LABELS", "NAMES", "Head", "draw_head"]

NAMES = {
    1: "brain", 2: "scalp", 3: "marrow", 4: "orbital_fat_left", 5: "orbital_fat_right",
    6: "eye_left", 7: "eye_right", 8: "choroid_plexus_left", 9: "choroid_plexus_right",
    10: "lacrimal_gland_left", 11: "lacrimal_gland_right", 12: "nasal_mucosa", 13: "venous_sinus",
    14: "arteries", 15: "pituitary", 16: "eye_muscles", 17: "parotid_gland_left",
    18: "parotid_gland_right", 19: "deep_fat", 20: "ventricles",
}  # fmt: skip
"""Numbers of the physiology masks."""
LABELS = {name: number for number, name in NAMES.items()}

SPREAD: Mapping[str, tuple[Point, float]] = {
    "ventricles": ((0, 2, 2), 0.12), "eyes": ((0, 2, 2), 0.04), "face": ((0, 2, 3), 0.05),
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Head:
    """One subject's head.

    Args:
        scale: size relative to the standard head along x, y, z.
        scalp_mm: thickness of the scalp's fat.
        skull_mm: thickness of the skull.
        places: organ to its place.
        phases: twelve phases of the surfaces' undulation.
        ventricles: width of the side ventricles relative to the mean.
        furrows: depth of the sulci relative to the mean: grows with age.
        marrow: signal of the skull's marrow relative to the mean.
    """

    scale: Point
    scalp_mm: float
    skull_mm: float
    places: Mapping[str, OrganPlace]
    phases: tuple[float, ...]
    ventricles: float
    furrows: float
    marrow: float


def draw_head(rng: np.random.Generator) -> Head:
    """Draw one subject's head."""
    scale = np.clip(rng.normal(0.98, 0.035, 3), 0.9, 1.05)
    return Head(
        scale=point(scale),
        scalp_mm=float(rng.uniform(3.5, 8.0)),
        skull_mm=float(rng.uniform(5.5, 8.5)),
        places={name: draw_place(rng, *spread) for name, spread in SPREAD.items()},
        phases=tuple(float(v) for v in rng.uniform(0, 2 * np.pi, 12)),
        ventricles=float(np.exp(rng.uniform(np.log(0.7), np.log(1.7)))),
        furrows=float(rng.uniform(0.5, 1.6)),
        marrow=float(rng.uniform(0.6, 1.5)),
    )
