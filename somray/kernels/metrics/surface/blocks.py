"""Exact distances between surfaces that are held in blocks, a few blocks at a time.

A block is the surface within a box of some size; its points are fetched when they are asked for. Blocks are visited
by the distance of their boxes, and a point is done once the next box lies farther than what it found.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

__all__ = ["SurfaceBlock", "SurfaceDistances", "SurfaceSearch", "cut_in_blocks"]

_SIDE = 128  # voxels along y and x of a block: a few ten thousand points of a dense surface
_HELD_POINTS = 2_000_000  # of trees that stay for the next block

Points = NDArray[np.int32]
Squares = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SurfaceBlock:
    """Some points of a surface.

    Args:
        low: smallest index along z, y, x.
        high: largest index along z, y, x.
        load: gives the points (n, 3), in z, y, x.
    """

    low: NDArray[np.int32]
    high: NDArray[np.int32]
    load: Callable[[], Points]


def cut_in_blocks(points: Points) -> list[NDArray[np.intp]]:
    """Say which points of a slab (n, 3) belong together: one block per square of y and x."""
    if not len(points):
        return []
    squares = points[:, 1] // _SIDE * np.int32(1 << 15) + points[:, 2] // _SIDE
    order = np.argsort(squares, kind="stable")
    ends = np.flatnonzero(np.diff(squares[order])) + 1
    return np.split(order, ends)


class SurfaceSearch:
    """A surface that the distance to is asked of.

    Args:
        blocks: all of it; none of them empty.
        spacing_mm: distance of neighbouring indices along z, y, x.
    """

    def __init__(
        self, blocks: Sequence[SurfaceBlock], spacing_mm: tuple[float, float, float]
    ) -> None:
        self._blocks, self._spacing = blocks, np.array(spacing_mm, dtype=np.float64)
        self._lows = np.array([block.low for block in blocks]).reshape(-1, 3)
        self._highs = np.array([block.high for block in blocks]).reshape(-1, 3)
        self._trees: dict[int, tuple[cKDTree, Points]] = {}

    def squared_mm2(self, points: Points, reach_mm: float = np.inf) -> Squares:
        """Measure squared distances to the nearest point of the surface.

        Args:
            points: (n, 3) indices that lie near each other; at least one.
            reach_mm: what lies farther need not be told apart.

        Returns:
            (n,) float64 mm², exact up to rounding; inf beyond reach.
        """
        best = np.full(len(points), np.inf)
        if not self._blocks:
            return best
        gaps = self._gaps(points.min(axis=0), points.max(axis=0), self._lows, self._highs)
        for number in np.argsort(gaps, kind="stable"):
            if gaps[number] > reach_mm**2 or gaps[number] >= best.max():
                break
            low, high = self._lows[number], self._highs[number]
            near = np.flatnonzero(self._gaps(points, points, low, high) < best)
            if len(near):
                tree, there = self._tree(int(number))
                _, nearest = tree.query(points[near] * self._spacing)
                found = self._squared(np.abs(points[near] - there[nearest]))
                best[near] = np.minimum(best[near], found)
        return np.where(best <= reach_mm**2, best, np.inf)

    def _gaps(self, low: Points, high: Points, other_low: Points, other_high: Points) -> Squares:
        """Return squared distances between boxes; either pair may be rows of many."""
        apart = np.maximum(np.maximum(other_low - high, low - other_high), 0)
        return self._squared(apart)

    def _squared(self, steps: Points) -> Squares:
        """One rounding for all that is compared: equal steps give equal bits."""
        z, y, x = np.moveaxis(steps * self._spacing, -1, 0)
        return np.asarray(z * z + y * y + x * x)

    def _tree(self, number: int) -> tuple[cKDTree, Points]:
        if number not in self._trees:
            points = self._blocks[number].load()
            held = sum(len(there) for _, there in self._trees.values())
            while self._trees and held + len(points) > _HELD_POINTS:
                held -= len(self._trees.pop(next(iter(self._trees)))[1])
            self._trees[number] = cKDTree(points * self._spacing), points
        return self._trees[number]


class SurfaceDistances:
    """SurfaceDistances counted by value: a surface has many points and few distances."""

    def __init__(self) -> None:
        self._values, self._counts = np.zeros(0), np.zeros(0, dtype=np.int64)

    def add(self, squared_mm2: Squares) -> None:
        """Count some more."""
        values, counts = np.unique(squared_mm2, return_counts=True)
        joined, place = np.unique(np.concatenate([self._values, values]), return_inverse=True)
        total = np.zeros(len(joined), dtype=np.int64)
        np.add.at(total, place, np.concatenate([self._counts, counts]))
        self._values, self._counts = joined, total

    def percentile_mm(self, percent: float) -> float:
        """Return a percentile, linear between ranks; there must be at least one distance."""
        up_to = np.cumsum(self._counts)
        rank = percent / 100.0 * (int(up_to[-1]) - 1)
        low = int(rank)
        two = np.minimum(np.array([low, low + 1]), up_to[-1] - 1)
        one, other = np.sqrt(self._values[np.searchsorted(up_to, two, side="right")])
        return float(one + (other - one) * (rank - low))
