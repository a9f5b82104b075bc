"""`somray.features`: ten numbers for each pixel of a slice, for whatever people call a slice."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from somray.api.inputs.foreign import read_image
from somray.api.inputs.image import GivenImage, ImageLike
from somray.api.inputs.spacing import spacing_of
from somray.errors import ShapeError
from somray.kernels.features import FEATURES
from somray.kernels.features import features as compute

__all__ = ["features", "one_slice"]


def features(
    slice_: ImageLike,
    window: tuple[float, float] | None = None,
    spacing_mm: Sequence[float] | None = None,
    threads: int = 1,
) -> NDArray[np.float32]:
    """Compute all features of one channel of a slice.

    Args:
        slice_: (y, x) values, NaN where there is no data; a list, an array, or an image object of one slice.
        window: (low, high) that clips and scales the values to [0, 1]; None leaves them.
        spacing_mm: distance between pixels in mm along (y, x); the image's own where left out, (1.0, 1.0) where it
            names none.
        threads: that rows are divided among; the result does not depend on them.

    Returns:
        (f, y, x) float32 in the order of `somray.FEATURES`; NaN where the slice is NaN. For an xarray.DataArray
        one with its coordinates, and the features' names along `feature`.

    Raises:
        ShapeError: not one slice, empty, infinite without a window, window or spacing wrong.

    Cost: about 200 operations per pixel; memory of the result and of a band.

    Example:
        >>> import numpy as np, somray
        >>> stack = somray.features(np.eye(16), window=(0.0, 1.0))
        >>> stack.shape
        (10, 16, 16)
        >>> somray.FEATURES[1]
        'edge'
        >>> book = somray.som.fit(stack.reshape(len(stack), -1).T, grid=(2, 2))  # pixels are samples

    Source: of anisotropy_p and anisotropy_q, the structure tensor of J. Bigün and G. H. Granlund, "Optimal
    orientation detection of linear symmetry", ICCV 1987.
    """
    image, plane = one_slice(slice_, "slice_", "somray.features(volume[z])")
    if plane.size == 0:
        raise ShapeError(f"slice_ is empty: {image.told}")
    step = spacing_of(image, spacing_mm, (2,), "slice_") or (1.0, 1.0)
    found = compute(plane, _window(window), (step[-2], step[-1]), threads)
    source = image.labelled
    if source is None:
        return found
    dims = source.dims[-2:]
    coords = {k: v for k, v in source.coords.items() if set(v.dims) <= set(dims)}
    named = {"feature": list(FEATURES), **coords}
    shown: NDArray[np.float32] = type(source)(found, named, ("feature", *dims), "features")
    return shown


def one_slice(
    given: ImageLike, what: str, example: str
) -> tuple[GivenImage, NDArray[Any]]:  # Any: any numbers
    """Read one slice (y, x), which an image object may hold as a volume; `what` and `example` are for messages.

    Raises:
        ShapeError: it is not one slice.
    """
    image = read_image(given, what)
    values = image.values
    while image.axes and values.ndim > 2 and len(values) == 1:
        values = values[0]
    if values.ndim != 2:
        several = f"; of several slices take one at a time, {example}" if values.ndim > 2 else ""
        raise ShapeError(f"{what} must be one slice (y, x), got {image.told}{several}")
    return image, values


def _window(window: Any) -> tuple[float, float] | None:  # Any: whatever a person typed
    """Refuse what is not (low, high) or None."""
    if window is None:
        return None
    try:
        low, high = (float(end) for end in window)
    except (TypeError, ValueError):
        raise ShapeError(
            f"window must be (low, high) in the image's values, for example (-160, 240) on CT, or None; got {window!r}"
        ) from None
    return low, high
