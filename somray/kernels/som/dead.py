"""Nodes that do no work: put where the map represents its samples worst.

Both moves read what the epoch's pass left (`NodeSums`), so they cost no pass of their own and are the
same for one slice and for a cohort.
"""

import numpy as np
from numpy.typing import NDArray

from somray.kernels.som.passes import NodeSums

__all__ = ["relocate", "reseed", "tail_of"]

TAIL = 4.0
"""Samples further than this many times their node's mean squared distance are its tail."""

Floats = NDArray[np.float32]


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
