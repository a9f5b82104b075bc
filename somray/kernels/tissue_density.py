"""What CT's numbers say of a pixel: body or air, soft tissue or not."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import minimum_filter, uniform_filter

__all__ = ["BODY_HU", "SOFT_TISSUE_HU", "is_soft_tissue", "lies_in_soft_tissue"]

BODY_HU = -300.0
"""Denser than this is body, not air or lung."""

SOFT_TISSUE_HU = (10.0, 100.0)
"""Between water or urine (0 to 10) and bone or contrast; muscle and solid tumours lie in it."""

AIR_HU = -1000.0


def is_soft_tissue(ct: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Tell where CT is soft tissue: denser than water or urine, softer than bone.

    Means over 5×5 pixels of a slice, since one pixel's noise is larger than the difference.

    Args:
        ct: (y, x) or (n, y, x) HU; NaN counts as air.
    """
    filled = np.where(np.isfinite(ct), ct, AIR_HU).astype(np.float64)
    mean = uniform_filter(filled, size=(1,) * (ct.ndim - 2) + (5, 5))
    return np.asarray((mean > SOFT_TISSUE_HU[0]) & (mean < SOFT_TISSUE_HU[1]))


def lies_in_soft_tissue(ct: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Tell where CT is soft tissue all around, 5×5 pixels: what lies beside urine shows urine's uptake.

    Args:
        ct: (y, x) or (n, y, x) HU; NaN counts as air.
    """
    return np.asarray(minimum_filter(is_soft_tissue(ct), size=(1,) * (ct.ndim - 2) + (5, 5)))
