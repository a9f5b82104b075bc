"""The inner loops of the map: which node is nearest to each sample, and sums per node.

Samples come as feature-major blocks (f, b) float32, so that the loops run along samples. A distance
is the sum of squared differences: the shorter form through scalar products loses digits where
samples lie far from the origin. Every function is a pure loop without the interpreter's lock; a block
is worked on by one thread from its first sample to its last, so sums keep their order.

All loops that call one another live in this file: numba notices a change of the file that a cached
loop stands in, not of what it calls elsewhere.
"""

import math

import numpy as np
from numpy.typing import NDArray

from somray.kernels.compiled import compiled, compiled_contracting

__all__ = [
    "add_block",
    "add_moments",
    "find_classes",
    "find_nearest",
    "find_two_nearest",
    "node_distances",
]

Floats = NDArray[np.float32]
Nodes = NDArray[np.int32]
Sums = NDArray[np.float64]
Labels = NDArray[np.uint8]


@compiled_contracting
def node_distances(block: Floats, node: Floats, line: Floats) -> None:
    """Write each sample's squared distance to one node; five features at a time."""
    count, size = block.shape
    line[:] = 0.0
    whole = count - count % 5
    for f in range(0, whole, 5):
        a, b, c, d, e = block[f], block[f + 1], block[f + 2], block[f + 3], block[f + 4]
        p, q, r, s, t = node[f], node[f + 1], node[f + 2], node[f + 3], node[f + 4]
        for i in range(size):
            total = line[i] + (a[i] - p) * (a[i] - p)
            total += (b[i] - q) * (b[i] - q)
            total += (c[i] - r) * (c[i] - r)
            total += (d[i] - s) * (d[i] - s)
            total += (e[i] - t) * (e[i] - t)
            line[i] = total
    for f in range(whole, count):
        a, p = block[f], node[f]
        for i in range(size):
            line[i] += (a[i] - p) * (a[i] - p)


@compiled
def find_nearest(block: Floats, weights: Floats, index: Nodes, best: Floats) -> None:
    """Write the nearest node of each sample of (f, b) and its squared distance; ties to the first."""
    size = block.shape[1]
    line = np.empty(size, dtype=np.float32)
    best[:] = math.inf
    index[:] = 0
    for node in range(len(weights)):
        node_distances(block, weights[node], line)
        number = np.int32(node)
        for i in range(size):
            nearer = line[i] < best[i]
            index[i] = number if nearer else index[i]
            best[i] = line[i] if nearer else best[i]


@compiled
def find_two_nearest(block: Floats, weights: Floats, index: Nodes, best: Floats) -> None:
    """Write the two nearest nodes (2, b) of each sample and their squared distances (2, b)."""
    size = block.shape[1]
    line = np.empty(size, dtype=np.float32)
    best[:] = math.inf
    index[:] = 0
    for node in range(len(weights)):
        node_distances(block, weights[node], line)
        for i in range(size):
            if line[i] < best[0, i]:
                best[1, i], index[1, i] = best[0, i], index[0, i]
                best[0, i], index[0, i] = line[i], node
            elif line[i] < best[1, i]:
                best[1, i], index[1, i] = line[i], node


@compiled
def add_block(block: Floats, index: Nodes, sums: Sums, counts: NDArray[np.int64]) -> None:
    """Add each sample of (f, b) to its node's sums (k, f) and counts (k,)."""
    features, size = block.shape
    for i in range(size):
        node = index[i]
        counts[node] += 1
        for f in range(features):
            sums[node, f] += block[f, i]


@compiled
def add_moments(block: Floats, shift: Sums, first: Sums, second: Sums) -> None:
    """Add sums (f,) and products (f, f) of the samples minus `shift`, in sample order."""
    features, size = block.shape
    for f in range(features):
        for g in range(f + 1):
            total = 0.0
            for i in range(size):
                total += (block[f, i] - shift[f]) * (block[g, i] - shift[g])
            second[f, g] += total
            second[g, f] = second[f, g]
        total = 0.0
        for i in range(size):
            total += block[f, i] - shift[f]
        first[f] += total


@compiled
def find_classes(
    block: Floats, weights: Floats, node_classes: Labels, labels: Labels, confidence: Floats
) -> None:
    """Write the class of the nearest node and its confidence for each sample of (f, b).

    Confidence is (other - own)/(other + own), with the distances to the nearest node of the class and
    to the nearest node of any other class: 0 on the border between classes, 1 on a node.
    """
    size = block.shape[1]
    line = np.empty(size, dtype=np.float32)
    classes = int(node_classes.max()) + 1
    nearest = np.full((classes, size), math.inf, dtype=np.float32)
    for node in range(len(weights)):
        node_distances(block, weights[node], line)
        row = nearest[node_classes[node]]
        for i in range(size):
            row[i] = line[i] if line[i] < row[i] else row[i]
    for i in range(size):
        own, other, label = np.float32(math.inf), np.float32(math.inf), 0
        for value in range(classes):
            distance = nearest[value, i]
            if distance < own:
                own, other, label = distance, own, value
            elif distance < other:
                other = distance
        labels[i] = label
        a, b = math.sqrt(own), math.sqrt(other)
        if math.isinf(b):
            confidence[i] = 1.0
        else:
            confidence[i] = (b - a) / (b + a) if b + a > 0.0 else 0.0
