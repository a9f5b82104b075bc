"""Passes over samples: what a fit asks of its source, whether one slice in memory or a cohort.

Each pass is a plain function of one item's samples that returns a small partial (`moments_of`,
`node_sums_of`, `errors_of`), and a `merge_...` that joins partials in item order. `ArrayPasses` does so
for an array; a cohort does the same with one task per item: the partials travel, the samples stay. The
bits of a result depend on the samples, on how they are cut into items and on the items' order, never on
threads, tasks or their timing; another cut changes sums by rounding alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from somray.errors import ShapeError
from somray.kernels.som_blocks import Floats, Sums, checked_samples, map_blocks
from somray.kernels.som_lattice import Lattice
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

Counts = NDArray[np.int64]
Partial = TypeVar("Partial")


@dataclass(frozen=True, eq=False)
class Moments:
    """Count, mean and spread of samples, as sums about a typical sample.

    Args:
        count: number of samples.
        shift: (f,) float64, subtracted before summing, so that sums keep their digits.
        first: (f,) float64, Σ (x − shift).
        second: (f, f) float64, Σ (x − shift)(x − shift)ᵀ.
    """

    count: int
    shift: Sums
    first: Sums
    second: Sums

    @property
    def mean(self) -> Sums:
        """Mean (f,) of the samples."""
        return np.asarray(self.shift + self.first / self.count)

    @property
    def covariance(self) -> Sums:
        """Covariance (f, f) of the samples (divided by the count)."""
        offset = self.first / self.count
        return np.asarray(self.second / self.count - np.outer(offset, offset))

    @property
    def deviation(self) -> Sums:
        """Standard deviation (f,) of the samples."""
        return np.asarray(np.sqrt(np.maximum(np.diagonal(self.covariance), 0.0)))


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


@dataclass(frozen=True, eq=False)
class NodeSums:
    """What an epoch's pass over an item leaves.

    Args:
        sums: (k, f) float64, samples added up per node.
        counts: (k,) int64, samples per node.
        errors: (k,) float64, squared distances to the node added up; 0 unless asked for.
        tail_sums: (k, f) float64, samples in their node's tail, added up.
        tail_counts: (k,) int64, samples in the tail.
        tail_errors: (k,) float64, their squared distances.
        worst: (m, f) float32, the samples furthest from their nodes, worst first; of equally bad ones
            the earlier sample first.
        worst_errors: (m,) float64, their squared distances.
    """

    sums: Sums
    counts: Counts
    errors: Sums
    tail_sums: Sums
    tail_counts: Counts
    tail_errors: Sums
    worst: Floats
    worst_errors: Sums

    @classmethod
    def empty(cls, nodes: int, features: int) -> "NodeSums":
        """Return the sums of no samples."""
        table, line, none = np.zeros((nodes, features)), np.zeros(nodes), np.zeros(nodes, np.int64)
        worst = np.zeros((0, features), np.float32)
        return cls(table, none, line, table.copy(), none.copy(), line.copy(), worst, np.zeros(0))


@dataclass(frozen=True, eq=False)
class Errors:
    """How well a map represents samples.

    Args:
        hits: (k,) int64, samples nearest to each node.
        distances: (k,) float64, their distances to the node added up.
        misses: (k,) int64, those whose second nearest node is not its neighbour.
    """

    hits: Counts
    distances: Sums
    misses: Counts

    @property
    def quantization_error(self) -> float:
        """Mean distance of a sample to its nearest node."""
        return float(self.distances.sum() / self.hits.sum())

    @property
    def topographic_error(self) -> float:
        """Share of samples whose two nearest nodes are not neighbours; 0 for a lone node."""
        return float(self.misses.sum() / self.hits.sum())


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


def merge_moments(partials: Sequence[Moments]) -> Moments:
    """Join moments in item order, about the first item's shift."""
    total = _first(partials)
    for other in partials[1:]:
        move = other.shift - total.shift
        cross = np.outer(other.first, move)
        total = Moments(
            total.count + other.count,
            total.shift,
            total.first + other.first + other.count * move,
            total.second + other.second + cross + cross.T + other.count * np.outer(move, move),
        )
    return total


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
            part = _with_worst(part, worst, best[order].astype(np.float64))
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


def _with_worst(part: NodeSums, worst: Floats, errors: Sums) -> NodeSums:
    return NodeSums(
        part.sums,
        part.counts,
        part.errors,
        part.tail_sums,
        part.tail_counts,
        part.tail_errors,
        worst,
        errors,
    )


def merge_sums(partials: Sequence[NodeSums], worst: int = 0) -> NodeSums:
    """Join sums in item order, and keep the `worst` samples of all."""
    first = _first(partials)
    total = NodeSums.empty(*first.sums.shape)
    for part in partials:
        for name in ("sums", "counts", "errors", "tail_sums", "tail_counts", "tail_errors"):
            joined = getattr(total, name)
            joined += getattr(part, name)
    if not worst:
        return total
    samples = np.concatenate([part.worst for part in partials])
    errors = np.concatenate([part.worst_errors for part in partials])
    order = np.argsort(-errors, kind="stable")[:worst]
    return _with_worst(total, samples[order], errors[order])


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


def merge_errors(partials: Sequence[Errors]) -> Errors:
    """Join errors in item order."""
    total = _first(partials)
    for part in partials[1:]:
        total = Errors(
            total.hits + part.hits, total.distances + part.distances, total.misses + part.misses
        )
    return total


def _first(partials: Sequence[Partial]) -> Partial:
    if not partials:
        raise ShapeError("there is no partial to merge")
    return partials[0]


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
