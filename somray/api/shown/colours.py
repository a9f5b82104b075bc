"""Colours of classes, the report's own, and of what is grey."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from somray.domain.palette import class_rgb

__all__ = ["class_colour", "coloured", "grey", "heat"]

NO_DATA = "#262E38"
_HEAT = ("#FFF7EC", "#FDBB84", "#D9541E", "#7F0000")


def class_colour(name: str, value: int) -> str:
    """Return the colour of a class, "#RRGGBB"; a further class is told by its number, from 5."""
    return "#{:02X}{:02X}{:02X}".format(*class_rgb(name, value))


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def coloured(labels: NDArray[np.uint8], names: Mapping[int, str]) -> NDArray[np.uint8]:
    """Return class numbers (y, x) as RGB (y, x, 3); 0 is no data."""
    table = np.zeros((256, 3), dtype=np.uint8)
    table[0] = _rgb(NO_DATA)
    for value, name in names.items():
        table[value] = _rgb(class_colour(name, value))
    return np.asarray(table[labels])


def grey(plane: NDArray[np.floating], window: tuple[float, float]) -> NDArray[np.uint8]:
    """Return values (y, x) within a window as RGB (y, x, 3); the colour of no data where NaN."""
    low, high = window
    share = np.clip((plane - low) / max(high - low, 1e-12), 0.0, 1.0)
    known = np.isfinite(share)
    level = np.where(known, share * 255.0, 0.0).round().astype(np.uint8)
    out = np.repeat(level[..., None], 3, axis=2)
    out[~known] = _rgb(NO_DATA)
    return np.asarray(out)


def heat(share: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Return shares from 0 to 1 (y, x) as RGB (y, x, 3), pale to dark; the colour of no data where NaN."""
    stops = np.array([_rgb(colour) for colour in _HEAT], dtype=np.float64)
    known = np.isfinite(share)
    place = np.clip(np.where(known, share, 0.0), 0.0, 1.0)
    at = np.linspace(0.0, 1.0, len(stops))
    out = np.stack([np.interp(place, at, stops[:, band]) for band in range(3)], axis=-1)
    out[~known] = _rgb(NO_DATA)
    return np.asarray(out.round().astype(np.uint8))
