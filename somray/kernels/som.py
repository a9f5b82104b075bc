"""Batch self-organizing map: fit, accumulate, merge, assign, errors.

A fit is a fold: every epoch adds each sample to its nearest node (`accumulate`), merges the partial
sums in block order (`merge`) and moves the nodes to the neighbourhood-weighted means (`update`). Blocks
depend on the number of samples alone, so the same bits come out on any number of threads or workers.

Source: T. Kohonen, "Essentials of the self-organizing map", Neural Networks 37, 2013 (batch form).
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from somray.domain.teacher import Codebook
from somray.errors import ShapeError
from somray.kernels.som_dead import relocate, reseed
from somray.kernels.som_search import add_block, find_nearest, find_two_nearest
from somray.kernels.som_start import sampled_start, spread_start

__all__ = [
    "NodeSums",
    "Training",
    "accumulate",
    "assign",
    "checked_samples",
    "fit",
    "measure",
    "merge",
    "nearest_two",
    "update",
]

BLOCK = 8192
"""Samples per partial sum; part of what fixes the bits of a fit."""

FINAL_RADIUS = 0.3
"""Neighbourhood radius of the last epoch, in grid steps (bench_teacher: error against topology)."""

LATE = 0.7
"""Share of the epochs after which nodes are moved to where they are missing."""

Block = TypeVar("Block")
Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class NodeSums:
    """What one pass over samples leaves: a partial of the fold.

    Args:
        sums: (k, f) float64, samples added up per node.
        counts: (k,) int64, samples per node.
        error: distances of samples to their nodes, added up.
    """

    sums: NDArray[np.float64]
    counts: NDArray[np.int64]
    error: float


def checked_samples(samples: Floats, features: int | None = None) -> None:
    """Refuse samples that are not a finite (n, f) array with n > 0.

    Raises:
        ShapeError: wrong dimensions, wrong number of features, or values that are not finite.
    """
    if samples.ndim != 2 or samples.shape[0] == 0 or samples.shape[1] == 0:
        raise ShapeError(f"samples must be (n, f) with n, f > 0, got shape {samples.shape}")
    if features is not None and samples.shape[1] != features:
        raise ShapeError(f"samples have {samples.shape[1]} features, the codebook has {features}")
    finite = np.isfinite(samples).all(axis=1)
    if not finite.all():
        bad = int(np.argmin(finite))
        raise ShapeError(
            f"{int((~finite).sum())} of {len(samples)} samples hold NaN or infinite values, the "
            f"first is row {bad}; leave pixels without data out"
        )


def _blocks(samples: Floats) -> Iterator[Floats]:
    """Cut samples (n, f) into feature-major blocks (f, b)."""
    for start in range(0, len(samples), BLOCK):
        yield np.ascontiguousarray(samples[start : start + BLOCK].T, dtype=np.float32)


def _map_blocks(work: Callable[[Floats], Block], samples: Floats, threads: int) -> list[Block]:
    """Apply `work` to every block, results in block order."""
    if threads < 1:
        raise ShapeError(f"threads must be 1 or more, got {threads}")
    if threads == 1 or len(samples) <= BLOCK:
        return [work(block) for block in _blocks(samples)]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, _blocks(samples)))


def accumulate(samples: Floats, weights: Floats, threads: int = 1) -> NodeSums:
    """Add every sample to its nearest node.

    Args:
        samples: (n, f) float32, finite, any strides.
        weights: (k, f) float32 nodes.
        threads: worker threads; the result does not depend on them.

    Returns:
        Sums, counts and summed distance; merge partials of further samples with `merge`.

    Raises:
        ShapeError: if the feature counts differ.

    Cost: O(n k f) time, O(k f) memory per block.
    """
    if samples.ndim != 2 or samples.shape[1] != weights.shape[1]:
        raise ShapeError(f"samples {samples.shape} do not fit nodes {weights.shape}")

    def one(block: Floats) -> NodeSums:
        index, best = np.empty(block.shape[1], np.int32), np.empty(block.shape[1], np.float32)
        find_nearest(block, weights, index, best)
        sums, counts = np.zeros(weights.shape), np.zeros(len(weights), dtype=np.int64)
        error = add_block(block, index, best, sums, counts)
        return NodeSums(sums, counts, error)

    nothing = NodeSums(np.zeros(weights.shape), np.zeros(len(weights), dtype=np.int64), 0.0)
    return merge([nothing, *_map_blocks(one, samples, threads)])


def merge(partials: Sequence[NodeSums]) -> NodeSums:
    """Add partial sums in the order given; that order decides the last bits."""
    if not partials:
        raise ShapeError("there is no partial sum to merge")
    sums, counts, error = partials[0].sums.copy(), partials[0].counts.copy(), partials[0].error
    for partial in partials[1:]:
        sums += partial.sums
        counts += partial.counts
        error += partial.error
    return NodeSums(sums, counts, error)


def _neighbourhood(size: int, radius: float) -> NDArray[np.float64]:
    """Gaussian weights between the positions along one side of the grid."""
    position = np.arange(size, dtype=np.float64)
    return np.exp(-((position[:, None] - position[None, :]) ** 2) / (2.0 * radius**2))


def update(weights: Floats, total: NodeSums, grid: tuple[int, int], radius: float) -> Floats:
    """Move the nodes to the means of what they and their neighbours won.

    Args:
        weights: (k, f) float32 before; a node out of reach of all samples stays where it is.
        total: merged sums of one epoch.
        grid: rows and columns.
        radius: standard deviation of the Gaussian neighbourhood, in grid steps.

    Returns:
        (k, f) float32 nodes.
    """
    rows, columns = _neighbourhood(grid[0], radius), _neighbourhood(grid[1], radius)
    both = np.concatenate([total.sums, total.counts[:, None].astype(np.float64)], axis=1)
    # einsum without `optimize` is a plain loop: its order does not hang on the BLAS in use.
    spread = np.einsum("ar,rcf->acf", rows, both.reshape(*grid, -1))
    spread = np.einsum("bc,acf->abf", columns, spread).reshape(len(weights), -1)
    share = spread[:, -1:]
    reached = share > 1e-12
    means = spread[:, :-1] / np.where(reached, share, 1.0)
    return np.where(reached, means, weights).astype(np.float32)


@dataclass(frozen=True)
class Training:
    """How a map is trained.

    Args:
        start: "pca" lays the map over the two main directions of the samples, "samples" on a draw.
        final_radius: neighbourhood radius of the last epoch, in grid steps.
        rare: whether late epochs move the least needed node to where samples are represented worst,
            so that a small regime far from all others gets a node of its own.
    """

    start: str = "pca"
    final_radius: float = FINAL_RADIUS
    rare: bool = False


def fit(
    samples: Floats,
    grid: tuple[int, int] = (10, 10),
    seed: int = 0,
    epochs: int = 20,
    training: Training | None = None,
    threads: int = 1,
) -> Codebook:
    """Fit a batch SOM.

    Args:
        samples: (n, f) float32, finite, any strides; distances are Euclidean in these units.
        grid: rows and columns of the map.
        seed: draws the first nodes where the training starts on a draw; else nothing is drawn.
        epochs: passes over all samples, with a neighbourhood that shrinks from half the grid.
        training: start, final radius and care for rare samples; the defaults where left out.
        threads: worker threads; the result does not depend on them.

    Returns:
        Codebook with hits, quantization and topographic error.

    Raises:
        ShapeError: samples, grid, epochs, training or threads are not usable.
    """
    samples = np.asarray(samples)
    checked_samples(samples)
    how = training or Training()
    if min(grid) < 1 or epochs < 1 or how.start not in ("pca", "samples") or how.final_radius <= 0:
        raise ShapeError(f"not usable: grid {grid}, epochs {epochs}, {how}")
    weights = spread_start(_blocks(samples), grid)
    if how.start == "samples":
        weights = sampled_start(samples, grid, seed)
    first = max(max(grid) / 2.0, how.final_radius)
    for epoch in range(epochs):
        progress = epoch / max(epochs - 1, 1)
        total = accumulate(samples, weights, threads)
        radius = first * (how.final_radius / first) ** progress
        weights = update(weights, total, grid, radius)
        # Early on, nodes without samples are the neighbourhood's doing and come back by themselves.
        if LATE <= progress < 1.0:
            index, best = nearest_two(samples, weights, threads)
            weights = reseed(samples, weights, index[0], best[0])
            if how.rare and len(weights) > 2:
                weights = relocate(samples, weights, index[0], best[0])
    return measure(samples, weights, grid, threads)


def nearest_two(
    samples: Floats, weights: Floats, threads: int = 1
) -> tuple[NDArray[np.int32], Floats]:
    """Return the two nearest nodes (2, n) of each sample and the squared distances (2, n)."""

    def one(block: Floats) -> tuple[NDArray[np.int32], Floats]:
        shape = (2, block.shape[1])
        index, best = np.empty(shape, np.int32), np.empty(shape, np.float32)
        find_two_nearest(block, weights, index, best)
        return index, best

    parts = _map_blocks(one, samples, threads)
    return np.concatenate([p[0] for p in parts], 1), np.concatenate([p[1] for p in parts], 1)


def measure(
    samples: Floats,
    weights: Floats,
    grid: tuple[int, int],
    threads: int = 1,
) -> Codebook:
    """Wrap nodes into a Codebook with its hits and errors on the samples.

    Nodes count as neighbours on the eight positions around a node (as minisom counts).
    """
    weights = np.ascontiguousarray(weights, dtype=np.float32)
    index, best = nearest_two(samples, weights, threads)
    apart = np.maximum(
        np.abs(index[0] // grid[1] - index[1] // grid[1]),
        np.abs(index[0] % grid[1] - index[1] % grid[1]),
    )
    lone = len(weights) == 1
    return Codebook(
        weights,
        grid,
        hits=np.bincount(index[0], minlength=len(weights)).astype(np.int64),
        quantization_error=float(np.sqrt(best[0].astype(np.float64)).mean()),
        topographic_error=0.0 if lone else float((apart > 1).mean()),
    )


def assign(samples: Floats, codebook: Codebook, threads: int = 1) -> NDArray[np.int32]:
    """Return the nearest node of each sample; ties go to the lower number.

    Args:
        samples: (n, f) finite, any strides; fastest on the transposed view of features.
        codebook: nodes in the samples' units.
        threads: worker threads; the result does not depend on them.

    Returns:
        (n,) int32 node numbers, row-major over the grid.

    Raises:
        ShapeError: not (n, f), other number of features, or values that are not finite.
    """
    samples = np.asarray(samples)
    checked_samples(samples, codebook.weights.shape[1])
    weights = np.ascontiguousarray(codebook.weights, dtype=np.float32)

    def one(block: Floats) -> NDArray[np.int32]:
        index, best = np.empty(block.shape[1], np.int32), np.empty(block.shape[1], np.float32)
        find_nearest(block, weights, index, best)
        return index

    return np.concatenate(_map_blocks(one, samples, threads))
