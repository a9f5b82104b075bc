"""Branching trees of vessels and airways, and loops of bowel, drawn once per subject.

A tree is a list of rods; each branch turns, thins (Murray: r³ = Σ rᵢ³) and ends where a test says so.

Source: Murray, "The physiological principle of minimum work", 1926.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from somray.phantom.drawing.shapes import Point, point

__all__ = ["Rod", "chain", "draw_bowel", "draw_lung_vessels", "grow_tree"]


@dataclass(frozen=True)
class Rod:
    """One straight piece of a vessel; radii at start and end in mm."""

    start: Point
    end: Point
    radii: tuple[float, float]


def grow_tree(
    rng: np.random.Generator,
    root: tuple[Point, Point, float],
    levels: int,
    is_inside: Callable[[NDArray[np.float64]], bool],
) -> list[Rod]:
    """Grow a tree from a root.

    Args:
        rng: source of the draws; the number drawn does not depend on any grid.
        root: start, direction (with the first piece's length in mm) and radius in mm.
        levels: how often it branches.
        is_inside: whether a point (x, y, z) may be reached; branches stop outside.

    Returns:
        All rods, the trunk first.
    """
    rods: list[Rod] = []
    front = [(np.array(root[0], dtype=float), np.array(root[1], dtype=float), root[2])]
    for _ in range(levels):
        grown = []
        for start, step, radius in front:
            bend = rng.normal(0, 0.22, 3) * np.linalg.norm(step)
            fork = rng.normal(0, 1.0, (2, 3))
            share = rng.uniform(0.35, 0.65)
            end = start + step + bend
            if not is_inside(end):
                continue
            rods.append(Rod(point(start), point(end), (radius, radius * 0.9)))
            for turn, part in zip(fork, (share, 1 - share), strict=True):
                heading = (end - start) / np.linalg.norm(end - start)
                turn = turn / np.linalg.norm(turn)
                heading = heading + 0.75 * (turn - (turn @ heading) * heading)
                length = float(np.linalg.norm(step)) * (0.72 + 0.3 * part)
                narrow = radius * 0.9 * part ** (1 / 3)
                grown.append((end, heading / np.linalg.norm(heading) * length, float(narrow)))
        front = grown
    return rods


def chain(points: Sequence[Point], radii: tuple[float, float]) -> list[Rod]:
    """Join points by rods that are all alike."""
    return [Rod(a, b, radii) for a, b in pairwise(points)]


def draw_bowel(
    rng: np.random.Generator, start: Point, box: tuple[Point, Point], pieces: int,
    span_mm: tuple[tuple[float, float], tuple[float, float]],
) -> list[Rod]:  # fmt: skip
    """Draw loops of bowel as a bent tube that stays in a box.

    Args:
        rng: source of the draws.
        start: where it begins.
        box: its lowest and highest corner.
        pieces: how many rods.
        span_mm: shortest and longest piece, smallest and largest radius.
    """
    rods = []
    at = np.array(start)
    for _ in range(pieces):
        step = rng.normal(0, 1.0, 3)
        step *= rng.uniform(*span_mm[0]) / np.linalg.norm(step)
        goal = np.clip(at + step, *box)
        radius = float(rng.uniform(*span_mm[1]))
        rods.append(Rod(point(at), point(goal), (radius, radius)))
        at = goal
    return rods


LUNG_HEADS = ((20, 12, -26), (24, -14, -20), (20, 4, 22), (14, 22, 8), (18, -20, 14))
"""Where the vessels of a lung turn to: to the side, back and up."""


def draw_lung_vessels(
    rng: np.random.Generator,
    root: Point,
    levels: int,
    is_inside: Callable[[NDArray[np.float64]], bool],
) -> list[Rod]:
    """Draw the trees of one lung, on the side of its root (mm)."""
    side = float(np.sign(root[0]))
    rods: list[Rod] = []
    for step in LUNG_HEADS:
        start = (root[0], root[1] + float(rng.uniform(-5, 5)), root[2] + 0.4 * step[2])
        rods += grow_tree(rng, (start, point((side * step[0], *step[1:])), 5.2), levels, is_inside)
    return rods
