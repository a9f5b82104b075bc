"""How much of a slice a mask covers: what `slices` says of every mask."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["target_figures"]


def target_figures(
    mask: NDArray[np.bool_], pixel_mm2: float
) -> dict[str, Any]:  # Any: the columns' types
    """Return columns of `slices`: a further one is a key here and a field of `SliceRow`.

    Args:
        mask: (y, x) of the target.
        pixel_mm2: area of a pixel.
    """
    count = int(np.count_nonzero(mask))
    return {"target_area_mm2": count * pixel_mm2, "target_fraction": count / mask.size}
