"""The nearest nodes of many samples, at the speed of the machine's vector units (see `vectors`).

Scores lose digits where samples lie far from the origin, so samples and nodes are shifted there first
(`node_table`). Ties go to the lower node. All loops that call one another live in this file: numba notices
a change of the file that a cached loop stands in, not of what it calls elsewhere.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import numpy as np
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

from somray.kernels.compiled import compiled
from somray.kernels.som.vectors import (
    GROUP,
    LANES,
    NUMBERS,
    constant,
    scores_of,
    splat,
    vector_at,
)

__all__ = [
    "GRAIN",
    "LARGEST",
    "add_samples",
    "assign_samples",
    "find_nearest",
    "find_two_nearest",
    "is_sound",
    "pack",
    "sum_samples",
]

LARGEST = np.float32(1e15)
"""Values beyond this are refused: products of several would leave float32."""

GRAIN = 2 * LANES
"""Samples that pass together, two vectors; blocks are padded to a multiple of it."""

TILE = 256
"""Samples that meet all nodes before the next ones are read: ten features of them fit the L1 cache."""

Floats = NDArray[np.float32]
Nodes = NDArray[np.int32]
Sums = NDArray[np.float64]
Counts = NDArray[np.int64]
Table = tuple[Floats, Floats]

# LLVM's builder and numba's arrays carry no types: `Any` below.


def _keep_best(builder: Any, scores: list[Any], first: Any, lines: list[Any]) -> None:
    """Emit the comparison of a vector's scores with the best so far (and second best, if held)."""
    best, index, *others = (builder.load(line, align=4) for line in lines)
    for node, score in enumerate(scores):
        own = splat(
            builder, builder.trunc(builder.add(first, constant(node)), NUMBERS.element), NUMBERS
        )
        better = builder.fcmp_ordered(">", score, best)
        if others:
            second, other = others
            nearer = builder.fcmp_ordered(">", score, second)
            second = builder.select(nearer, score, second)
            other = builder.select(nearer, own, other)
            others = [builder.select(better, best, second), builder.select(better, index, other)]
        best = builder.select(better, score, best)
        index = builder.select(better, own, index)
    for line, value in zip(lines, [best, index, *others], strict=True):
        builder.store(value, line, align=4)


def _emit(context: Any, builder: Any, signature: Any, args: Any, held: int) -> Any:
    """Emit the loop over the samples of one tile for one group of nodes."""
    block, groups, best, index = (
        context.make_array(signature.args[n])(context, builder, args[n]) for n in (0, 2, 3, 4)
    )
    start, stop, which = cgutils.unpack_tuple(builder, args[1])
    _, rows, _ = cgutils.unpack_tuple(builder, groups.shape)
    _, size = cgutils.unpack_tuple(builder, best.shape)
    first = builder.mul(which, constant(GROUP))
    group = builder.gep(groups.data, [builder.mul(first, rows)])
    with cgutils.for_range_slice(builder, start, stop, constant(GRAIN), start.type) as (column, _):
        for half, scores in enumerate(scores_of(builder, block, group, column)):
            lines = []
            for order in range(held):
                place = builder.add(builder.mul(constant(order), size), column)
                place = builder.add(place, constant(half * LANES))
                lines.append(vector_at(builder, best.data, place))
                lines.append(vector_at(builder, index.data, place, NUMBERS))
            _keep_best(builder, scores, first, lines)
    return context.get_dummy_value()


def _scoring(held: int) -> Callable[..., None]:
    """Return the loop that holds samples [start, stop) of a block against one group of nodes.

    It keeps the best score of each sample and its node, and the second best where two are held:
    `score(block, (start, stop, number of the group), groups, best, index)`.
    """

    def score(_: Any, block: Any, place: Any, groups: Any, best: Any, index: Any) -> Any:
        kinds = (block, types.UniTuple(types.int64, 3), groups, best, index)
        return types.void(*kinds), partial(_emit, held=held)

    return cast("Callable[..., None]", intrinsic(score))


_score = _scoring(1)
_score_two = _scoring(2)


@compiled
def find_nearest(block: Floats, groups: Floats, best: Floats, index: Nodes) -> None:
    """Write the nearest node of each sample.

    Args:
        block: (f, b) float32, shifted as the table is; b a multiple of `GRAIN`.
        groups: of the node table.
        best: (1, b) scores, written.
        index: (1, b) nodes, written; 0 where no score is above −∞.
    """
    best[:] = -math.inf
    index[:] = 0
    size = block.shape[1]
    for start in range(0, size, TILE):
        for number in range(len(groups)):
            _score(block, (start, min(start + TILE, size), number), groups, best, index)


@compiled
def find_two_nearest(block: Floats, groups: Floats, best: Floats, index: Nodes) -> None:
    """Write the two nearest nodes of each sample; as `find_nearest` with (2, b) lines."""
    best[:] = -math.inf
    index[:] = 0
    size = block.shape[1]
    for start in range(0, size, TILE):
        for number in range(len(groups)):
            _score_two(block, (start, min(start + TILE, size), number), groups, best, index)


@compiled
def pack(samples: Floats, start: int, stop: int, shift: Floats, block: Floats) -> None:
    """Write samples [start, stop) of (n, f), minus `shift`, feature-major into a block (f, b).

    The last sample is repeated up to the block's end.
    """
    count, size = stop - start, block.shape[1]
    begin = np.uint64(start)  # unsigned: a place that may be negative keeps the loop from vectors
    for f in range(len(block)):
        line, move = block[f], shift[f]
        for i in range(count):
            line[i] = samples[begin + np.uint64(i), f] - move
        line[count:size] = line[count - 1]


@compiled
def is_sound(block: Floats) -> bool:
    """Say whether a block's values are numbers, and no sample's add up beyond `LARGEST`."""
    total = np.zeros(block.shape[1], dtype=np.float32)
    for f in range(len(block)):
        line = block[f]
        for i in range(len(total)):
            total[i] += abs(line[i])
    sound = True
    for i in range(len(total)):
        sound &= total[i] <= LARGEST  # false for NaN
    return sound


@compiled
def add_samples(block: Floats, index: Nodes, sums: Sums, counts: Counts) -> None:
    """Add samples of a block to their nodes' sums (k, f) and counts (k,), as many as have a node."""
    features = len(block)
    for i in range(len(index)):
        node = index[i]
        counts[node] += 1
        for f in range(features):
            sums[node, f] += block[f, i]


@compiled
def _tile(features: int) -> Floats:
    # An odd number of cache lines a row: rows a power of two apart would evict one another.
    return np.empty((features, TILE + GRAIN), dtype=np.float32)


@compiled
def assign_samples(samples: Floats, start: int, table: Table, nodes: Nodes) -> bool:
    """Write the nearest nodes of samples [start, start + len(nodes)) of (n, f).

    Args:
        samples: (n, f) float32, row or column major.
        start: first sample.
        table: shift and groups of a node table.
        nodes: written.

    Returns:
        Whether every sample holds numbers that float32 scores can compare.
    """
    shift, groups = table
    tile, sound = _tile(len(shift)), True
    best, index = np.empty((1, TILE + GRAIN), np.float32), np.empty((1, TILE + GRAIN), np.int32)
    for first in range(0, len(nodes), TILE):
        count = min(TILE, len(nodes) - first)
        pack(samples, start + first, start + first + count, shift, tile)
        sound &= _score_tile(tile, groups, best, index)
        nodes[first : first + count] = index[0, :count]
    return sound


@compiled
def _score_tile(tile: Floats, groups: Floats, best: Floats, index: Nodes) -> bool:
    """Find the nearest nodes of a tile; say whether each best score is a finite number.

    It is not where a sample holds NaN or an infinite value: then each of its scores is NaN or infinite.
    """
    best[:] = -math.inf
    index[:] = 0
    for number in range(len(groups)):
        _score(tile, (0, TILE, number), groups, best, index)
    sound = True
    for i in range(TILE):
        sound &= abs(best[0, i]) < math.inf
    return sound


@compiled
def sum_samples(
    samples: Floats, start: int, stop: int, table: Table, sums: Sums, counts: Counts
) -> bool:
    """Add samples [start, stop) of (n, f), minus the shift, to their nodes' sums and counts.

    Args and result as `assign_samples`; sums are (k, f) float64, counts (k,) int64.
    """
    shift, groups = table
    tile, sound = _tile(len(shift)), True
    best, index = np.empty((1, TILE + GRAIN), np.float32), np.empty((1, TILE + GRAIN), np.int32)
    for first in range(start, stop, TILE):
        count = min(TILE, stop - first)
        pack(samples, first, first + count, shift, tile)
        sound &= _score_tile(tile, groups, best, index)
        add_samples(tile, index[0, :count], sums, counts)
    return sound
