"""One image as a person gives it: its values, which axes they have, how large its pixels are.

A plain array tells its axes by its shape alone, and names no spacing. An image object tells both, and is read in
the order of `somray run`: (z, y, x) as stored, never turned or flipped, so that a result lies on the object's own
voxels. numpy, lists, torch and dask are plain arrays; xarray, nibabel and SimpleITK are image objects, told by
their type's module without importing it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from somray.errors import ShapeError

__all__ = ["GivenImage", "ImageLike", "checked_numbers", "even_step", "is_of", "plain_array"]

ImageLike = (
    Any  # a list, numpy, torch or dask array, xarray.DataArray, or image of nibabel or SimpleITK
)
"""What is taken for an image."""

_KINDS = "biuf"
_GEOMETRY = ("affine", "GetSpacing")


@dataclass(frozen=True, eq=False)
class GivenImage:
    """What was given, as pixels.

    Args:
        values: the numbers as they are, of any type; in the order of `axes` where these are known.
        axes: "yx", "zyx", "cyx" or "zcyx"; "" for a plain array, whose shape decides.
        spacing_mm: along (y, x) or (z, y, x); None where nothing names it.
        unsaid: why the spacing could not be read from what looks like one; "" where there is no such thing.
        names: of the channels, where the image names them.
        affine: voxel index to mm, to tell whether two images lie on one grid.
        labelled: the xarray.DataArray that results are to look like.
    """

    values: NDArray[Any]  # Any: whatever numbers people have
    axes: str = ""
    spacing_mm: tuple[float, ...] | None = None
    unsaid: str = ""
    names: tuple[str, ...] = ()
    affine: NDArray[np.float64] | None = None
    labelled: Any = None  # Any: an xarray.DataArray

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the values."""
        return tuple(self.values.shape)

    @property
    def told(self) -> str:
        """The shape in words, with the names of its axes where they are known."""
        named = f" ({', '.join(self.axes)})" if self.axes else ""
        return f"shape {self.shape}{named}"


def is_of(given: object, package: str) -> bool:
    """Tell whether an object's class, or one it is derived from, is of a package; imports nothing."""
    return any(kind.__module__.split(".")[0] == package for kind in type(given).__mro__)


def plain_array(given: object, what: str) -> NDArray[Any]:  # Any: any numbers
    """Read lists, numpy, torch, dask, pandas and whatever else knows `__array__`; `what` names it in messages.

    Raises:
        ShapeError: it is no array of numbers; says what it is and what to do.
    """
    if isinstance(given, str | bytes) or hasattr(given, "__fspath__"):
        raise ShapeError(
            f"{what} is a path, {str(given)!r}: read the file first, for example "
            "nibabel.load(path) or SimpleITK.ReadImage(path), and give what that returns"
        )
    if any(hasattr(given, name) for name in _GEOMETRY):
        raise ShapeError(
            f"{what} is a {_type_of(given)}, which carries a geometry that somray does not read: give "
            "its pixels as a numpy array (z, y, x), and their size as spacing_mm=(z, y, x)"
        )
    if isinstance(given, np.ma.MaskedArray):
        return np.ma.filled(checked_numbers(given, what).astype(np.float32), np.nan)
    if is_of(given, "torch"):
        given = _of_torch(given)
    try:
        array = np.asarray(given)
    except (ValueError, TypeError) as error:
        raise ShapeError(
            f"{what} cannot be read as an array ({error}); all rows must have the same length, "
            "and all images the same shape"
        ) from error
    return checked_numbers(array, what, given)


def checked_numbers(array: NDArray[Any], what: str, given: object = None) -> NDArray[Any]:
    """Refuse arrays of anything but booleans and real numbers."""  # Any: any numbers
    if array.dtype.kind in _KINDS:
        return array
    if array.dtype.kind == "c":
        raise ShapeError(
            f"{what} is complex ({array.dtype}): give its magnitude, numpy.abs({what})"
        )
    if array.ndim == 0:
        raise ShapeError(f"{what} must be an array of numbers, got {_type_of(given)}")
    raise ShapeError(
        f"{what} must be an array of numbers, got {array.dtype} of shape {array.shape}; for example "
        f"numpy.asarray({what}, dtype='float32')"
    )


def _of_torch(tensor: Any) -> Any:  # Any: a torch.Tensor, which is not imported here
    """Bring a tensor to the CPU, without its gradient, in a type that numpy knows."""
    held = tensor.detach().cpu() if hasattr(tensor, "detach") else tensor
    return held.float() if held.is_floating_point() else held


def _type_of(given: object) -> str:
    kind = type(given)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"


def even_step(places: Sequence[float] | NDArray[Any]) -> float | None:
    """Return the distance of evenly spaced places; None where they are uneven, or fewer than two."""
    found = np.diff(np.asarray(places, dtype=np.float64))
    if not len(found) or not np.isfinite(found).all():
        return None
    step = float(found.mean())
    is_even = step != 0 and bool(np.all(np.abs(found - step) <= 1e-3 * abs(step)))
    return abs(step) if is_even else None
