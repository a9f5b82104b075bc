"""Outlines of a mask in one slice: closed polygons along the edges of its pixels.

Pixel centres lie on whole numbers, so outlines run half way between them: a program that asks which centres
lie inside gets the mask back exactly, and areas are those of the pixels. Pixels that touch at a corner alone
have outlines of their own. A hole is joined to what surrounds it by a channel of no width (the keyhole of
DICOM PS3.3 C.8.8.6.3), since readers differ in what a second contour inside the first one means.
"""

from bisect import bisect_left
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

__all__ = ["outlines"]

_Point = tuple[int, int]  # x, y of a pixel's corner; the first pixel's corners are 0, 0 and 1, 1
_STEPS: tuple[_Point, ...] = (
    (1, 0),
    (0, 1),
    (-1, 0),
    (0, -1),
)  # each is the last turned to the right on a screen


def outlines(mask: NDArray[np.bool_]) -> list[NDArray[np.float64]]:
    """Outline a mask (y, x).

    Returns:
        One (n, 2) polygon of x, y in pixels for each part that hangs together by edges, n at least 4, holes joined
        to it; not closed by repeating its first point. Their areas (shoelace) add up to the number of pixels.
    """
    loops = _loops(mask)
    holes = [loop for loop in loops if _doubled_area(loop) < 0]
    outer = [loop for loop in loops if _doubled_area(loop) > 0]
    if holes:
        outer = _keyholed(outer, holes)
    return [np.array(_corners(loop), dtype=np.float64) - 0.5 for loop in outer]


def _loops(mask: NDArray[np.bool_]) -> list[list[_Point]]:
    """Follow the edges of the pixels with the mask on the right hand of a screen (y down); holes run the other way."""
    leaving = _edges(mask)
    loops = []
    for start in sorted(leaving):
        while start in leaving:
            loops.append(_followed(start, leaving))
    return loops


def _followed(start: _Point, leaving: dict[_Point, list[int]]) -> list[_Point]:
    """Follow edges until they close, and take them out."""
    loop, at, way = [start], start, min(leaving[start])
    while True:
        leaving[at].remove(way)
        if not leaving[at]:
            del leaving[at]
        at = (at[0] + _STEPS[way][0], at[1] + _STEPS[way][1])
        if at == start:
            return loop
        loop.append(at)
        # Where two pixels meet at a corner alone, turn back to one's own: they stay apart.
        way = next(w for w in ((way + 1) % 4, way, (way + 3) % 4) if w in leaving[at])


def _edges(mask: NDArray[np.bool_]) -> dict[_Point, list[int]]:
    """Return, for each corner, the ways (index of `_STEPS`) in which edges leave it."""
    padded = np.pad(mask, 1)
    inner = padded[1:-1, 1:-1]
    leaving: dict[_Point, list[int]] = {}
    # The pixel beyond the edge (y, x), and the corner at which the edge begins.
    for way, (beyond, corner) in enumerate(
        (((-1, 0), (0, 0)), ((0, 1), (1, 0)), ((1, 0), (1, 1)), ((0, -1), (0, 1)))
    ):
        dy, dx = beyond
        outside = ~padded[1 + dy : padded.shape[0] - 1 + dy, 1 + dx : padded.shape[1] - 1 + dx]
        for y, x in np.argwhere(inner & outside).tolist():
            leaving.setdefault((x + corner[0], y + corner[1]), []).append(way)
    return leaving


def _doubled_area(loop: list[_Point]) -> int:
    following = loop[1:] + loop[:1]
    return sum(a[0] * b[1] - b[0] * a[1] for a, b in zip(loop, following, strict=True))


def _keyholed(outer: list[list[_Point]], holes: list[list[_Point]]) -> list[list[_Point]]:
    """Join each hole to the outline or the hole that its leftmost corner meets when it goes left."""
    loops = [*outer, *holes]
    points = [point for loop in loops for point in loop]
    starts = np.cumsum([0, *map(len, loops)]).tolist()
    following: list[int] = []  # the point after each, by place in `points`
    for first, after in pairwise(starts):
        following += [*range(first + 1, after), first]
    rows: dict[int, list[tuple[int, int]]] = {}
    for place, (x, y) in enumerate(points):
        rows.setdefault(y, []).append((x, place))
    for row in rows.values():
        row.sort()
    for first, hole in zip(starts[len(outer) :], holes, strict=False):
        corner = min(hole)
        here = first + hole.index(corner)
        row = rows[corner[1]]
        there = row[bisect_left(row, (corner[0], -1)) - 1][1]
        # A ring changes at its points' followers alone. From there along the channel to here, round the hole, to
        # here again, and back: each end stands twice.
        points += [points[here], points[there]]
        following += [following[here], following[there]]
        following[there], following[here] = len(points) - 2, len(points) - 1
    return [_walk(start, points, following) for start in starts[: len(outer)]]


def _walk(start: int, points: list[_Point], following: list[int]) -> list[_Point]:
    found, at = [points[start]], following[start]
    while at != start:
        found.append(points[at])
        at = following[at]
    return found


def _corners(loop: list[_Point]) -> list[_Point]:
    """Leave out points in the middle of a straight line."""
    kept = []
    for before, at, after in zip(loop[-1:] + loop[:-1], loop, loop[1:] + loop[:1], strict=True):
        first = (at[0] - before[0], at[1] - before[1])
        second = (after[0] - at[0], after[1] - at[1])
        is_straight = first[0] * second[1] == first[1] * second[0]
        if not (is_straight and first[0] * second[0] + first[1] * second[1] > 0):
            kept.append(at)
    return kept
