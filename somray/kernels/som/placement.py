"""Where nodes are put: at first, when they do no work, and on the lattice at last.

The moves of idle nodes read what the epoch's pass left (`NodeSums`), so they cost no pass of their own and are
the same for one slice and for a cohort. A node that was moved among the samples stands on the lattice where it
stood before, beside nodes that it no longer resembles: `arranged` gives all of them their places anew.
"""

import numpy as np
from numpy.typing import NDArray

from somray.domain.teacher import Codebook
from somray.errors import ShapeError
from somray.kernels.compiled import compiled
from somray.kernels.som.lattice import Lattice
from somray.kernels.som.passes import MapErrors, Moments, NodeSums, Passes

__all__ = ["STARTS", "arranged", "first_nodes", "relocate", "reseed", "spread_start", "tail_of"]

Floats = NDArray[np.float32]

STARTS = ("pca", "samples")

REACH = 1.5
"""How far the first map reaches along the main directions, in standard deviations."""

TAIL = 4.0
"""Samples further than this many times their node's mean squared distance are its tail."""

LIKENESS = 0.05
"""Share of the samples that would be given to have neighbours no further apart than any two nodes are: it
places nodes that no sample tells apart, and keeps the rest of the map smooth (bench_som)."""

WHOLE = 2.0**40
"""What all samples count in sums that find the order: in whole numbers these are exact in any order."""


def first_nodes(
    start: str | Codebook | Floats, passes: Passes, moments: Moments, lattice: Lattice, seed: int
) -> Floats:
    """Return the first nodes (k, f) float32.

    Args:
        start: "pca", "samples" (a draw), or nodes to go on from.
        passes: the source; asked for the drawn samples alone.
        moments: of all samples.
        lattice: of the map.
        seed: of the draw; the same samples are drawn however the source is cut into items.

    Raises:
        ShapeError: unknown start, or nodes that do not fit the lattice or the samples.
    """
    if isinstance(start, str):
        if start == "pca":
            return spread_start(moments, lattice)
        if start == "samples":
            draw = np.random.default_rng(seed).integers(0, moments.count, lattice.nodes)
            return np.ascontiguousarray(passes.rows(draw), dtype=np.float32)
        raise ShapeError(f"unknown start {start!r}; known: {', '.join(STARTS)}, or nodes")
    weights = start.weights if isinstance(start, Codebook) else np.asarray(start)
    expected = (lattice.nodes, len(moments.shift))
    if weights.shape != expected or not np.isfinite(weights).all():
        raise ShapeError(f"the start must be {expected} finite nodes, got {weights.shape}")
    return np.ascontiguousarray(weights, dtype=np.float32)


def spread_start(moments: Moments, lattice: Lattice) -> Floats:
    """Lay the lattice over the plane of the two main directions (PCA).

    Args:
        moments: of the samples.
        lattice: the longer side follows the main direction.

    Returns:
        (k, f) float32 nodes.
    """
    values, vectors = np.linalg.eigh(moments.covariance)
    axes = vectors[:, ::-1][:, :2].T * np.sqrt(np.maximum(values[::-1][:2], 0.0))[:, None]
    if len(axes) == 1:
        axes = np.concatenate([axes, np.zeros_like(axes)])
    for axis in axes:  # an eigenvector's sign is arbitrary: its largest part points up
        axis *= np.sign(axis[np.argmax(np.abs(axis))]) or 1.0
    if lattice.grid[0] < lattice.grid[1]:
        axes = axes[::-1]
    place = lattice.positions
    middle, half = (place.max(0) + place.min(0)) / 2.0, np.ptp(place, axis=0) / 2.0
    steps = REACH * (place - middle) / np.where(half > 0.0, half, 1.0)
    return np.asarray(steps @ axes + moments.mean, dtype=np.float32)


def tail_of(total: NodeSums) -> NDArray[np.float64]:
    """Return the squared distance (k,) from which on a sample is in its node's tail."""
    mean = total.errors / np.maximum(total.counts, 1)
    return np.where(total.counts > 0, TAIL * mean, np.inf)


def reseed(weights: Floats, total: NodeSums) -> Floats:
    """Put each node that won nothing on one of the samples that lie furthest from their nodes.

    Args:
        weights: (k, f) nodes after the epoch's update.
        total: the epoch's sums, with the worst samples; too few of them leave nodes where they are.

    Returns:
        (k, f) nodes; the same array where there is nothing to put.
    """
    dead = np.flatnonzero(total.counts == 0)
    worst = total.worst[total.worst_errors > 0.0]
    count = min(len(dead), len(worst))
    if not count:
        return weights
    moved = weights.copy()
    moved[dead[:count]] = worst[:count]
    return moved


def relocate(weights: Floats, total: NodeSums) -> Floats:
    """Move the node that is missed least to the tail of the node that errs most, if that pays.

    A node is missed by its hits times the squared distance to its nearest other node; the tail of a
    node are its samples far beyond its mean distance. Both are squared errors, so they compare.

    Args:
        weights: (k, f) nodes after the epoch's update.
        total: the epoch's sums, with errors and tails.

    Returns:
        (k, f) nodes; the same array where nothing is gained.
    """
    if len(weights) < 3:
        return weights
    gain = total.tail_errors
    apart = ((weights[:, None].astype(np.float64) - weights[None]) ** 2).sum(axis=2)
    np.fill_diagonal(apart, np.inf)
    missed = total.counts * apart.min(axis=1)
    worst, spare = int(np.argmax(gain)), int(np.argmin(missed))
    if worst == spare or gain[worst] <= 2.0 * missed[spare]:
        return weights
    moved = weights.copy()
    moved[spare] = total.tail_sums[worst] / total.tail_counts[worst]
    return moved


def arranged(weights: Floats, errors: MapErrors, lattice: Lattice) -> tuple[Floats, MapErrors]:
    """Let nodes change places on the lattice until no exchange of two betters its order.

    Nodes themselves stay as they are, so no sample gets another one: the quantization error and every class
    named by profile are those of before. What falls is the topographic error, and with it the
    distance between neighbours.

    Args:
        weights: (k, f) nodes as trained, moved or parted.
        errors: of all samples; without `pairs` nothing is changed.
        lattice: of the map.

    Returns:
        (k, f) nodes in the order of their places, and their errors.

    Cost: O(k²) an exchange, about k exchanges; no pass over samples.
    """
    if not errors.pairs.size:
        return weights, errors
    order = _order(_liking(weights, errors.pairs), lattice.neighbours)
    return np.ascontiguousarray(weights[order]), errors.reordered(order, lattice.neighbours)


def _liking(weights: Floats, pairs: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return what is gained (k, k) by two nodes being neighbours, in whole numbers."""
    exact = weights.astype(np.float64)
    apart = np.sqrt(((exact[:, None] - exact[None]) ** 2).sum(axis=2))
    usual = apart.mean() or 1.0
    gain = (pairs + pairs.T) / pairs.sum() - LIKENESS / len(pairs) * apart / usual
    np.fill_diagonal(gain, 0.0)
    return np.asarray(np.rint(WHOLE * gain))


def _order(liking: NDArray[np.float64], near: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Return the node (k,) of each place, by the best exchange of two until none is left."""
    order, beside = np.arange(len(liking)), near.astype(np.float64)
    _exchange(liking, beside, liking @ beside, order)
    return order


@compiled
def _exchange(
    liking: NDArray[np.float64],
    beside: NDArray[np.float64],
    had: NDArray[np.float64],
    order: NDArray[np.intp],
) -> None:
    """Exchange nodes until nothing is gained; all four are worked on in place.

    `had[a, b]` is what the node at place a would have from the neighbours of place b.
    """
    places = len(order)
    while True:
        best, one, two = 0.0, 0, 0
        for a in range(places):
            for b in range(a + 1, places):
                gain = had[a, b] + had[b, a] - had[a, a] - had[b, b]
                gain += 2.0 * liking[a, b] * beside[a, b]  # two neighbours stay neighbours
                if gain > best:
                    best, one, two = gain, a, b
        if best == 0.0:
            return
        for a in range(places):
            change = liking[a, two] - liking[a, one]
            for b in range(places):
                had[a, b] += change * (beside[one, b] - beside[two, b])
        order[one], order[two] = order[two], order[one]
        for b in range(places):
            had[one, b], had[two, b] = had[two, b], had[one, b]
            liking[one, b], liking[two, b] = liking[two, b], liking[one, b]
        for a in range(places):
            liking[a, one], liking[a, two] = liking[a, two], liking[a, one]
