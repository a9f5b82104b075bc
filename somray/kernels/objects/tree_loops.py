"""The loops of a component tree (`tree`), compiled."""

import numpy as np
from numpy.typing import NDArray

from somray.kernels.compiled import compiled

__all__ = ["choose", "grow", "inherit", "lift"]


@compiled
def lift(parent: NDArray[np.int64], number: NDArray[np.int64]) -> None:
    """Give every part without a number that of the first part around it that has one."""
    for part in range(len(parent) - 1, -1, -1):
        if number[part] < 0 and parent[part] >= 0:
            number[part] = number[parent[part]]


@compiled
def inherit(parent: NDArray[np.int64], number: NDArray[np.int32]) -> None:
    """Hand the numbers of chosen parts down to all parts inside them."""
    for part in range(len(parent) - 1, -1, -1):
        if number[part] == 0 and parent[part] >= 0:
            number[part] = number[parent[part]]


@compiled
def choose(
    parent: NDArray[np.int64], own: NDArray[np.float64], adds: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """List the parts that beat each one they hold, and all those together that add up, and lie in none that does."""
    count = len(parent)
    inside = np.full(count, -np.inf)  # best of what a part holds
    together = np.zeros(count)  # sum of what it holds, where that adds up
    wins = np.zeros(count, dtype=np.bool_)
    for part in range(count):
        beaten = max(inside[part], together[part])
        wins[part] = own[part] > -np.inf and own[part] >= beaten
        if parent[part] >= 0:
            best = max(own[part], inside[part])
            inside[parent[part]] = max(inside[parent[part]], best)
            counts = wins[part] and adds[part]
            together[parent[part]] += own[part] if counts else together[part]
    for part in range(count - 1, -1, -1):
        up = parent[part]
        if up >= 0 and inside[up] == np.inf:  # a part above has won
            inside[part], wins[part] = np.inf, False
        elif wins[part]:
            inside[part] = np.inf
    return np.flatnonzero(wins)


@compiled
def _find(parent: NDArray[np.int64], voxel: int) -> int:
    root = voxel
    while parent[root] != root:
        root = parent[root]
    while parent[voxel] != root:
        up = parent[voxel]
        parent[voxel] = root
        voxel = up
    return root


@compiled
def _add_faces(
    flat: NDArray[np.float64],
    place: tuple[int, int],
    steps: NDArray[np.int64],
    spacing: NDArray[np.float64],
    inside: NDArray[np.int64],
    sums: NDArray[np.float64],
) -> None:
    """Add a voxel's faces to its row of `sums`: new ones count, those it covers up do not any more.

    Sums: edge, cut area, faces along z, y, x.
    """
    voxel, row = place
    volume = spacing[0] * spacing[1] * spacing[2]
    for axis in range(3):
        area = volume / spacing[axis]
        for sign in (-1, 1):
            near = voxel + sign * steps[axis]
            outside = np.isnan(flat[near])
            if outside:
                sums[row, 1] += area
                sums[row, 2 + axis] += 1.0
            elif inside[near] >= 0:
                sums[row, 0] -= (flat[near] - flat[voxel]) / spacing[axis] * area
                sums[row, 2 + axis] -= 1.0
            else:
                sums[row, 0] += (flat[voxel] - flat[near]) / spacing[axis] * area
                sums[row, 2 + axis] += 1.0


@compiled
def _unite(
    pair: tuple[int, int],
    root: NDArray[np.int64],
    counts: NDArray[np.int64],
    sums: NDArray[np.float64],
    waiting: NDArray[np.int64],
    follow: NDArray[np.int64],
) -> None:
    """Join two roots: the one met first stands for both, with the parts of both that wait for a parent.

    `waiting` holds the first and the last of a root's waiting parts, `follow` who comes after whom.
    """
    low, high = min(pair), max(pair)
    root[high] = low
    counts[low] += counts[high]
    for k in range(5):  # a slice would take numba a second to compile
        sums[low, k] += sums[high, k]
    sums[low, 5] = max(sums[low, 5], sums[high, 5])
    if waiting[high, 0] >= 0:
        if waiting[low, 0] < 0:
            waiting[low, 0], waiting[low, 1] = waiting[high, 0], waiting[high, 1]
        else:
            follow[waiting[low, 1]] = waiting[high, 0]
            waiting[low, 1] = waiting[high, 1]


@compiled
def _note(
    rows: NDArray[np.float64],
    made: int,
    facts: tuple[int, int],
    sums: NDArray[np.float64],
    waiting: NDArray[np.int64],
    follow: NDArray[np.int64],
) -> None:
    """Write a new part's row and make it the parent of those that wait; it waits in their place."""
    child = waiting[0]
    while child >= 0:
        rows[child, 0] = made
        child = follow[child]
    rows[made, 0], rows[made, 1], rows[made, 2] = -1, facts[0], facts[1]
    rows[made, 3], rows[made, 4], rows[made, 5] = sums[0], sums[5], sums[1]
    rows[made, 6], rows[made, 7], rows[made, 8] = sums[2], sums[3], sums[4]
    waiting[0], waiting[1] = made, made


@compiled
def grow(
    flat: NDArray[np.float64],
    order: NDArray[np.int64],
    rungs: NDArray[np.int64],
    shape: NDArray[np.int64],
    spacing: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Add voxels from the highest rung down, joining what touches; note every part at each rung's end.

    Returns:
        One row per part (parent, rung, voxels, edge, peak, cut, faces along z, y, x), and each voxel's part.
    """
    total = len(order)
    steps = np.array([shape[1] * shape[2], shape[2], 1], dtype=np.int64)
    inside = np.full(len(flat), -1, dtype=np.int64)  # place of a voxel in `order`
    root = np.arange(total)
    counts = np.ones(total, dtype=np.int64)
    sums = np.zeros((total, 6))  # edge, cut area, faces along z, y, x, peak
    waiting = np.full((total, 2), -1, dtype=np.int64)
    follow = np.full(total + 1, -1, dtype=np.int64)
    rows = np.empty((total + 1, 9))
    part_of = np.full(len(flat), -1, dtype=np.int64)
    made, first = 0, 0
    while first < total:
        end = first
        while end < total and rungs[end] == rungs[first]:
            end += 1
        for n in range(first, end):
            sums[n, 5] = flat[order[n]]
            _add_faces(flat, (order[n], n), steps, spacing, inside, sums)
            inside[order[n]] = n
            for near in range(27):
                dz, dy, dx = near // 9 - 1, near // 3 % 3 - 1, near % 3 - 1
                other = inside[order[n] + dz * steps[0] + dy * steps[1] + dx]
                if other >= 0 and other != n:
                    pair = _find(root, n), _find(root, other)
                    if pair[0] != pair[1]:
                        _unite(pair, root, counts, sums, waiting, follow)
        for n in range(first, end):
            top = _find(root, n)
            if waiting[top, 0] < 0 or rows[waiting[top, 0], 1] != rungs[first]:
                _note(rows, made, (rungs[first], counts[top]), sums[top], waiting[top], follow)
                made += 1
            part_of[order[n]] = waiting[top, 0]
        first = end
    return rows[:made], part_of
