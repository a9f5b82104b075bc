"""One or several slices of so many channels, from whatever was given: (n, c, y, x).

The rules, in this order. An image whose axes are known is taken by them. A plain array with one channel is (y, x),
(1, y, x) for one slice, (z, y, x) or (n, 1, y, x) for several; with more it is (c, y, x) for one slice, (n, c, y, x)
for several. Several channels may also come apart: {"CT": ct, "PET": pet}, or, of image objects, [ct, pet] in the
order of the channels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from somray.api.inputs.foreign import is_image_object, read_image, same_grid
from somray.api.inputs.image import GivenImage
from somray.errors import ShapeError

__all__ = ["SliceStack", "stack_of"]


@dataclass(frozen=True, eq=False)
class SliceStack:
    """Slices (n, c, y, x) as kernels take them, and what they were read from.

    `is_one` tells whether one slice was given as such, so that results are (y, x).
    """

    images: NDArray[np.float32]
    is_one: bool
    given: GivenImage

    def dressed(
        self, result: NDArray[Any], name: str, attributes: dict[str, Any] | None = None
    ) -> Any:  # Any: any pixel type; an xarray.DataArray where one was given
        """Return a result (n, y, x) without the first axis where one slice was given, as xarray for xarray."""
        plain = result[0] if self.is_one else result
        source = self.given.labelled
        if source is None:
            return plain
        axes, dims = self.given.axes, list(source.dims)
        if not axes:  # dimensions without names that are known
            dims = [*dims[:-2][: plain.ndim - 2], *dims[-2:]]
        elif len(dims) == len(axes):
            dims = [dim for dim, letter in zip(dims, axes, strict=True) if letter != "c"]
        coords = {k: v for k, v in source.coords.items() if set(v.dims) <= set(dims)}
        return type(source)(plain, coords, dims, name, attributes or {})


def stack_of(given: object, channels: tuple[str, ...], what: str = "image") -> SliceStack:
    """Read one or several slices with channels of these names, in their order; `what` names the image in messages.

    Raises:
        ShapeError: it does not fit; says what was given, what is expected, and an example.
    """
    parted = _parted(given, channels, what)
    image = read_image(given, what) if parted is None else _joined(parted, channels, what)
    found = _placed(image, channels, what)
    if found is None or image.values.size == 0:
        raise ShapeError(_expected(image, channels, what))
    values, is_one = found
    with np.errstate(over="ignore"):  # too large for float32: infinite, which kernels refuse
        return SliceStack(values.astype(np.float32, copy=False), is_one, image)


def _placed(
    image: GivenImage, channels: tuple[str, ...], what: str
) -> tuple[NDArray[Any], bool] | None:  # Any: any numbers
    """Bring values to (n, c, y, x), and tell whether they are one slice; None where they do not fit."""
    values, count, axes = image.values, len(channels), image.axes
    if not axes:
        if values.ndim == 2 and count == 1:
            return values[None, None], True
        if values.ndim == 3 and count == 1:
            return values[:, None], len(values) == 1
        if values.ndim == 3 and len(values) == count:
            return values[None], True
        fits = values.ndim == 4 and values.shape[1] == count
        return (values, False) if fits else None
    if "c" not in axes:
        values = values[..., None, :, :]
    if "z" not in axes:
        values = values[None]
    if values.shape[1] != count:
        return None
    return _in_order(values, image.names, channels, what), "z" not in axes


def _in_order(
    values: NDArray[Any], names: tuple[str, ...], channels: tuple[str, ...], what: str
) -> NDArray[Any]:  # Any: any numbers
    """Bring channels that have names into the order that is wanted."""
    if not names or names == channels:
        return values
    if sorted(names) != sorted(channels):
        raise ShapeError(
            f"{what} has channels {', '.join(names)}; expected {', '.join(channels)}. Rename its coordinate, "
            "or make the object with channels=(...)"
        )
    return values[:, [names.index(name) for name in channels]]


def _parted(given: object, channels: tuple[str, ...], what: str) -> list[GivenImage] | None:
    """Read channels that come apart, in order; None where one image was given."""
    if isinstance(given, Mapping) and not is_image_object(given):
        if sorted(map(str, given)) != sorted(channels):
            raise ShapeError(
                f"{what} names channels {', '.join(map(str, given)) or 'none'}; expected {', '.join(channels)}"
            )
        return [read_image(given[name], f"{what}[{name!r}]") for name in channels]
    if not isinstance(given, Sequence) or not any(is_image_object(part) for part in given):
        return None
    if len(given) != len(channels) or not all(is_image_object(part) for part in given):
        raise ShapeError(
            f"{what} is a list of {len(given)} things, some of them image objects: give one image object for each "
            f"channel, {', '.join(channels)}"
        )
    return [read_image(part, f"{what}[{n}]") for n, part in enumerate(given)]


def _joined(parts: list[GivenImage], channels: tuple[str, ...], what: str) -> GivenImage:
    """Put channels that came apart together."""
    first = parts[0]
    for name, part in zip(channels[1:], parts[1:], strict=True):
        alike = part.shape == first.shape and part.axes == first.axes
        if not (alike and same_grid(first.affine, part.affine) and _one_size(first, part)):
            raise ShapeError(
                f"{what}: {name} ({part.told}) and {channels[0]} ({first.told}) do not lie on one grid; resample one "
                "onto the other first, for example SimpleITK.Resample(pet, ct, SimpleITK.Transform(), "
                "SimpleITK.sitkLinear, float('nan'))"
            )
    if "c" in first.axes or first.values.ndim not in (2, 3):
        raise ShapeError(f"{what}: each channel must be (y, x) or (z, y, x), got {first.told}")
    values = np.stack([part.values for part in parts], axis=-3)
    axes = "zcyx" if values.ndim == 4 else "cyx"
    spacing = next((part.spacing_mm for part in parts if part.spacing_mm), None)
    unsaid = next((part.unsaid for part in parts if part.unsaid), "")
    return replace(
        first,
        values=values,
        axes=axes,
        spacing_mm=spacing,
        unsaid=unsaid,
        names=(),
    )


def _one_size(one: GivenImage, other: GivenImage) -> bool:
    """Tell whether two images have pixels of one size, as far as both name it."""
    if one.spacing_mm is None or other.spacing_mm is None:
        return True
    sizes = one.spacing_mm, other.spacing_mm
    return len(sizes[0]) == len(sizes[1]) and bool(np.allclose(*sizes, rtol=1e-3, atol=0.0))


def _expected(image: GivenImage, channels: tuple[str, ...], what: str) -> str:
    """Say what was given, what is expected, and what to type."""
    count, named = len(channels), ", ".join(channels)
    if image.values.size == 0:
        return f"{what} is empty: {image.told}"
    if count == 1:
        text = f"one channel ({named}): (y, x), a volume (z, y, x) or (n, 1, y, x)"
    else:
        text = f"{count} channels ({named}): ({count}, y, x) for one slice, (n, {count}, y, x) for several"
    return f"{what} must be {text}; got {image.told}{_hint(image, channels, what)}"


def _hint(image: GivenImage, channels: tuple[str, ...], what: str) -> str:
    """Say what people most often mean by such a shape."""
    shape, count = image.shape, len(channels)
    apart = "{" + ", ".join(f"{name!r}: ..." for name in channels) + "}"
    if count == 1 and len(shape) == 4:
        return (
            f". One channel of it is {what}[:, 0] (or {what}[0] where channels or times come first)"
        )
    if count == 1:
        return ""
    if image.axes or len(shape) == 2:
        return f". Give every channel: {apart}"
    if len(shape) == 4 and shape[0] == count:
        return f". Channels come second: numpy.moveaxis({what}, 0, 1), or {apart}"
    if shape[-1] == count:
        return f". Channels come before y and x: numpy.moveaxis({what}, -1, -3)"
    return f". Give every channel: {apart}"
