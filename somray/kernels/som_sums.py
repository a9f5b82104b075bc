"""The inner loops of a pass beside the search: packing samples, sums per node, moments.

Samples come as feature-major blocks (f, b) float32, shifted near the origin and padded to whole vectors
by repeating the last sample. A block is worked on by one thread from its first sample to its last, and
sums are float64: their order never changes.
"""

import numpy as np
from numpy.typing import NDArray

from somray.kernels.compiled import compiled

__all__ = ["LARGEST", "add_moments", "add_samples", "pack", "squared_distances"]

LARGEST = np.float32(1e15)
"""Values beyond this are refused: products of several would leave float32."""

STRAND = 64
"""Sums that run side by side in `add_moments`, so that the machine's vectors are filled."""

Floats = NDArray[np.float32]
Nodes = NDArray[np.int32]
Sums = NDArray[np.float64]


@compiled
def pack(samples: Floats, start: int, stop: int, shift: Floats, block: Floats) -> bool:
    """Write samples [start, stop) of (n, f), minus `shift`, feature-major into a block (f, b).

    Returns:
        Whether every value is a number, and no sample's add up beyond `LARGEST`.
    """
    count, size = stop - start, block.shape[1]
    total = np.zeros(count, dtype=np.float32)
    begin = np.uint64(start)  # unsigned: a place that may be negative keeps the loop from vectors
    for f in range(len(block)):
        line, move = block[f], shift[f]
        for i in range(count):
            value = samples[begin + np.uint64(i), f] - move
            line[i] = value
            total[i] += abs(value)
        for i in range(count, size):
            line[i] = line[count - 1]
    usable = True
    for i in range(count):
        usable &= total[i] <= LARGEST  # false for NaN
    return usable


@compiled
def add_samples(block: Floats, index: Nodes, sums: Sums, counts: NDArray[np.int64]) -> None:
    """Add samples of a block to their nodes' sums (k, f) and counts (k,), as many as have a node."""
    features = len(block)
    for i in range(len(index)):
        node = index[i]
        counts[node] += 1
        for f in range(features):
            sums[node, f] += block[f, i]


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
