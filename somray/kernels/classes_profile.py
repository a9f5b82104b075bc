"""What the nodes of a codebook look like on the reference: shares, means and spreads per feature."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["NodeProfile", "profile_groups"]


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


def profile_groups(
    standardised: NDArray[np.float32],
    group: NDArray[np.intp] | NDArray[np.int32],
    count: int,
    center: NDArray[np.float32],
    scale: NDArray[np.float32],
) -> NodeProfile:
    """Summarise standardised features (f, n) over groups of pixels, in pixel order, in float64.

    Args:
        standardised: (f, n) float32.
        group: (n,) group of each pixel, 0 to count - 1.
        count: how many groups there are.
        center: (f,) of the standardisation.
        scale: (f,) of the standardisation.
    """
    pixels = np.bincount(group, minlength=count).astype(np.float64)
    empty = pixels == 0
    divisor = np.where(empty, np.nan, pixels)
    means, stds = [], []
    for line in standardised:
        value = line.astype(np.float64)
        mean = np.bincount(group, value, count) / divisor
        power = np.bincount(group, (value - np.nan_to_num(mean)[group]) ** 2, count) / divisor
        means.append(mean)
        stds.append(np.sqrt(power))
    return NodeProfile(
        pixels / max(pixels.sum(), 1.0),
        np.stack(means, axis=1),
        np.stack(stds, axis=1),
        center.astype(np.float64),
        scale.astype(np.float64),
    )
