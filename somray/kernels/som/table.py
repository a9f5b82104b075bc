"""Nodes arranged for the search: shifted near the origin, in groups that are scored together."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from somray.kernels.som.vectors import GROUP

__all__ = ["NodeTable", "half_squares", "node_groups", "node_table"]

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class NodeTable:
    """Nodes as the scoring loop reads them.

    Args:
        shift: (f,) float32 subtracted from samples and nodes: near the nodes' mean, but a multiple of
            a power of two about as large as their spread, so that subtracting it rounds nothing.
        nodes: (k, f) float32, shifted.
        groups: (g, f + 1, 5) float32: per group of five nodes their values feature by feature, last
            −|w|²/2; missing nodes score −∞.
    """

    shift: Floats
    nodes: Floats
    groups: Floats


def node_table(weights: Floats) -> NodeTable:
    """Arrange nodes (k, f) for `find_nearest`."""
    exact = weights.astype(np.float64)
    spread, mean = np.ptp(exact, axis=0), exact.mean(axis=0)
    unit = np.exp2(np.ceil(np.log2(np.where(spread > 0.0, spread, 1.0))))
    shift = np.where(spread > 0.0, np.round(mean / unit) * unit, exact[0])
    shift = shift.astype(np.float32)
    nodes = (exact - shift).astype(np.float32)
    return NodeTable(shift, nodes, node_groups(nodes))


def node_groups(nodes: Floats) -> Floats:
    """Arrange nodes (k, f) as `NodeTable.groups`."""
    count, features = nodes.shape
    groups = np.zeros((-(-count // GROUP), features + 1, GROUP), dtype=np.float32)
    groups[:, -1] = -np.inf
    place = (np.arange(count) // GROUP, slice(None), np.arange(count) % GROUP)
    groups[place] = np.column_stack([nodes, half_squares(nodes)])
    return groups


def half_squares(nodes: Floats) -> NDArray[np.float64]:
    """Return -|w|²/2 of nodes (k, f): what a node's score x·w - |w|²/2 begins with."""
    return np.asarray(-0.5 * (nodes.astype(np.float64) ** 2).sum(axis=1))
