"""Partials: what one item leaves of a pass over samples, and how those of several are joined.

Joining (`merge_...`) is associative up to rounding; the order of the items decides the last bits.
Partials are small (a few numbers per node and feature) and travel by pickle.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from somray.errors import ShapeError
from somray.kernels.som.blocks import Floats, Sums

__all__ = [
    "MOST_PAIRED",
    "MapErrors",
    "Moments",
    "NodeSums",
    "merge_errors",
    "merge_moments",
    "merge_sums",
    "with_worst",
]

MOST_PAIRED = 256
"""Nodes up to which samples are counted by their two nearest nodes: partials that travel stay below .6 MB."""

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
class MapErrors:
    """How well a map represents samples.

    Args:
        hits: (k,) int64, samples nearest to each node.
        distances: (k,) float64, their distances to the node added up.
        misses: (k,) int64, those whose second nearest node is not its neighbour.
        pairs: (k, k) int64, samples by their nearest and second nearest node; (0, 0) for a lone node
            and for more than `MOST_PAIRED`.
    """

    hits: Counts
    distances: Sums
    misses: Counts
    pairs: Counts = field(default_factory=lambda: np.zeros((0, 0), np.int64))

    @property
    def quantization_error(self) -> float:
        """Mean distance of a sample to its nearest node."""
        return float(self.distances.sum() / self.hits.sum())

    @property
    def topographic_error(self) -> float:
        """Share of samples whose two nearest nodes are not neighbours; 0 for a lone node."""
        return float(self.misses.sum() / self.hits.sum())

    def reordered(self, order: NDArray[np.intp], near: NDArray[np.bool_]) -> "MapErrors":
        """Return the same errors with node `order[place]` at each place, neighbours being `near` (k, k)."""
        pairs = self.pairs[np.ix_(order, order)]
        misses = np.where(near, 0, pairs).sum(axis=1)
        return MapErrors(self.hits[order], self.distances[order], misses, pairs)


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


def with_worst(part: NodeSums, worst: Floats, errors: Sums) -> NodeSums:
    """Return the same sums with other worst samples."""
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
    return with_worst(total, samples[order], errors[order])


def merge_errors(partials: Sequence[MapErrors]) -> MapErrors:
    """Join errors in item order."""
    total = _first(partials)
    for part in partials[1:]:
        total = MapErrors(
            total.hits + part.hits,
            total.distances + part.distances,
            total.misses + part.misses,
            total.pairs + part.pairs,
        )
    return total


def _first(partials: Sequence[Partial]) -> Partial:
    if not partials:
        raise ShapeError("there is no partial to merge")
    return partials[0]
