"""How much of a slice a mask covers: what `slices` says of every mask."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["area_figures", "target_figures"]


def target_figures(
    mask: NDArray[np.bool_], pixel_mm2: float
) -> dict[str, Any]:  # Any: the columns' types
    """Return columns of `slices`: a further one is a key here and a field of `SliceRow`.

    Args:
        mask: (y, x) of the target.
        pixel_mm2: area of a pixel.
    """
    return area_figures(int(np.count_nonzero(mask)), mask.size, pixel_mm2)


def area_figures(count: int, pixels: int, pixel_mm2: float) -> dict[str, Any]:
    """Return the same of `count` pixels that were found among those of a slice."""
    return {"target_area_mm2": count * pixel_mm2, "target_fraction": count / pixels}
