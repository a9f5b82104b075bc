"""Where the nodes of a map stand: rectangular or hexagonal, planar or joined to a torus.

Nodes are numbered row by row. On a hexagonal lattice every odd row is shifted by half a step and rows
lie √3/2 apart, so that a node's six neighbours are one step away. Distances are Euclidean on the
lattice; on a torus they take the shorter way round.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from somray.errors import ShapeError

__all__ = ["TOPOLOGIES", "Lattice"]

TOPOLOGIES = ("rectangular", "hexagonal")

ROW_STEP = float(np.sqrt(0.75))
"""Distance between the rows of a hexagonal lattice, in steps."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Lattice:
    """A grid of nodes with its topology.

    Args:
        grid: rows and columns.
        topology: "rectangular" (eight neighbours) or "hexagonal" (six).
        wraps: whether opposite sides are joined (a torus).

    Raises:
        ShapeError: sides below 1, unknown topology, or a hexagonal torus of an odd number of rows,
            whose first and last row would be shifted alike.
    """

    grid: tuple[int, int]
    topology: str = "rectangular"
    wraps: bool = False

    def __post_init__(self) -> None:
        """Refuse a grid that does not exist."""
        if len(self.grid) != 2 or min(self.grid) < 1:
            raise ShapeError(f"not usable: grid {self.grid}; rows and columns must be 1 or more")
        if self.topology not in TOPOLOGIES:
            raise ShapeError(f"unknown topology {self.topology!r}; known: {', '.join(TOPOLOGIES)}")
        if self.wraps and self.topology == "hexagonal" and self.grid[0] % 2 and self.grid[0] > 1:
            raise ShapeError(
                f"a hexagonal torus needs an even number of rows, got grid {self.grid}"
            )

    @property
    def nodes(self) -> int:
        """Number of nodes."""
        return self.grid[0] * self.grid[1]

    @cached_property
    def positions(self) -> Floats:
        """Place (k, 2) of each node as (row, column) in steps."""
        row, column = np.divmod(np.arange(self.nodes), self.grid[1])
        if self.topology == "rectangular":
            return np.stack([row, column], axis=1).astype(np.float64)
        return np.stack([row * ROW_STEP, column + 0.5 * (row % 2)], axis=1)

    @cached_property
    def squared_distances(self) -> Floats:
        """Squared distance (k, k) between every two nodes, in steps."""
        apart = np.abs(self.positions[:, None] - self.positions[None])
        if self.wraps:
            step = ROW_STEP if self.topology == "hexagonal" else 1.0
            around = np.array([self.grid[0] * step, float(self.grid[1])])
            apart = np.minimum(apart, np.abs(around - apart))
        return np.asarray((apart**2).sum(axis=2))

    @cached_property
    def neighbours(self) -> NDArray[np.bool_]:
        """Whether two nodes (k, k) are next to each other; no node is its own neighbour."""
        reach = 2.0 if self.topology == "rectangular" else 1.0
        near = self.squared_distances <= reach + 1e-9
        np.fill_diagonal(near, False)
        return near

    def spread(self, values: Floats, radius: float) -> Floats:
        """Add to each node's values those of its neighbourhood, weighted by a Gaussian.

        Args:
            values: (k, v) float64, one row per node.
            radius: standard deviation of the Gaussian, in steps.

        Returns:
            (k, v) float64. Sums run in a fixed order that does not hang on the BLAS in use.
        """
        # einsum without `optimize` is a plain loop.
        if self.topology == "hexagonal":
            return np.asarray(np.einsum("ab,bv->av", _bell(self.squared_distances, radius), values))
        rows, columns = (self._side(size, radius) for size in self.grid)
        half = np.einsum("ar,rcv->acv", rows, values.reshape(*self.grid, -1))
        return np.asarray(np.einsum("bc,acv->abv", columns, half).reshape(values.shape))

    def _side(self, size: int, radius: float) -> Floats:
        """Gaussian between the positions along one side: a rectangular lattice is separable."""
        place = np.arange(size, dtype=np.float64)
        apart = np.abs(place[:, None] - place[None])
        if self.wraps:
            apart = np.minimum(apart, size - apart)
        return _bell(apart**2, radius)


def _bell(squared: Floats, radius: float) -> Floats:
    return np.asarray(np.exp(squared / (-2.0 * radius**2)))
