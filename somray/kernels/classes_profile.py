"""What the nodes of a codebook look like on the reference: shares, means and spreads per feature."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["NodeProfile"]


@dataclass(frozen=True, eq=False)
class NodeProfile:
    """Statistics of the reference's pixels per node (or per class).

    Args:
        share: (k,) share of the pixels; 0 for a node that won none.
        mean: (k, f) means of the standardised features; NaN for a node that won none.
        std: (k, f) spreads about them.
        center: (f,) what standardising subtracted.
        scale: (f,) what it divided by.
    """

    share: NDArray[np.float64]
    mean: NDArray[np.float64]
    std: NDArray[np.float64]
    center: NDArray[np.float64]
    scale: NDArray[np.float64]

    def raw(self, feature: int) -> NDArray[np.float64]:
        """Return a feature's means in its own unit, before standardising."""
        return np.asarray(self.mean[:, feature] * self.scale[feature] + self.center[feature])
