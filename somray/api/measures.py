"""`somray.lesions` and `somray.agreement`: masks numbered and compared."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from somray.api.inputs.image import ImageLike
from somray.api.inputs.mask import inside_of, mask_of
from somray.api.inputs.spacing import spacing_of
from somray.errors import ShapeError
from somray.kernels.lesions import instances
from somray.kernels.metrics import overlap

__all__ = ["agreement", "lesions"]


def lesions(
    mask: ImageLike,
    spacing_mm: Sequence[float] | None = None,
    min_volume_mm3: float = 0.0,
) -> NDArray[np.int32]:
    """Number the connected parts of a mask; voxels that share a face, an edge or a corner belong together.

    Args:
        mask: (z, y, x) bool, or numbers of any type that are 0 outside and one other value inside; or an image
            object.
        spacing_mm: voxel size in mm along (z, y, x), needed for `min_volume_mm3`; an image object's own where left
            out.
        min_volume_mm3: parts smaller than this are left out.

    Returns:
        (z, y, x) int32: 0 outside, instances from 1 in scan order (by the first voxel met when z, then y, then x run
        upwards). For an xarray.DataArray one with its coordinates.

    Raises:
        ShapeError: not three axes, several labels, probabilities, or a spacing that is missing or contradicts the
            image's own.

    Example:
        >>> import numpy as np, somray
        >>> mask = np.zeros((3, 8, 8), bool)
        >>> mask[1, 1:3, 1:3] = mask[1, 5, 5] = True
        >>> somray.lesions(mask, (3.0, 0.8, 0.8)).max()
        np.int32(2)
        >>> somray.lesions(mask, (3.0, 0.8, 0.8), min_volume_mm3=5).max()
        np.int32(1)
    """
    inside, image = mask_of(mask, "mask")
    if inside.ndim != 3:
        one = "a single slice is mask[None]" if inside.ndim == 2 else "lesions(mask, spacing_mm)"
        raise ShapeError(f"mask must be a volume (z, y, x), got {image.told}; {one}")
    spacing = spacing_of(image, spacing_mm, (3,), "mask")
    if spacing is None:
        raise ShapeError(
            "the mask names no voxel size: give spacing_mm=(z, y, x) in mm, for example (3.0, 0.8, 0.8)"
        )
    if not min_volume_mm3 >= 0:
        raise ShapeError(f"min_volume_mm3 must be 0 or more, got {min_volume_mm3!r}")
    z, y, x = spacing if len(spacing) == 3 else (1.0, *spacing)
    found = instances.lesions(inside, (z, y, x), float(min_volume_mm3))
    source = image.labelled
    if source is None:
        return found
    shown: NDArray[np.int32] = type(source)(found, source.coords, source.dims, "lesion")
    return shown


def agreement(prediction: ImageLike, reference: ImageLike) -> dict[str, float | None]:
    """Count how a predicted mask agrees with a reference mask.

    Agreement with a teacher is not accuracy: only a reference that somebody drew tells that.

    Args:
        prediction: mask of any shape; every value but 0 is inside, so compare labels one by one
            (`labels == 3`).
        reference: mask of the same shape, the measure of the other.

    Returns:
        `iou` and `dice` (None when both masks are empty), `accuracy` (None without pixels),
        `precision` (None when nothing was predicted), `recall` (None when the reference is empty).

    Raises:
        ShapeError: the shapes differ, NaN, or values that are no mask (probabilities, an image).

    Example:
        >>> import somray
        >>> somray.agreement([1, 1, 0, 0], [1, 0, 0, 0])["dice"]
        0.6666666666666666
    """
    predicted, expected = inside_of(prediction, "prediction"), inside_of(reference, "reference")
    if predicted.shape != expected.shape:
        raise ShapeError(
            f"prediction and reference must have one shape, got {predicted.shape} and {expected.shape}: masks are "
            "compared on one grid, resample one onto the other first"
        )
    return overlap.agreement(predicted, expected)
