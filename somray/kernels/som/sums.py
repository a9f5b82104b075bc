"""The inner loops of a pass beside the search: moments, and exact distances.

Samples come as feature-major blocks (f, b) float32, shifted near the origin and padded to whole vectors
by repeating the last sample. A block is worked on by one thread from its first sample to its last, and
sums are float64: their order never changes.
"""

import math

import numpy as np
from numpy.typing import NDArray

from somray.kernels.compiled import compiled

__all__ = ["add_errors", "add_moments", "squared_distances"]

STRAND = 64
"""Sums that run side by side in `add_moments`, so that the machine's vectors are filled."""

Floats = NDArray[np.float32]
Nodes = NDArray[np.int32]
Sums = NDArray[np.float64]


@compiled
def squared_distances(block: Floats, nodes: Floats, index: Nodes, squared: Sums) -> None:
    """Write the squared distance between each sample of a block and its node, in float64."""
    squared[:] = 0.0
    for f in range(len(block)):
        line = block[f]
        for i in range(len(squared)):
            apart = np.float64(line[i]) - np.float64(nodes[index[i], f])
            squared[i] += apart * apart


@compiled
def add_errors(
    two: Nodes, squared: Sums, near: NDArray[np.bool_], counts: NDArray[np.int64], distances: Sums
) -> None:
    """Add hits and misses (2, k) and distances (k,) of samples with their two nearest nodes (2, b).

    A miss is a sample whose two nearest nodes are not neighbours by `near` (k, k).
    """
    for i in range(len(squared)):
        node = two[0, i]
        counts[0, node] += 1
        counts[1, node] += not near[node, two[1, i]]
        distances[node] += math.sqrt(squared[i])


@compiled
def add_moments(block: Floats, count: int, first: Sums, second: Sums) -> None:
    """Add sums (f,) and products (f, f) of the first `count` samples of a block.

    Every strand adds each 64th sample, and the strands are added up in their order.
    """
    features = len(block)
    strands, whole = np.empty(STRAND), count - count % STRAND
    for f in range(features):
        for g in range(-1, f + 1):
            strands[:] = 0.0
            for start in range(0, whole, STRAND):
                for lane in range(STRAND):
                    value = np.float64(block[f, start + lane])
                    strands[lane] += value * (np.float64(block[g, start + lane]) if g >= 0 else 1.0)
            for lane in range(count - whole):
                value = np.float64(block[f, whole + lane])
                strands[lane] += value * (np.float64(block[g, whole + lane]) if g >= 0 else 1.0)
            total = 0.0
            for lane in range(STRAND):
                total += strands[lane]
            if g < 0:
                first[f] += total
            else:
                second[f, g] += total
                second[g, f] = second[f, g]
