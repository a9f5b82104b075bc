"""What pretraining learns from: images with what is told of each pixel, one scan's part at a time."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from somray.errors import ShapeError
from somray.kernels.student.views import Window

__all__ = ["NO_NODE", "PieceSource", "TaughtPiece"]

NO_NODE = -1
"""Where a pixel has no node, for want of data."""


@dataclass(frozen=True, eq=False)
class TaughtPiece:
    """A slice or a volume.

    Args:
        values: (c, [z,] y, x) float32 physical values, NaN where there is no data.
        nodes: (k, [z,] y, x) int16, the node of each pixel in each of k codebooks; `NO_NODE` where there is none.
        features: (f, [z,] y, x) float16, features on the teacher's scale; NaN where there are none.
        windows: per channel (low, high), of this scan.

    Raises:
        ShapeError: the arrays do not fit each other.
    """

    values: NDArray[np.float32]
    nodes: NDArray[np.int16]
    features: NDArray[np.float16]
    windows: tuple[Window, ...]

    def __post_init__(self) -> None:
        """Refuse arrays that do not fit each other."""
        shape = self.values.shape[1:]
        if self.nodes.shape[1:] != shape or self.features.shape[1:] != shape:
            raise ShapeError(
                f"a piece of {shape} needs nodes and features alike, got {self.nodes.shape} and "
                f"{self.features.shape}"
            )
        if len(self.windows) != len(self.values):
            raise ShapeError(
                f"{len(self.values)} channels need a window each, got {len(self.windows)}"
            )


class PieceSource(Protocol):
    """Many pieces, of which few are held at a time."""

    def __len__(self) -> int:
        """Count the pieces."""

    def read(self, number: int) -> TaughtPiece:
        """Read one, the same every time."""

    def digest(self) -> str:
        """Name all that they hold."""
