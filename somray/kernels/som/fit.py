"""Batch self-organizing map: a fit as a fold over passes.

Every epoch adds each sample to its nearest node and moves the nodes to the neighbourhood-weighted means
(`update`). The neighbourhood shrinks to its final radius and stays there until nothing moves.

Source: T. Kohonen, "Essentials of the self-organizing map", Neural Networks 37, 2013 (batch form).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from somray.domain.teacher import Codebook
from somray.errors import ShapeError
from somray.kernels.som.lattice import Lattice
from somray.kernels.som.passes import MapErrors, NodeQuery, NodeSums, Passes
from somray.kernels.som.placement import arranged, first_nodes, relocate, reseed, tail_of

__all__ = ["EPOCHS", "Training", "codebook_of", "fit_passes", "update"]

EPOCHS = 14
"""Passes of a fit (bench_som: within 2 % of pyFlowSOM's quantization error at a lower topographic
error; 10 are not, 20 gain .3 %)."""

FIRST_RADIUS = 0.3
"""First neighbourhood radius as a share of the longer side; wider ones untangle nothing more after a
PCA start and cost epochs (bench_som)."""

FINAL_RADIUS = 0.3
"""Neighbourhood radius of the last epochs, in grid steps: below, the quantization error falls by less
than the topographic error rises (bench_som)."""

SHRINKING = 0.9
"""Share of the epochs in which the neighbourhood shrinks. More epochs at the final radius lower the
quantization error by less than they raise the topographic error (bench_som)."""

LATE = 0.7
"""Share of the epochs after which nodes are moved to where they are missing, until the neighbourhood has
shrunk: the last epochs settle. Earlier, nodes without samples are the neighbourhood's doing."""

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Training:
    """How a map is trained.

    Args:
        start: "pca" lays the map over the two main directions of the samples, "samples" on a draw; a
            codebook or nodes (k, f) are gone on from, with the final radius throughout, so that nodes
            keep their places.
        final_radius: neighbourhood radius of the last epochs, in grid steps.
        rare: whether late epochs move the least needed node to where samples are represented worst,
            so that a small regime far from all others gets a node of its own; nodes then get their
            places on the lattice anew (`arranged`), unless they are gone on from. Without it the
            neighbourhood of the last epochs holds them where they are.
        topology: "rectangular" or "hexagonal".
        wraps: whether the map is a torus.
        tolerance: the fit ends early once the radius is final and no node moved further than this,
            in units of the samples' spread (root of the summed variances).
    """

    start: str | Codebook | Floats = "pca"
    final_radius: float = FINAL_RADIUS
    rare: bool = False
    topology: str = "rectangular"
    wraps: bool = False
    tolerance: float = 1e-3


def fit_passes(
    passes: Passes,
    grid: tuple[int, int] = (10, 10),
    seed: int = 0,
    epochs: int = EPOCHS,
    training: Training | None = None,
) -> Codebook:
    """Fit a batch SOM to a source of samples.

    Args:
        passes: the source; distances are Euclidean in its units.
        grid: rows and columns of the map.
        seed: draws the first nodes where the training starts on a draw; else nothing is drawn.
        epochs: passes over all samples at most; one more for moments and one for the errors.
        training: the defaults where left out.

    Returns:
        Codebook with hits, quantization and topographic error, and the epochs that were run.

    Raises:
        ShapeError: grid, epochs or training are not usable.
    """
    how = training or Training()
    lattice = Lattice(grid, how.topology, how.wraps)
    if epochs < 1 or not how.final_radius > 0 or not how.tolerance >= 0:
        raise ShapeError(f"not usable: epochs {epochs}, {how}")
    moments = passes.moments()
    weights = first_nodes(how.start, passes, moments, lattice, seed)
    still = how.tolerance * float(np.sqrt((moments.deviation**2).sum()))
    before, done = None, 0
    for epoch, radius in enumerate(_radii(how, lattice, epochs)):
        total = passes.node_sums(_query(weights, before, how.rare, epoch, epochs))
        moved = update(weights, total, lattice, radius)
        if _is_late(epoch, epochs):
            moved = reseed(moved, total)
            moved = relocate(moved, total) if how.rare else moved
        step = float(np.sqrt(((moved.astype(np.float64) - weights) ** 2).sum(axis=1).max()))
        weights, before, done = moved, total, epoch + 1
        if radius == how.final_radius and step <= still:
            break
    errors = passes.errors(weights, lattice)
    if how.rare and isinstance(how.start, str):
        weights, errors = arranged(weights, errors, lattice)
    return codebook_of(weights, lattice, errors, done)


def _radii(how: Training, lattice: Lattice, epochs: int) -> list[float]:
    """Return the neighbourhood radius of each epoch."""
    if not isinstance(how.start, str):
        return [how.final_radius] * epochs
    first = max(FIRST_RADIUS * max(lattice.grid), how.final_radius)
    shrinking = max(round(SHRINKING * epochs), 1)
    shares = [min(epoch / max(shrinking - 1, 1), 1.0) for epoch in range(epochs)]
    return [
        how.final_radius if share == 1.0 else first * (how.final_radius / first) ** share
        for share in shares
    ]


def _is_late(epoch: int, epochs: int) -> bool:
    """Say whether nodes are moved to where they are missing after this epoch."""
    return LATE * (epochs - 1) <= epoch < min(SHRINKING * epochs, epochs - 1)


def _query(
    weights: Floats, before: NodeSums | None, rare: bool, epoch: int, epochs: int
) -> NodeQuery:
    """Ask for what late moves need, by what the epoch before has shown."""
    late = _is_late(epoch, epochs)
    tail = None
    if rare and (late or _is_late(epoch + 1, epochs)):  # the epoch before gives the tail's limits
        known = before is not None and before.errors.any()
        tail = tail_of(before) if before is not None and known else np.full(len(weights), np.inf)
    dead = int((before.counts == 0).sum()) if late and before is not None else 0
    return NodeQuery(weights, tail, dead)


def update(weights: Floats, total: NodeSums, lattice: Lattice, radius: float) -> Floats:
    """Move the nodes to the means of what they and their neighbours won.

    Args:
        weights: (k, f) float32 before; a node out of reach of all samples stays where it is.
        total: merged sums of one epoch.
        lattice: of the map.
        radius: standard deviation of the Gaussian neighbourhood, in grid steps.

    Returns:
        (k, f) float32 nodes.
    """
    both = np.concatenate([total.sums, total.counts[:, None].astype(np.float64)], axis=1)
    spread = lattice.spread(both, radius)
    share = spread[:, -1:]
    reached = share > 1e-12
    means = spread[:, :-1] / np.where(reached, share, 1.0)
    return np.where(reached, means, weights).astype(np.float32)


def codebook_of(
    weights: Floats, lattice: Lattice, errors: MapErrors, epochs_run: int | None = None
) -> Codebook:
    """Wrap nodes and what was measured of them into a Codebook."""
    return Codebook(
        np.ascontiguousarray(weights, dtype=np.float32),
        lattice.grid,
        lattice.topology,
        hits=errors.hits,
        quantization_error=errors.quantization_error,
        topographic_error=errors.topographic_error,
        wraps=lattice.wraps,
        epochs_run=epochs_run,
    )
