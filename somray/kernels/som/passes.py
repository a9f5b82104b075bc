"""Passes over samples: what a fit asks of its source, whether one slice in memory or a cohort.

Each pass is a plain function of one item's samples that returns a small partial (`moments_of`,
`node_sums_of`, `errors_of`), and a `merge_...` that joins partials in item order. `ArrayPasses` does so
for an array; a cohort does the same with one task per item: the partials travel, the samples stay. The
bits of a result depend on the samples, on how they are cut into items and on the items' order, never on
threads, tasks or their timing; another cut changes sums by rounding alone.
"""

from dataclasses import dataclass, replace
from functools import partial
from threading import Lock
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from somray.errors import ShapeError
from somray.kernels.som.blocks import (
    BLOCK,
    Floats,
    SampleBlock,
    Sums,
    checked_shape,
    map_packed,
    map_ranges,
    require_sound,
)
from somray.kernels.som.lattice import Lattice
from somray.kernels.som.nearest import (
    add_samples,
    assign_samples,
    find_nearest,
    find_two_nearest,
    sum_samples,
)
from somray.kernels.som.partials import (
    MOST_PAIRED,
    MapErrors,
    Moments,
    NodeSums,
    merge_errors,
    merge_moments,
    merge_sums,
    with_worst,
)
from somray.kernels.som.sums import add_errors, add_moments, squared_distances
from somray.kernels.som.table import NodeTable, node_table

__all__ = [
    "ArrayPasses",
    "MapErrors",
    "Moments",
    "NodeQuery",
    "NodeSums",
    "Passes",
    "errors_of",
    "merge_errors",
    "merge_moments",
    "merge_sums",
    "moments_of",
    "nearest_nodes",
    "node_sums_of",
    "nodes_and_distances",
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

    def errors(self, weights: Floats, lattice: Lattice) -> MapErrors:
        """Return hits, distances and misses of all samples."""
        ...


def moments_of(samples: Floats, threads: int = 1) -> Moments:
    """Return the moments of one item's samples (n, f), finite, any strides.

    Raises:
        ShapeError: samples are not (n, f) with n, f > 0, or hold NaN, infinite or too large values.
    """
    checked_shape(samples)
    shift = np.array(samples[0], dtype=np.float32)

    def one(block: SampleBlock) -> Moments:
        features = len(block.values)
        first, second = np.zeros(features), np.zeros((features, features))
        add_moments(block.values, block.count, first, second)
        return Moments(block.count, shift.astype(np.float64), first, second)

    return merge_moments(map_packed(one, samples, shift, threads))


def node_sums_of(samples: Floats, query: NodeQuery, threads: int = 1) -> NodeSums:
    """Add one item's samples to their nearest nodes.

    Args:
        samples: (n, f) finite, any strides; n may be 0.
        query: nodes, and what is asked beside the sums.
        threads: worker threads; the result does not depend on them.

    Returns:
        The item's partial; join those of several with `merge_sums`.

    Raises:
        ShapeError: if the feature counts differ, or values are not finite.

    Cost: O(n k f) time, O(k f) memory per block.
    """
    table = node_table(query.weights)
    if samples.ndim != 2 or samples.shape[1] != len(table.shift):
        raise ShapeError(f"samples {samples.shape} do not fit nodes {query.weights.shape}")
    if not len(samples):
        return NodeSums.empty(*table.nodes.shape)
    if query.tail is None and not query.worst:
        parts = map_ranges(partial(_range_sums, table), samples, len(table.shift), threads)
    else:
        work = partial(_block_sums, query, table)
        parts = map_packed(work, samples, table.shift, threads)
    total = merge_sums(parts, query.worst)
    # Samples were added without the shift, which keeps their digits; it comes back here.
    total.sums[:] += total.counts[:, None] * table.shift.astype(np.float64)
    total.tail_sums[:] += total.tail_counts[:, None] * table.shift.astype(np.float64)
    return total


def _range_sums(table: NodeTable, samples: Floats, start: int, stop: int) -> NodeSums:
    """Add a range of samples to their nearest nodes, and ask no more."""
    part, pair = NodeSums.empty(*table.nodes.shape), (table.shift, table.groups)
    sound = sum_samples(samples, start, stop, pair, part.sums, part.counts)
    require_sound(sound, samples)
    return part


def _block_sums(query: NodeQuery, table: NodeTable, block: SampleBlock) -> NodeSums:
    """Add one block's samples to their nearest nodes, with tails and worst samples."""
    size, count = block.values.shape[1], block.count
    index, best = np.empty((1, size), np.int32), np.empty((1, size), np.float32)
    find_nearest(block.values, table.groups, best, index)
    part, node, squared = NodeSums.empty(*table.nodes.shape), index[0, :count], np.empty(count)
    add_samples(block.values, node, part.sums, part.counts)
    squared_distances(block.values, table.nodes, node, squared)
    if query.tail is not None:
        _add_tail(block.values, node, squared, query.tail, part)
    if query.worst:
        order = np.argsort(-squared, kind="stable")[: query.worst]
        part = with_worst(part, block.values[:, order].T + table.shift, squared[order])
    return part


def _add_tail(
    values: Floats, node: NDArray[np.int32], squared: Sums, tail: Sums, part: NodeSums
) -> None:
    """Add squared errors, and the samples that lie in their node's tail."""
    part.errors[:] += np.bincount(node, squared, len(tail))
    far = np.flatnonzero(squared > tail[node])
    if len(far):
        add_samples(
            np.ascontiguousarray(values[:, far]), node[far], part.tail_sums, part.tail_counts
        )
        part.tail_errors[:] += np.bincount(node[far], squared[far], len(tail))


def errors_of(samples: Floats, weights: Floats, lattice: Lattice, threads: int = 1) -> MapErrors:
    """Measure how well nodes represent one item's samples (n, f), finite, any strides."""
    table = node_table(weights)
    nodes, near = len(table.nodes), lattice.neighbours
    if nodes == 1:  # a lone node misses nothing
        near = np.ones((1, 1), dtype=np.bool_)
    paired = nodes if 1 < nodes <= MOST_PAIRED else 0
    pairs, lock = np.zeros(paired * paired, np.int64), Lock()

    def one(block: SampleBlock) -> MapErrors:
        size, count = block.values.shape[1], block.count
        index, best = np.empty((2, size), np.int32), np.empty((2, size), np.float32)
        find_two_nearest(block.values, table.groups, best, index)
        squared, distances = np.empty(count), np.zeros(nodes)
        squared_distances(block.values, table.nodes, index[0, :count], squared)
        counts = np.zeros((2, nodes), np.int64)
        add_errors(index, squared, near, counts, distances)
        if paired:
            two = np.bincount(index[0, :count] * paired + index[1, :count], minlength=pairs.size)
            with lock:  # whole numbers: the order in which threads come does not matter
                pairs[:] += two
        return MapErrors(counts[0], distances, counts[1])

    total = merge_errors(map_packed(one, samples, table.shift, threads))
    return replace(total, pairs=pairs.reshape(paired, paired))


def nearest_nodes(samples: Floats, weights: Floats, threads: int = 1) -> NDArray[np.int32]:
    """Return the nearest of the nodes (k, f) for each sample (n, f); ties go to the lower number.

    Args:
        samples: finite, any strides; n may be 0.
        weights: nodes in the samples' units.
        threads: worker threads; the result does not depend on them.

    Raises:
        ShapeError: other number of features, or values that are not finite.
    """
    if not len(samples):
        return np.zeros(0, np.int32)
    table = node_table(weights)
    pair = (table.shift, table.groups)

    def one(part: Floats, start: int, stop: int) -> NDArray[np.int32]:
        nodes = np.empty(stop - start, np.int32)
        require_sound(assign_samples(part, start, pair, nodes), samples)
        return nodes

    return np.concatenate(map_ranges(one, samples, len(table.shift), threads, 8 * BLOCK))


def nodes_and_distances(
    samples: Floats, weights: Floats, threads: int = 1
) -> tuple[NDArray[np.int32], Floats]:
    """Return the nearest node (n,) int32 of each sample and the distance to it (n,) float32.

    Args, errors and ties as `nearest_nodes`.
    """
    if not len(samples):
        return np.zeros(0, np.int32), np.zeros(0, np.float32)
    table = node_table(weights)

    def one(block: SampleBlock) -> tuple[NDArray[np.int32], Floats]:
        size, count = block.values.shape[1], block.count
        index, best = np.empty((1, size), np.int32), np.empty((1, size), np.float32)
        find_nearest(block.values, table.groups, best, index)
        squared = np.empty(count)
        squared_distances(block.values, table.nodes, index[0, :count], squared)
        return index[0, :count], np.sqrt(squared).astype(np.float32)

    parts = map_packed(one, samples, table.shift, threads)
    return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])


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

    def errors(self, weights: Floats, lattice: Lattice) -> MapErrors:
        """Return hits, distances and misses of all samples."""
        return errors_of(self._samples, weights, lattice, self._threads)
