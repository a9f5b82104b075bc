"""Where the nodes of a map begin: spread over the samples' main plane, drawn, or given."""

import numpy as np
from numpy.typing import NDArray

from somray.domain.teacher import Codebook
from somray.errors import ShapeError
from somray.kernels.som.lattice import Lattice
from somray.kernels.som.passes import Moments, Passes

__all__ = ["STARTS", "first_nodes", "spread_start"]

STARTS = ("pca", "samples")

REACH = 1.5
"""How far the first map reaches along the main directions, in standard deviations."""

Floats = NDArray[np.float32]


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
