"""Nodes that do no work: put where the map represents its samples worst."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["relocate", "reseed"]

TAIL = 4.0
"""Samples further than this many times their node's mean squared distance are its tail."""

Floats = NDArray[np.float32]
Nodes = NDArray[np.int32]


def reseed(samples: Floats, weights: Floats, index: Nodes, best: Floats) -> Floats:
    """Put each node that won nothing on one of the samples that lie furthest from their nodes.

    Args:
        samples: (n, f).
        weights: (k, f) nodes.
        index: (n,) nearest node of each sample.
        best: (n,) squared distance to it.

    Returns:
        (k, f) nodes; the same array where every node won something.
    """
    dead = np.flatnonzero(np.bincount(index, minlength=len(weights)) == 0)
    if not len(dead):
        return weights
    worst = np.argsort(-best, kind="stable")[: len(dead)]
    moved = weights.copy()
    moved[dead[: len(worst)]] = samples[worst]
    return moved


def relocate(samples: Floats, weights: Floats, index: Nodes, best: Floats) -> Floats:
    """Move the node that is missed least to the tail of the node that errs most, if that pays.

    A node is missed by its hits times the squared distance to its nearest other node; the tail of a
    node are its samples far beyond its mean distance. Both are squared errors, so they compare.

    Args:
        samples: (n, f).
        weights: (k, f) nodes.
        index: (n,) nearest node of each sample.
        best: (n,) squared distance to it.

    Returns:
        (k, f) nodes; the same array where nothing is gained.
    """
    error = best.astype(np.float64)
    hits = np.bincount(index, minlength=len(weights))
    mean = np.bincount(index, error, len(weights)) / np.maximum(hits, 1)
    in_tail = error > TAIL * mean[index]
    gain = np.bincount(index[in_tail], error[in_tail], len(weights))
    apart = ((weights[:, None].astype(np.float64) - weights[None]) ** 2).sum(axis=2)
    np.fill_diagonal(apart, np.inf)
    missed = hits * apart.min(axis=1)
    worst, spare = int(np.argmax(gain)), int(np.argmin(missed))
    if worst == spare or gain[worst] <= 2.0 * missed[spare]:
        return weights
    tail = samples[in_tail & (index == worst)]
    moved = weights.copy()
    moved[spare] = tail.mean(axis=0, dtype=np.float64)
    return moved
