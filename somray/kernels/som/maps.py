"""Maps of a fitted map: how far nodes lie from their neighbours, and how often each was hit."""

import numpy as np
from numpy.typing import NDArray

from somray.domain.teacher import Codebook
from somray.errors import ShapeError
from somray.kernels.som.arrays import measure
from somray.kernels.som.lattice import Lattice

__all__ = ["hit_map", "quantization_error", "topographic_error", "u_matrix"]


def lattice_of(codebook: Codebook) -> Lattice:
    """Return where a codebook's nodes stand."""
    return Lattice(codebook.grid, codebook.topology, codebook.wraps)


def u_matrix(codebook: Codebook) -> NDArray[np.float64]:
    """Return each node's mean distance to its neighbours on the lattice.

    Args:
        codebook: any topology; eight neighbours on a rectangular lattice, six on a hexagonal one,
            fewer on the rim of a planar map.

    Returns:
        (rows, columns) float64, in the units of the samples (not scaled to a maximum of 1); 0 for a
        lone node.

    Source: A. Ultsch and H. P. Siemon, "Kohonen's self organizing feature maps for exploratory data
    analysis", INNC 1990.
    """
    nodes = codebook.weights.astype(np.float64)
    near = lattice_of(codebook).neighbours
    total = np.zeros(len(nodes))
    for node, neighbours in enumerate(near):
        if neighbours.any():
            total[node] = np.sqrt(((nodes[neighbours] - nodes[node]) ** 2).sum(axis=1)).mean()
    return total.reshape(codebook.grid)


def hit_map(codebook: Codebook) -> NDArray[np.int64]:
    """Return how many samples of the fit were nearest to each node, (rows, columns) int64.

    Raises:
        ShapeError: the codebook holds no hits.
    """
    if codebook.hits is None:
        raise ShapeError("the codebook holds no hits: measure it on samples first")
    return codebook.hits.reshape(codebook.grid)


def quantization_error(samples: NDArray[np.float32], codebook: Codebook, threads: int = 1) -> float:
    """Return the mean distance of samples (n, f) to their nearest nodes."""
    found = measure(samples, codebook.weights, lattice_of(codebook), threads)
    return float(found.quantization_error or 0.0)


def topographic_error(samples: NDArray[np.float32], codebook: Codebook, threads: int = 1) -> float:
    """Return the share of samples (n, f) whose two nearest nodes are not neighbours.

    Neighbours are eight on a rectangular lattice (as minisom counts), six on a hexagonal one.

    Source: K. Kiviluoto, "Topology preservation in self-organizing maps", ICNN 1996.
    """
    found = measure(samples, codebook.weights, lattice_of(codebook), threads)
    return float(found.topographic_error or 0.0)
