"""One number per pixel: what is taken from pictures of several samples, shared by TIFF and PNG."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from somray.errors import DataError

__all__ = ["gray_of"]


def gray_of(path: object, samples: NDArray[Any], alphas: int) -> NDArray[Any]:  # Any: any number
    """Take the one value (y, x) of pixels (y, x, s) that were stored as gray; the last `alphas` samples are opacity.

    Raises:
        DataError: `unreadable`: the samples differ, or pixels are transparent.
    """
    colors = samples[..., : samples.shape[-1] - alphas]
    if (colors != colors[..., :1]).any():
        raise DataError(
            "unreadable",
            f"{path}: is a color picture, which measures nothing; export the values themselves in gray",
        )
    if alphas:
        opaque = 1 if samples.dtype.kind not in "iu" else np.iinfo(samples.dtype).max
        if (samples[..., -alphas:] != opaque).any():
            raise DataError(
                "unreadable", f"{path}: has transparent pixels; export it without an alpha channel"
            )
    return colors[..., 0]
