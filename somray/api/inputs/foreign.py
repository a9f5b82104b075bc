"""Image objects of xarray, nibabel and SimpleITK: values in (z, y, x), spacing in mm from the object.

None of the packages is imported to tell whether an object is theirs: whoever has such an object has imported it.
"""

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from somray.api.inputs.image import GivenImage, checked_numbers, even_step, is_of, plain_array
from somray.errors import ShapeError

__all__ = ["is_image_object", "read_image"]

_AXES = {
    "z": "z",
    "y": "y",
    "x": "x",
    "c": "c",
    "channel": "c",
    "channels": "c",
    "t": "t",
    "time": "t",
}
_ORDER = "tzcyx"
_NIFTI_MM = {"meter": 1000.0, "mm": 1.0, "micron": 1e-3}


def is_image_object(given: object) -> bool:
    """Tell whether something is an image of xarray, nibabel or SimpleITK."""
    return any(is_of(given, package) for package in ("xarray", "nibabel", "SimpleITK"))


def read_image(given: object, what: str = "image") -> GivenImage:
    """Read whatever a person gives as one image.

    Args:
        given: a list, numpy, torch or dask array (axes by its shape, no spacing); an `xarray.DataArray` whose
            dimensions are among t, c, z, y, x (or a dataset with such an `image`, as `run.scan` returns it);
            an image of nibabel or SimpleITK of two or three dimensions.
        what: its name in messages.

    Raises:
        ShapeError: not numbers, several time points, axes or units that are not known.
    """
    if is_of(given, "xarray"):
        return _of_xarray(given, what)
    if is_of(given, "nibabel"):
        return _of_nibabel(given, what)
    if is_of(given, "SimpleITK"):
        return _of_simpleitk(given, what)
    return GivenImage(plain_array(given, what))


def _of_nibabel(image: Any, what: str) -> GivenImage:  # Any: nibabel has no types
    """Read (x, y, z) of nibabel as (z, y, x); lengths of the header's unit to mm."""
    if not hasattr(image, "dataobj") or getattr(image, "affine", None) is None:
        raise ShapeError(f"{what} is a {type(image).__name__} of nibabel, not an image of voxels")
    values = np.asanyarray(image.dataobj)
    while values.ndim > 3 and values.shape[-1] == 1:
        values = values[..., 0]
    if values.ndim not in (2, 3):
        raise ShapeError(
            f"{what} is a nibabel image of shape {tuple(image.shape)}, with several time points or channels: "
            "give one of them, for example image.slicer[..., 0]"
        )
    unit = _nifti_unit(image.header)
    affine = np.asarray(image.affine, dtype=np.float64).copy()
    affine[:3] *= unit
    sizes = np.linalg.norm(affine[:3, :3], axis=0)
    spacing = tuple(float(s) for s in sizes[: values.ndim][::-1])
    array = checked_numbers(values.T, what)
    return GivenImage(array, "zyx"[-array.ndim :], spacing, affine=affine)


def _nifti_unit(header: Any) -> float:  # Any: nibabel has no types
    """Return mm per unit of length of a header; other formats than NIfTI, and headers without, are in mm."""
    if not hasattr(header, "get_xyzt_units"):
        return 1.0
    return _NIFTI_MM.get(str(header.get_xyzt_units()[0]), 1.0)


def _of_simpleitk(image: Any, what: str) -> GivenImage:  # Any: SimpleITK has no types
    """Read an image as `SimpleITK.GetArrayFromImage` gives it, its spacing reversed."""
    if not hasattr(image, "GetSpacing") or not hasattr(image, "GetNumberOfComponentsPerPixel"):
        raise ShapeError(f"{what} is a {type(image).__name__} of SimpleITK, not an image")
    size = tuple(image.GetSize())
    if len(size) not in (2, 3) or image.GetNumberOfComponentsPerPixel() != 1:
        raise ShapeError(
            f"{what} is a SimpleITK image of size {size} with {image.GetNumberOfComponentsPerPixel()} values a "
            "pixel: give one time point, image[..., 0], or one channel, SimpleITK.VectorIndexSelectionCast(image, 0)"
        )
    array = checked_numbers(sys.modules["SimpleITK"].GetArrayFromImage(image), what)
    count, affine = len(size), np.eye(4)
    turn = np.reshape(image.GetDirection(), (count, count)) * np.asarray(image.GetSpacing())
    affine[:count, :count], affine[:count, 3] = turn, image.GetOrigin()
    spacing = tuple(float(s) for s in image.GetSpacing()[::-1])
    return GivenImage(array, "zyx"[-count:], spacing, affine=affine)


def _of_xarray(given: Any, what: str) -> GivenImage:  # Any: xarray is imported by whoever has one
    """Read a DataArray by the names of its dimensions, its spacing from coordinates with a unit."""
    if hasattr(given, "data_vars"):
        if "image" not in given.data_vars:
            known = ", ".join(str(name) for name in given.data_vars)
            raise ShapeError(
                f"{what} is an xarray.Dataset of {known}: give one of them, {what}[NAME]"
            )
        given = given["image"]
    letters = {dim: _AXES.get(str(dim).lower(), "") for dim in given.dims}
    if not any(letters.values()):
        return GivenImage(plain_array(given.data, what), labelled=given)
    found = "".join(letters.values())
    if not all(letters.values()) or len(set(found)) < len(found) or not {"y", "x"} <= set(found):
        raise ShapeError(
            f"{what} has dimensions {tuple(given.dims)}: y and x are needed, z, c and t are known; rename the "
            "others (image.rename(...)), or give image.values"
        )
    for dim, letter in letters.items():
        if letter == "t" and given.sizes[dim] == 1:
            given = given.isel({dim: 0})
        elif letter == "t":
            raise ShapeError(
                f"{what} has {given.sizes[dim]} time points: give one, image.isel({dim}=0)"
            )
    dims = {letters[dim]: dim for dim in given.dims}
    axes = "".join(letter for letter in _ORDER if letter in dims)
    ordered = given.transpose(*(dims[letter] for letter in axes))
    spacing, unsaid = _spacing_of(ordered, dims)
    values, names = plain_array(ordered.data, what), _channel_names(ordered, dims)
    return GivenImage(values, axes, spacing, unsaid, names, labelled=ordered)


def _channel_names(array: Any, dims: dict[str, Any]) -> tuple[str, ...]:  # Any: xarray
    """Return the channels' names, where their coordinate is text."""
    coordinate = array.coords.get(dims.get("c"))
    if coordinate is None or coordinate.ndim != 1 or coordinate.dtype.kind not in "UOT":
        return ()
    return tuple(str(name) for name in coordinate.values)


def _spacing_of(array: Any, dims: dict[str, Any]) -> tuple[tuple[float, ...] | None, str]:
    """Return the spacing along (z, y, x) or (y, x), or None and why coordinates do not tell it."""
    steps: dict[str, float] = {}  # Any: xarray
    for letter in "zyx":
        coordinate = array.coords.get(dims.get(letter))
        if coordinate is None or coordinate.ndim != 1 or len(coordinate) < 2:
            continue
        step, unsaid = _step_of(coordinate)
        if unsaid:
            return None, unsaid
        if step is not None:
            steps[letter] = step
    if not {"y", "x"} <= set(steps):
        return None, ""
    return tuple(steps[letter] for letter in "zyx" if letter in steps), ""


def _step_of(coordinate: Any) -> tuple[float | None, str]:  # Any: xarray
    """Return a coordinate's step in mm, or None; and what keeps it from being known."""
    from somray.io.readers.lengths import mm_per_unit  # brings every reader along

    name, unit = coordinate.name, str(coordinate.attrs.get("units", ""))
    if coordinate.dtype.kind not in "iuf":
        return None, ""
    try:
        factor = mm_per_unit(unit)
    except ValueError:
        return None, f"the coordinate {name} has units {unit!r}, no unit of length"
    step = even_step(coordinate.values)
    if step is None:
        return None, f"the coordinate {name} is not evenly spaced"
    if factor is None and step == 1.0:  # a plain index
        return None, ""
    if factor is None:
        return None, (
            f"the coordinate {name} names no unit (image[{name!r}].attrs['units'] = 'mm' would)"
        )
    return step * factor, ""


def same_grid(one: NDArray[np.float64] | None, other: NDArray[np.float64] | None) -> bool:
    """Tell whether two affines put voxels at the same places, to a tenth of a voxel; unknown ones may."""
    if one is None or other is None:
        return True
    size = float(np.linalg.norm(one[:3, :3], axis=0).min())
    return bool(np.abs(one[:3, 3] - other[:3, 3]).max() <= 0.1 * size) and bool(
        np.abs(one[:3, :3] - other[:3, :3]).max() <= 1e-3 * size
    )
