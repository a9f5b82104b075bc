"""Branching trees of vessels and airways, drawn once per subject.

A tree is a list of rods; each branch turns, thins (Murray: r³ = Σ rᵢ³) and ends where a test says so.

Source: Murray, "The physiological principle of minimum work", 1926.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from somray.phantom.drawing.shapes import Point

__all__ = ["Rod", "grow_tree"]


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
            rods.append(_rod(start, end, (radius, radius * 0.9)))
            for turn, part in zip(fork, (share, 1 - share), strict=True):
                heading = (end - start) / np.linalg.norm(end - start)
                turn = turn / np.linalg.norm(turn)
                heading = heading + 0.75 * (turn - (turn @ heading) * heading)
                length = float(np.linalg.norm(step)) * (0.72 + 0.3 * part)
                narrow = radius * 0.9 * part ** (1 / 3)
                grown.append((end, heading / np.linalg.norm(heading) * length, float(narrow)))
        front = grown
    return rods


def _rod(start: NDArray[np.float64], end: NDArray[np.float64], radii: tuple[float, float]) -> Rod:
    a, b = (float(start[0]), float(start[1]), float(start[2])), tuple(float(v) for v in end)
    return Rod(a, (b[0], b[1], b[2]), radii)
