"""The fused inner loop of direct transfer: nearest node, its class, and how sure that is."""

import math

import numpy as np
from numpy.typing import NDArray

from somray.kernels.compiled import compiled
from somray.kernels.som_search import node_distances

__all__ = ["find_classes"]

Floats = NDArray[np.float32]
Labels = NDArray[np.uint8]


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
