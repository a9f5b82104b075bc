"""A mask as a person gives it: bool, or whole numbers that name one thing."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from somray.api.inputs.foreign import read_image
from somray.api.inputs.image import GivenImage
from somray.errors import ShapeError

__all__ = ["inside_of", "mask_of"]

_MOST_NAMED = 6


def mask_of(given: object, what: str) -> tuple[NDArray[np.bool_], GivenImage]:
    """Read a mask: bool, or numbers of which one beside 0 occurs (0 and 1, 0 and 255); `what` is for messages.

    Raises:
        ShapeError: values that are no mask; says which, and what to type.
    """
    image = read_image(given, what)
    values = _whole(image.values, what)
    if values.dtype == np.bool_:
        return values, image
    inside = np.asarray(values != 0)
    held = values[inside]
    if held.size and held.min() != held.max():
        named = np.unique(held)
        told = ", ".join(f"{value:g}" for value in named[:_MOST_NAMED])
        more = ", …" if len(named) > _MOST_NAMED else ""
        raise ShapeError(
            f"several labels in {what}: {told}{more}; say which of them is meant, for example {what} == {named[0]:g}, "
            f"or all of them, {what} > 0"
        )
    return inside, image


def inside_of(given: object, what: str) -> NDArray[np.bool_]:
    """Read a mask in which every value but 0 is inside.

    Raises:
        ShapeError: NaN, or values that are not whole: probabilities are no mask.
    """
    return _whole(read_image(given, what).values, what).astype(np.bool_, copy=False)


def _whole(values: NDArray[Any], what: str) -> NDArray[Any]:  # Any: any numbers
    """Refuse numbers that no mask holds."""
    if values.dtype.kind != "f":
        return values
    if np.isnan(values).any():
        raise ShapeError(
            f"NaN in {what} is neither inside nor outside: numpy.nan_to_num({what}) makes it outside"
        )
    if not (values == np.floor(values)).all():
        low, high = float(values.min()), float(values.max())
        raise ShapeError(
            f"the values of {what} run from {low:.3g} to {high:.3g} and are not whole, so this is no mask: "
            f"probabilities need a threshold, {what} >= 0.5; is it an image, given in the mask's place?"
        )
    return values
