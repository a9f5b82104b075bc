"""Which spacing counts: the image's own, unless it names none; what is said and differs is an error."""

from collections.abc import Sequence

import numpy as np

from somray.api.inputs.image import GivenImage
from somray.errors import ShapeError

__all__ = ["checked_lengths", "spacing_of"]

_SAME = 1e-3  # relative: people type 0.977 for 0.9766


def checked_lengths(given: object, counts: tuple[int, ...]) -> tuple[float, ...]:
    """Refuse a spacing that is not as many positive lengths as asked for.

    Raises:
        ShapeError: with what was given and an example.
    """
    forms = {2: "(y, x), for example (0.8, 0.8)", 3: "(z, y, x), for example (3.0, 0.8, 0.8)"}
    wanted = " or ".join(forms[count] for count in counts)
    try:
        lengths = np.asarray(given, dtype=np.float64)
    except (ValueError, TypeError):
        lengths = np.zeros(0)
    is_right = lengths.ndim == 1 and len(lengths) in counts
    if not is_right or not (np.isfinite(lengths).all() and (lengths > 0).all()):
        told = given if np.ndim(lengths) < 2 else f"an array of shape {lengths.shape}"
        raise ShapeError(f"spacing_mm must be positive lengths in mm along {wanted}; got {told}")
    return tuple(float(length) for length in lengths)


def spacing_of(
    image: GivenImage,
    given: Sequence[float] | None,
    counts: tuple[int, ...] = (2, 3),
    what: str = "image",
) -> tuple[float, ...] | None:
    """Return the spacing that counts, None where neither the image nor a person names one.

    A person may have said one of so many lengths (`counts`); `what` names the image in messages.

    Raises:
        ShapeError: what was said is no spacing or differs from the image's own, or the image has coordinates
            that do not tell it.
    """
    said = None if given is None else checked_lengths(given, counts)
    if said is None and image.unsaid:
        raise ShapeError(f"{what}: {image.unsaid}; give spacing_mm=(y, x) or (z, y, x) in mm")
    if image.spacing_mm is None:
        return said
    own = checked_lengths(image.spacing_mm, (2, 3))
    if said is None:
        return own
    shared = min(len(own), len(said))
    if not np.allclose(own[-shared:], said[-shared:], rtol=_SAME, atol=0.0):
        raise ShapeError(
            f"spacing_mm={said} contradicts {what}, whose own spacing is "
            f"{tuple(round(length, 4) for length in own)}: leave spacing_mm out, or correct the image"
        )
    return said if len(said) >= len(own) else own
