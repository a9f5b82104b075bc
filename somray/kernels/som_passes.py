"""Passes over samples: what a fit asks of its source, whether one slice in memory or a cohort.

Each pass is a plain function of one item's samples that returns a small partial (`moments_of`,
`node_sums_of`, `errors_of`), and a `merge_...` that joins partials in item order. `ArrayPasses` does so
for an array; a cohort does the same with one task per item: the partials travel, the samples stay. The
bits of a result depend on the samples, on how they are cut into items and on the items' order, never on
threads, tasks or their timing; another cut changes sums by rounding alone.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from somray.errors import ShapeError
from somray.kernels.som_blocks import Floats, Sums, checked_samples, map_blocks
from somray.kernels.som_lattice import Lattice
from somray.kernels.som_partials import (
    Errors,
    Moments,
    NodeSums,
    merge_errors,
    merge_moments,
    merge_sums,
    with_worst,
)
from somray.kernels.som_search import add_block, add_moments, find_nearest, find_two_nearest

__all__ = [
    "ArrayPasses",
    "Errors",
    "Moments",
    "NodeQuery",
    "NodeSums",
    "Passes",
    "errors_of",
    "merge_errors",
    "merge_moments",
    "merge_sums",
    "moments_of",
    "node_sums_of",
]


@dataclass(frozen=True, eq=False)
class NodeQuery:
    """What an epoch asks of every item.

    Args:
        weights: (k, f) float32 nodes.
        tail: (k,) float64 squared distance beyond which a sample belongs to the tail of its node;
            None asks for neither tails nor squared errors.
        worst: how many of the samples furthest from their nodes to bring back.
    """

    weights: Floats
    tail: Sums | None = None
    worst: int = 0


class Passes(Protocol):
    """A source of samples that a map is fitted to, item by item in a fixed order."""

    def moments(self) -> Moments:
        """Return the moments of all samples; the first pass of a fit."""
        ...

    def rows(self, numbers: NDArray[np.int64]) -> Floats:
        """Return samples (m, f) by their numbers, counted through the items in order."""
        ...

    def node_sums(self, query: NodeQuery) -> NodeSums:
        """Return the sums of all samples at their nearest nodes."""
        ...

    def errors(self, weights: Floats, lattice: Lattice) -> Errors:
        """Return hits, distances and misses of all samples."""
        ...


def moments_of(samples: Floats, threads: int = 1) -> Moments:
    """Return the moments of one item's samples (n, f), finite, any strides.

    Raises:
        ShapeError: samples are not (n, f) with n, f > 0, or hold NaN or infinite values.
    """
    checked_samples(samples)
    shift = samples[0].astype(np.float64)

    def one(block: Floats) -> Moments:
        first, second = np.zeros(len(block)), np.zeros((len(block), len(block)))
        add_moments(block, shift, first, second)
        return Moments(block.shape[1], shift, first, second)

    return merge_moments(map_blocks(one, samples, threads))


def node_sums_of(samples: Floats, query: NodeQuery, threads: int = 1) -> NodeSums:
    """Add one item's samples to their nearest nodes.

    Args:
        samples: (n, f) finite, any strides; n may be 0.
        query: nodes, and what is asked beside the sums.
        threads: worker threads; the result does not depend on them.

    Returns:
        The item's partial; join those of several with `merge_sums`.

    Raises:
        ShapeError: if the feature counts differ.

    Cost: O(n k f) time, O(k f) memory per block.
    """
    weights = np.ascontiguousarray(query.weights, dtype=np.float32)
    if samples.ndim != 2 or samples.shape[1] != weights.shape[1]:
        raise ShapeError(f"samples {samples.shape} do not fit nodes {weights.shape}")
    nothing = NodeSums.empty(*weights.shape)

    def one(block: Floats) -> NodeSums:
        index, best = np.empty(block.shape[1], np.int32), np.empty(block.shape[1], np.float32)
        find_nearest(block, weights, index, best)
        part = NodeSums.empty(*weights.shape)
        add_block(block, index, part.sums, part.counts)
        if query.tail is not None:
            _add_tail(block, index, best, query.tail, part)
        if query.worst:
            order = np.argsort(-best, kind="stable")[: query.worst]
            worst = np.ascontiguousarray(block[:, order].T)
            part = with_worst(part, worst, best[order].astype(np.float64))
        return part

    return merge_sums([nothing, *map_blocks(one, samples, threads)], query.worst)


def _add_tail(
    block: Floats, index: NDArray[np.int32], best: Floats, tail: Sums, part: NodeSums
) -> None:
    """Add squared errors, and the samples that lie in their node's tail."""
    error = best.astype(np.float64)
    part.errors[:] += np.bincount(index, error, len(tail))
    far = np.flatnonzero(error > tail[index])
    if len(far):
        add_block(np.ascontiguousarray(block[:, far]), index[far], part.tail_sums, part.tail_counts)
        part.tail_errors[:] += np.bincount(index[far], error[far], len(tail))


def errors_of(samples: Floats, weights: Floats, lattice: Lattice, threads: int = 1) -> Errors:
    """Measure how well nodes represent one item's samples (n, f), finite, any strides."""
    weights = np.ascontiguousarray(weights, dtype=np.float32)
    near, count = lattice.neighbours, len(weights)

    def one(block: Floats) -> Errors:
        shape = (2, block.shape[1])
        index, best = np.empty(shape, np.int32), np.empty(shape, np.float32)
        find_two_nearest(block, weights, index, best)
        distance = np.sqrt(best[0].astype(np.float64))
        missed = index[0][~near[index[0], index[1]]] if count > 1 else index[0][:0]
        return Errors(
            np.bincount(index[0], minlength=count).astype(np.int64),
            np.bincount(index[0], distance, count).astype(np.float64),
            np.bincount(missed, minlength=count).astype(np.int64),
        )

    return merge_errors(map_blocks(one, samples, threads))


class ArrayPasses:
    """Passes over samples in memory, as one item.

    Args:
        samples: (n, f) float32, finite, any strides; fastest as the transposed view of features.
        threads: worker threads; no result depends on them.
    """

    def __init__(self, samples: Floats, threads: int = 1) -> None:
        self._samples = samples
        self._threads = threads

    def moments(self) -> Moments:
        """Return the moments of all samples."""
        return moments_of(self._samples, self._threads)

    def rows(self, numbers: NDArray[np.int64]) -> Floats:
        """Return samples (m, f) by their numbers."""
        return np.ascontiguousarray(self._samples[numbers], dtype=np.float32)

    def node_sums(self, query: NodeQuery) -> NodeSums:
        """Return the sums of all samples at their nearest nodes."""
        return node_sums_of(self._samples, query, self._threads)

    def errors(self, weights: Floats, lattice: Lattice) -> Errors:
        """Return hits, distances and misses of all samples."""
        return errors_of(self._samples, weights, lattice, self._threads)
