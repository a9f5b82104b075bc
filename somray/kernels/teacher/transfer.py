"""From features to classes: a codebook made ready for labelling, and the loop that labels a block.

Standardising and weighting are one multiplication and subtraction a feature. A sample keeps one number
a class: the score of the nearest of the class's nodes, x·w - |w|²/2, greatest where
|x - w|² = |x|² - 2·score is least. Distances to the classes follow from these numbers; the node itself
is never needed. Scores lose digits where samples lie far from the origin, so samples and nodes are
shifted to the nodes' mean first.

Five nodes meet two vectors of samples at a time, whose scores stay in registers over all features:
numba does not find that loop by itself, so it is written out in LLVM's terms (as in `som_nearest`).
Every operation is exact to the bit on every machine, and a sample passes through the same operations
wherever it stands: its verdict does not depend on the block it comes in.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple, cast

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

from somray.domain.teacher import TeacherModel
from somray.kernels.compiled import compiled

__all__ = ["Nodes", "Verdict", "label_block", "nodes_of"]

Floats = NDArray[np.float32]

GROUP = 5
"""Nodes scored together: 5 × 2 vectors of scores, 2 of samples and 1 of a weight fill 16 registers."""

LANES = 8
"""float32 values of a vector; machines with other widths split or pair them."""

PART = 512
"""Samples that are standardised and meet all nodes before the next ones: 20 kB of ten features."""


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
        confidence: float32.
        distance: float32, to the nearest node in standardised and weighted features; of size 0 where
            it is not wanted.
    """

    labels: NDArray[np.uint8]
    confidence: Floats
    distance: Floats


def nodes_of(model: TeacherModel) -> Nodes:
    """Fold a teacher's standardisation, weights and node classes into what `label_block` reads."""
    weights = model.codebook.weights.astype(np.float64)
    middle = weights.mean(axis=0)
    values, line = np.unique(model.node_classes, return_inverse=True)
    count, features = weights.shape
    nodes = (weights - middle).astype(np.float32).astype(np.float64)
    groups = np.zeros((-(-count // GROUP), features + 1, GROUP), dtype=np.float32)
    groups[:, -1] = -np.inf
    # Classes take turns: five nodes of one class would wait for each other's line in memory.
    members = np.bincount(line)
    turn = np.array([(line[:node] == line[node]).sum() for node in range(count)]) / members[line]
    order = np.argsort(turn, kind="stable")
    place = (np.arange(count) // GROUP, slice(None), np.arange(count) % GROUP)
    groups[place] = np.column_stack([nodes, -0.5 * (nodes**2).sum(axis=1)])[order]
    lines = np.zeros((len(groups), GROUP), dtype=np.int64)
    lines.reshape(-1)[:count] = line[order]
    scale = model.feature_weights.astype(np.float64) / model.scale
    shift = model.center * scale + middle
    return Nodes(
        scale.astype(np.float32), shift.astype(np.float32), groups, lines, values.astype(np.int32)
    )


# LLVM's builder and numba's arrays carry no types: `Any` below.
_LONG, _INT = ir.IntType(64), ir.IntType(32)
_VECTOR = ir.VectorType(ir.FloatType(), LANES)


def _long(value: int) -> Any:
    return ir.Constant(_LONG, value)


def _vector(builder: Any, data: Any, offset: Any) -> Any:
    """Point to the vector that begins `offset` values into `data`."""
    return builder.bitcast(builder.gep(data, [offset]), _VECTOR.as_pointer())


def _spread(builder: Any, data: Any, offset: Any) -> Any:
    """Fill a vector with the value at `offset`."""
    empty = ir.Constant(_VECTOR, ir.Undefined)
    one = builder.insert_element(
        empty, builder.load(builder.gep(data, [offset])), ir.Constant(_INT, 0)
    )
    first = ir.Constant(ir.VectorType(_INT, LANES), [0] * LANES)
    return builder.shuffle_vector(one, empty, first)


def _scores(builder: Any, part: Any, group: Any, column: Any) -> list[Any]:
    """Emit the loop over features; return the scores of five nodes × two vectors of samples."""
    features, stride = cgutils.unpack_tuple(builder, part.shape)
    fused = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(_VECTOR, [_VECTOR] * 3), f"llvm.fma.v{LANES}f32"
    )

    def weights(feature: Any) -> list[Any]:
        first = builder.mul(feature, _long(GROUP))
        return [_spread(builder, group, builder.add(first, _long(n))) for n in range(GROUP)]

    pairs = [(node, half) for node in range(GROUP) for half in (0, 1)]
    bias, before = weights(features), builder.block
    loop, after = (builder.append_basic_block(name) for name in ("features", "scored"))
    builder.branch(loop)
    builder.position_at_end(loop)
    feature, totals = builder.phi(_LONG), [builder.phi(_VECTOR) for _ in pairs]
    row = builder.add(builder.mul(feature, stride), column)
    samples = [
        builder.load(_vector(builder, part.data, builder.add(row, _long(h * LANES))), align=4)
        for h in (0, 1)
    ]
    weight = weights(feature)
    scores = [
        builder.call(fused, [samples[h], weight[n], total])
        for (n, h), total in zip(pairs, totals, strict=True)
    ]
    following = builder.add(feature, _long(1))
    feature.add_incoming(_long(0), before)
    feature.add_incoming(following, loop)
    for (node, _), total, score in zip(pairs, totals, scores, strict=True):
        total.add_incoming(bias[node], before)
        total.add_incoming(score, loop)
    builder.cbranch(builder.icmp_signed("<", following, features), loop, after)
    builder.position_at_end(after)
    return scores


def _emit_scoring(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    """Emit the loop over samples: scores of one group, then the best of each class."""
    part, groups, lines, best = (
        context.make_array(kind)(context, builder, value)
        for kind, value in zip(signature.args[:4], args[:4], strict=True)
    )
    number = args[4]
    _, rows, _ = cgutils.unpack_tuple(builder, groups.shape)
    _, size = cgutils.unpack_tuple(builder, best.shape)
    group = builder.gep(groups.data, [builder.mul(builder.mul(number, rows), _long(GROUP))])
    first = builder.mul(number, _long(GROUP))
    starts = [
        builder.mul(builder.load(builder.gep(lines.data, [builder.add(first, _long(n))])), size)
        for n in range(GROUP)
    ]
    step, larger = (
        _long(2 * LANES),
        cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(_VECTOR, [_VECTOR] * 2), f"llvm.maxnum.v{LANES}f32"
        ),
    )
    with cgutils.for_range_slice(builder, _long(0), size, step, intp=_LONG) as (column, _):
        scores = _scores(builder, part, group, column)
        for node, start in enumerate(starts):
            for half in (0, 1):
                place = builder.add(builder.add(start, column), _long(half * LANES))
                line, score = _vector(builder, best.data, place), scores[2 * node + half]
                held = builder.load(line, align=4)
                # Not a comparison and a selection: LLVM makes a masked store of it, which is slow.
                builder.store(builder.call(larger, [held, score], fastmath=["nnan"]), line, align=4)
    return context.get_dummy_value()


def _score(_: Any, part: Any, groups: Any, lines: Any, best: Any, number: Any) -> Any:
    """`score(part, groups, lines, best, number)`: one group's best scores into `best` (c, PART)."""
    return types.void(part, groups, lines, best, types.int64), _emit_scoring


_score_group = cast("Callable[..., None]", intrinsic(_score))


@compiled
def _standardise(block: Floats, start: int, nodes: Nodes, part: Floats, power: Floats) -> None:
    """Write one part of the block, standardised, and the squared length of its samples.

    Five features at a time, so that lengths are read and written a fifth as often.
    """
    size = min(PART, block.shape[1] - start)
    scale, shift = nodes.scale, nodes.shift
    power[:] = np.float32(0)
    whole = len(block) - len(block) % 5
    for f in range(0, whole, 5):
        a, b, c = block[f][start:], block[f + 1][start:], block[f + 2][start:]
        d, e = block[f + 3][start:], block[f + 4][start:]
        v, w, x, y, z = part[f], part[f + 1], part[f + 2], part[f + 3], part[f + 4]
        s0, s1, s2, s3, s4 = scale[f], scale[f + 1], scale[f + 2], scale[f + 3], scale[f + 4]
        h0, h1, h2, h3, h4 = shift[f], shift[f + 1], shift[f + 2], shift[f + 3], shift[f + 4]
        for i in range(size):
            p, q, r = a[i] * s0 - h0, b[i] * s1 - h1, c[i] * s2 - h2
            s, t = d[i] * s3 - h3, e[i] * s4 - h4
            v[i], w[i], x[i], y[i], z[i] = p, q, r, s, t
            power[i] += ((p * p + q * q) + (r * r + s * s)) + t * t
    for f in range(whole, len(block)):
        source, target, slope, offset = block[f][start:], part[f], scale[f], shift[f]
        for i in range(size):
            value = source[i] * slope - offset
            target[i] = value
            power[i] += value * value


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
        _standardise(block, start, nodes, part, power)
        best[:] = np.float32(-math.inf)
        for number in range(len(nodes.groups)):
            _score_group(part, nodes.groups, nodes.lines, best, number)
        half = _rank(best, nodes.values, ranks, winner)
        own, other, chosen = ranks[2 * half], ranks[2 * half + 1], winner[half]
        labels, confidence = out.labels[start:], out.confidence[start : start + size]
        for i in range(size):
            labels[i] = chosen[i]
        if classes > 1:
            _certainty(power, own, other, confidence)
        else:
            confidence[:] = np.float32(1)
        if out.distance.size > 0:
            distance = out.distance[start:]
            for i in range(size):
                near = power[i] - np.float32(2) * own[i]
                distance[i] = math.sqrt(near if near > np.float32(0) else np.float32(0))
