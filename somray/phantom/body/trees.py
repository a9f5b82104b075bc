"""Loops of bowel and vessels of the lungs, drawn once per subject."""

import numpy as np
from numpy.typing import NDArray

from somray.phantom.drawing.vessels import Rod, grow_tree

__all__ = ["COLON", "draw_bowel", "draw_lung_vessels"]

LOOPS = 46

COLON: tuple[tuple[float, float, float], ...] = (
    (-92, 0, -708), (-100, 2, -655), (-98, -2, -600), (-55, -52, -606), (0, -64, -622),
    (52, -56, -608), (98, -12, -566), (106, 14, -606), (106, 16, -668), (92, 8, -718),
    (52, -12, -742), (14, 18, -752), (2, 50, -768), (0, 58, -800), (0, 52, -846),
)  # fmt: skip
"""The large bowel's middle line, from the caecum to the end of the rectum."""


def draw_bowel(rng: np.random.Generator) -> list[Rod]:
    """Draw loops of small bowel as a bent tube that stays in the middle of the belly."""
    rods = []
    at = np.array([30.0, -30.0, -640.0])
    for _ in range(LOOPS):
        step = rng.normal(0, 1.0, 3)
        step *= rng.uniform(18, 34) / np.linalg.norm(step)
        goal = np.clip(at + step, (-74, -58, -745), (78, -12, -636))
        radius = float(rng.uniform(9, 12.5))
        a, b = tuple(float(v) for v in at), tuple(float(v) for v in goal)
        rods.append(Rod((a[0], a[1], a[2]), (b[0], b[1], b[2]), (radius, radius)))
        at = goal
    return rods


def draw_lung_vessels(rng: np.random.Generator) -> list[Rod]:
    """Draw the trees of both lungs; what grows out of the lung is painted over by what lies there."""

    def in_lung(point: NDArray[np.float64]) -> bool:
        side = np.array([np.sign(point[0]) * 74.0, 6.0, -415.0])
        return bool((((point - side) / (46, 66, 92)) ** 2).sum() < 1)

    rods: list[Rod] = []
    for side in (-1.0, 1.0):
        for step in ((20, 12, -26), (24, -14, -20), (20, 4, 22), (14, 22, 8), (18, -20, 14)):
            start = (side * 34.0, 6.0 + float(rng.uniform(-5, 5)), -405.0 + 0.4 * step[2])
            head = (side * step[0], float(step[1]), float(step[2]))
            rods += grow_tree(rng, (start, head, 5.2), 5, in_lung)
    return rods
