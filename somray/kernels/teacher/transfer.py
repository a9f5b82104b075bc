"""From features to classes: a codebook made ready for labelling, and the loop that labels a block.

Standardising and weighting are one multiplication and subtraction a feature. A sample keeps one number
a class: the score of the nearest of the class's nodes (`som.vectors`). Distances to the classes follow
from these numbers; the node itself is never needed. Scores lose digits where samples lie far from the
origin, so samples and nodes are shifted to the nodes' mean first.

A sample passes through the same operations wherever it stands: its verdict does not depend on the block
it comes in.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple, cast

import numpy as np
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

from somray.domain.teacher import TeacherModel
from somray.kernels.compiled import compiled
from somray.kernels.som.table import node_groups
from somray.kernels.som.vectors import (
    GROUP,
    LANES,
    constant,
    intrinsic_of,
    scores_of,
    vector_at,
)

__all__ = ["Nodes", "Verdict", "label_block", "nodes_of"]

Floats = NDArray[np.float32]

PART = 224
"""Samples that are standardised and meet all nodes before the next ones: 9 kB of ten features, half of a
first-level cache that two threads share; a multiple of two vectors of any width."""


class Nodes(NamedTuple):
    """A teacher's nodes for `label_block`.

    Args:
        scale: (f,) float32 multiplies the raw features.
        shift: (f,) float32 subtracted afterwards.
        groups: (g, f + 1, 5) float32, five nodes feature by feature, last -|w|²/2; -inf where missing.
        lines: (g, 5) int64, which of `values` each node belongs to.
        values: (c,) int32, label value of each class, ascending.
    """

    scale: Floats
    shift: Floats
    groups: Floats
    lines: NDArray[np.int64]
    values: NDArray[np.int32]


class Verdict(NamedTuple):
    """What is written for each sample.

    Args:
        labels: uint8, class of the nearest node.
        confidence: float32; of size 0 where it is not wanted.
    """

    labels: NDArray[np.uint8]
    confidence: Floats

    def part(self, where: tuple[slice, slice]) -> "Verdict":
        """Return a part (y, x) of planes."""
        return Verdict(self.labels[where], self.confidence[where])

    @property
    def flat(self) -> "Verdict":
        """Planes as lines."""
        return Verdict(self.labels.reshape(-1), self.confidence.reshape(-1))


def nodes_of(model: TeacherModel) -> Nodes:
    """Fold a teacher's standardisation, weights and node classes into what `label_block` reads."""
    weights = model.codebook.weights.astype(np.float64)
    middle = weights.mean(axis=0)
    values, line = np.unique(model.node_classes, return_inverse=True)
    nodes = (weights - middle).astype(np.float32)
    # Classes take turns: five nodes of one class would wait for each other's line in memory.
    members, turn = np.bincount(line), np.empty(len(line), dtype=np.int64)
    begin = np.cumsum(members) - members
    turn[np.argsort(line, kind="stable")] = np.arange(len(line)) - np.repeat(begin, members)
    order = np.argsort(turn / members[line], kind="stable")
    groups = node_groups(nodes[order])
    lines = np.zeros((len(groups), GROUP), dtype=np.int64)
    lines.reshape(-1)[: len(line)] = line[order]
    scale = model.feature_weights.astype(np.float64) / model.scale
    shift = model.center * scale + middle
    return Nodes(
        scale.astype(np.float32), shift.astype(np.float32), groups, lines, values.astype(np.int32)
    )


# LLVM's builder and numba's arrays carry no types: `Any` below.


def _emit_scoring(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    """Emit the loop over samples: scores of one group, then the best of each class."""
    part, groups, lines, best = (
        context.make_array(kind)(context, builder, value)
        for kind, value in zip(signature.args[:4], args[:4], strict=True)
    )
    _, rows, _ = cgutils.unpack_tuple(builder, groups.shape)
    _, size = cgutils.unpack_tuple(builder, best.shape)
    first = builder.mul(args[4], constant(GROUP))
    group = builder.gep(groups.data, [builder.mul(first, rows)])
    starts = [
        builder.mul(builder.load(builder.gep(lines.data, [builder.add(first, constant(n))])), size)
        for n in range(GROUP)
    ]
    step, larger = constant(2 * LANES), intrinsic_of(builder, "maxnum", 2)
    with cgutils.for_range_slice(builder, constant(0), size, step, size.type) as (column, _):
        for half, scores in enumerate(scores_of(builder, part, group, column)):
            for start, score in zip(starts, scores, strict=True):
                place = builder.add(builder.add(start, column), constant(half * LANES))
                line = vector_at(builder, best.data, place)
                held = builder.load(line, align=4)
                # Not a comparison and a selection: LLVM makes a masked store of it, which is slow.
                builder.store(builder.call(larger, [held, score], fastmath=["nnan"]), line, align=4)
    return context.get_dummy_value()


def _score(_: Any, part: Any, groups: Any, lines: Any, best: Any, number: Any) -> Any:
    """`score(part, groups, lines, best, number)`: one group's best scores into `best` (c, PART)."""
    return types.void(part, groups, lines, best, types.int64), _emit_scoring


_score_group = cast("Callable[..., None]", intrinsic(_score))


@compiled
def _standardise(block: Floats, start: int, nodes: Nodes, part: Floats) -> None:
    """Write one part of the block, standardised.

    Five features at a time: their lines lie far apart, and the machine fetches several at once.
    """
    size = min(PART, block.shape[1] - start)
    scale, shift = nodes.scale, nodes.shift
    whole = len(block) - len(block) % 5
    for f in range(0, whole, 5):
        a, b, c = block[f][start:], block[f + 1][start:], block[f + 2][start:]
        d, e = block[f + 3][start:], block[f + 4][start:]
        v, w, x, y, z = part[f], part[f + 1], part[f + 2], part[f + 3], part[f + 4]
        s0, s1, s2, s3, s4 = scale[f], scale[f + 1], scale[f + 2], scale[f + 3], scale[f + 4]
        h0, h1, h2, h3, h4 = shift[f], shift[f + 1], shift[f + 2], shift[f + 3], shift[f + 4]
        for i in range(size):
            v[i], w[i], x[i] = a[i] * s0 - h0, b[i] * s1 - h1, c[i] * s2 - h2
            y[i], z[i] = d[i] * s3 - h3, e[i] * s4 - h4
    for f in range(whole, len(block)):
        source, target, slope, offset = block[f][start:], part[f], scale[f], shift[f]
        for i in range(size):
            target[i] = source[i] * slope - offset


@compiled
def _add_squares(part: Floats, power: Floats) -> None:
    """Write the squared length of each sample.

    Five features at a time, so that lengths are read and written a fifth as often.
    """
    power[:] = np.float32(0)
    whole = len(part) - len(part) % 5
    for f in range(0, whole, 5):
        a, b, c, d, e = part[f], part[f + 1], part[f + 2], part[f + 3], part[f + 4]
        for i in range(power.size):
            p, q, r, s, t = a[i], b[i], c[i], d[i], e[i]
            power[i] += ((p * p + q * q) + (r * r + s * s)) + t * t
    for f in range(whole, len(part)):
        line = part[f]
        for i in range(power.size):
            power[i] += line[i] * line[i]


@compiled
def _rank(best: Floats, values: NDArray[np.int32], ranks: Floats, winner: NDArray[np.int32]) -> int:
    """Find the best score of all classes, the best of the others, and the best one's label.

    Args:
        best: (c, n) best score of each class.
        values: (c,) their label values.
        ranks: (4, n), written.
        winner: (2, n), written.

    Returns:
        Where they stand, h: `ranks[2·h]`, `ranks[2·h + 1]` and `winner[h]`. Every class reads one half and
        writes the other: a selection stored where it was read becomes a masked store, which is slow.
    """
    ranks[0][:] = best[0]
    ranks[1][:] = np.float32(-math.inf)
    winner[0][:] = values[0]
    half = 0
    for c in range(1, len(best)):
        line, value = best[c], values[c]
        first, second, label = ranks[2 * half], ranks[2 * half + 1], winner[half]
        half = 1 - half
        own, other, chosen = ranks[2 * half], ranks[2 * half + 1], winner[half]
        for i in range(line.size):
            score, leader = line[i], first[i]
            better = score > leader
            runner = leader if better else score
            own[i] = score if better else leader
            other[i] = runner if runner > second[i] else second[i]
            chosen[i] = value if better else label[i]
    return half


@compiled
def _certainty(power: Floats, own: Floats, other: Floats, out: Floats) -> None:
    """Write (b - a)/(b + a) for the distances a to the nearest node and b to another class's nearest.

    It equals (b² - a²)/(a² + b² + 2·√(a²·b²)), which takes one root; 0 where both are 0.
    """
    zero, two = np.float32(0), np.float32(2)
    for i in range(out.size):
        a, b = power[i] - two * own[i], power[i] - two * other[i]
        a, b = a if a > zero else zero, b if b > zero else zero
        total = (a + b) + two * math.sqrt(a * b)
        out[i] = (b - a) / total if total > zero else zero


@compiled
def label_block(block: Floats, nodes: Nodes, out: Verdict) -> None:
    """Label the first samples of a block.

    Confidence is (other - own)/(other + own), with the distances to the nearest node of the class and
    to the nearest node of any other class: 0 on the border between classes, 1 on a node and where there
    is but one class.

    Args:
        block: (f, b) float32 raw features, finite where they are labelled.
        nodes: from `nodes_of`.
        out: lines of n samples each, n at most b.
    """
    classes, count = len(nodes.values), out.labels.size
    part = np.zeros((len(block), PART), dtype=np.float32)
    best = np.empty((classes, PART), dtype=np.float32)
    power, ranks = np.empty(PART, dtype=np.float32), np.empty((4, PART), dtype=np.float32)
    winner = np.empty((2, PART), dtype=np.int32)
    for start in range(0, count, PART):
        size = min(PART, count - start)
        _standardise(block, start, nodes, part)
        best[:] = np.float32(-math.inf)
        for number in range(len(nodes.groups)):
            _score_group(part, nodes.groups, nodes.lines, best, number)
        half = _rank(best, nodes.values, ranks, winner)
        labels, chosen = out.labels[start:], winner[half]
        for i in range(size):
            labels[i] = chosen[i]
        if out.confidence.size == 0:
            continue
        confidence = out.confidence[start : start + size]
        if classes > 1:
            _add_squares(part, power)
            _certainty(power, ranks[2 * half], ranks[2 * half + 1], confidence)
        else:
            confidence[:] = np.float32(1)
