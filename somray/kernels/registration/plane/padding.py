"""Padding: what a slice was filled up with, which is not data.

Resampled, turned and cut slices are filled with one value from their rim inwards. Its straight edges are
the strongest structure there is and belong to no anatomy, so that they would be aligned with one another.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["padding"]

_FLAT_SIDE = 5  # pixels: noise does not repeat one value over a square of this side
_LEAST_LEFT = 0.05  # of the pixels must remain, else the fill is what the slice shows


def padding(values: NDArray[np.floating]) -> NDArray[np.bool_] | None:
    """Find areas of exactly one value that reach the rim.

    Args:
        values: (y, x), finite.

    Returns:
        (y, x) bool, or None where there is no padding.
    """
    if min(values.shape) <= _FLAT_SIDE or not _has_flat_rim(values):
        return None
    square = np.ones((_FLAT_SIDE, _FLAT_SIDE), dtype=np.uint8)
    highest, lowest = cv2.dilate(values, square), cv2.erode(values, square)
    flat = (np.asarray(highest) == np.asarray(lowest)).astype(np.uint8)
    _, regions = cv2.connectedComponents(flat, connectivity=4, ltype=cv2.CV_32S)
    rim = np.unique(np.concatenate([regions[0], regions[-1], regions[:, 0], regions[:, -1]]))
    outer = np.isin(regions, rim[rim > 0]).astype(np.uint8)
    filled = np.asarray(cv2.dilate(outer, square)) > 0
    share = float(filled.mean())
    return filled if 0.0 < share <= 1.0 - _LEAST_LEFT else None


def _has_flat_rim(values: NDArray[np.floating]) -> bool:
    """Tell whether one value repeats along the rim: what most slices are spared the search by."""
    for line in (values[0], values[-1], values[:, 0], values[:, -1]):
        same = (line[1:] == line[:-1]).astype(np.uint8)
        if np.convolve(same, np.ones(_FLAT_SIDE - 1)).max() >= _FLAT_SIDE - 1:
            return True
    return False
