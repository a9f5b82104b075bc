"""What people say of channels and windows when they make a teacher or a student."""

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from somray.errors import ConfigError, ShapeError, SomrayError

__all__ = ["MODALITIES", "Window", "checked_grid", "checked_modality", "nearest_name", "windows_of"]

MODALITIES = ("CT", "PET", "PETCT", "MR", "XCT", "other")
Window = tuple[float, float]


def nearest_name(name: object, known: Sequence[str]) -> str:
    """Return ", did you mean 'NAME'?" for the nearest known name, whatever its case; "." where none is near."""
    lower = {str(one).casefold(): one for one in known}
    near = difflib.get_close_matches(str(name).casefold(), list(lower), 1, cutoff=0.5)
    return f", did you mean {lower[near[0]]!r}?" if near else "."


def checked_modality(modality: object) -> str:
    """Refuse a modality that is not known.

    Raises:
        ShapeError: naming the nearest.
    """
    if modality not in MODALITIES:
        raise ShapeError(
            f"unknown modality {modality!r}{nearest_name(modality, MODALITIES)} "
            f"Known: {', '.join(MODALITIES)}"
        )
    return str(modality)


def checked_grid(grid: Any) -> tuple[int, int]:  # Any: whatever a person typed
    """Refuse a grid that is not two whole numbers from 1 on.

    Raises:
        ShapeError: with an example.
    """
    try:
        sides = np.asarray(grid)
    except ValueError:
        sides = np.zeros(0)
    if sides.shape != (2,) or sides.dtype.kind not in "iu" or sides.min() < 1:
        raise ShapeError(
            f"grid must be rows and columns of the map, whole numbers, for example (5, 5); got {grid!r}"
        )
    return int(sides[0]), int(sides[1])


def windows_of(
    channels: tuple[str, ...], intensity: Any, error: type[SomrayError] = ConfigError
) -> tuple[Window | None, ...]:  # Any: whatever a person typed
    """Read {"CT": {"window": [low, high]}} into one window per channel; None where it is to be chosen.

    `error` is raised where it is not of that form, or names a channel that is not there.
    """
    if intensity is None:
        return (None,) * len(channels)
    form = f"intensity must be like {{{channels[0]!r}: {{'window': [low, high]}}}}"
    if not isinstance(intensity, Mapping):
        raise error(f"{form}; got {intensity!r}")
    for name, settings in intensity.items():
        if name not in channels:
            known = ", ".join(channels)
            raise error(
                f"intensity names channel {name!r}{nearest_name(name, channels)} Channels are {known}"
            )
        if not isinstance(settings, Mapping) or set(settings) - {"window"}:
            raise error(f"{form}; got {settings!r} for {name}")
    given = {name: intensity.get(name, {}).get("window", "auto") for name in channels}
    return tuple(_window(name, window, error) for name, window in given.items())


def _window(
    name: str, window: Any, error: type[SomrayError]
) -> Window | None:  # Any: whatever a person typed
    """Read one window."""
    if isinstance(window, str) and window == "auto":
        return None
    try:
        low, high = (float(end) for end in window)
    except (TypeError, ValueError):
        low, high = 0.0, 0.0
    if not (np.isfinite(low) and np.isfinite(high) and low < high):
        raise error(
            f"the window of {name} must be [low, high] with low < high, for example [-160, 240], or 'auto'; "
            f"got {window!r}"
        )
    return low, high
