"""From physical values to what is shown: display windows, overlays, difference colours, scale bars.

Display windows are for eyes only; no result depends on them. Colours are (y, x, 3) uint8; pixels without
data (NaN) get one colour of their own that no grey and no difference has.
"""

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from matplotlib import colormaps
from numpy.typing import NDArray

from somray.report.drawing.style import NO_DATA_COLOUR, rgb

__all__ = [
    "DisplayWindow",
    "checkerboard",
    "differences",
    "grey",
    "jpeg_bytes",
    "painted",
    "presets",
    "round_length_mm",
    "two_colours",
]

NO_DATA_RGB = rgb(NO_DATA_COLOUR)  # darker than any paper and bluer than any grey
DIFFERENCE_MAP = "inferno"
LEVELS = 256
CT_PRESETS = (("soft tissue", -160.0, 240.0), ("lung", -1350.0, 150.0), ("bone", -500.0, 1300.0))
SUV_WINDOW = (0.0, 10.0)  # the usual range for FDG; hotter pixels are drawn at the end of the scale
ROBUST_PERCENT = (0.5, 99.7)
JPEG_QUALITY = 85  # of 100, colours at full resolution: a third of PNG, 3 of 255 levels apart
PNG_LEVEL = 6  # of 9: 3 % larger than the smallest on smooth slices, six times as fast


@dataclass(frozen=True)
class DisplayWindow:
    """Values shown from black (low) to white (high); PET is shown the other way round, as usual."""

    name: str
    low: float
    high: float
    unit: str
    inverted: bool = False

    def scaled(self, image: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return (y, x) in [0, 1], NaN kept."""
        span = self.high - self.low
        return np.clip((image.astype(np.float64) - self.low) / span, 0.0, 1.0)

    def __str__(self) -> str:
        """Tell name and range in words."""
        unit = "" if self.unit in ("raw", "SUVbw") else f" {self.unit}"  # SUV stands in the name
        return f"{self.name} {_number(self.low)} to {_number(self.high)}{unit}"


def _number(value: float) -> str:
    text = f"{value:,.0f}".replace(",", "\u202f") if abs(value) >= 1000 else f"{value:.4g}"
    return text.replace("-", "−")


def presets(
    unit: str,
    window: tuple[float, float] | None,
    images: NDArray[np.float32],
    is_uptake: bool = False,
) -> tuple[DisplayWindow, ...]:
    """Return the windows a channel is shown in, the main one first.

    Args:
        unit: HU gives soft tissue, lung and bone; SUVbw gives one SUV window.
        window: the teacher's window, used for other units where known.
        images: everything that is shown in the window, for the range where nothing else is known.
        is_uptake: PET in another unit: from 0 to the images' hottest pixels, since a teacher's window
            is as narrow as it takes to tell classes apart.
    """
    if unit == "HU":
        return tuple(DisplayWindow(name, low, high, unit) for name, low, high in CT_PRESETS)
    if unit == "SUVbw":
        return (DisplayWindow("SUV", *SUV_WINDOW, unit="SUVbw", inverted=True),)
    low, high = _robust_range(images)
    if is_uptake:
        return (DisplayWindow("uptake", 0.0, high if high > 0 else 1.0, unit, inverted=True),)
    low, high = window or (low, high)
    return (DisplayWindow("grey values", low, high, unit),)


def _robust_range(image: NDArray[np.float32]) -> tuple[float, float]:
    known = image[np.isfinite(image)]
    if not known.size:
        return 0.0, 1.0
    low, high = (float(v) for v in np.percentile(known, ROBUST_PERCENT))
    return low, high if high > low else low + 1.0


def grey(image: NDArray[np.float32], window: DisplayWindow) -> NDArray[np.uint8]:
    """Show one channel: (y, x) grey, or (y, x, 3) where pixels without data are marked."""
    scaled = window.scaled(image)
    known = np.isfinite(scaled)
    shown = 1.0 - scaled if window.inverted else scaled
    levels = np.where(known, shown * (LEVELS - 1), 0.0).round().astype(np.uint8)
    if known.all():
        return levels
    return _mark_no_data(np.repeat(levels[..., None], 3, axis=2), known)


def _mark_no_data(rgb: NDArray[np.uint8], known: NDArray[np.bool_]) -> NDArray[np.uint8]:
    rgb[~known] = NO_DATA_RGB
    return rgb


def painted(labels: NDArray[np.integer[Any]], colours: dict[int, str]) -> NDArray[np.uint8]:
    """Paint label values (y, x) in their colours; a value without a colour is "no data"."""
    colour_of = np.full((*labels.shape, 3), NO_DATA_RGB, dtype=np.uint8)
    for value, colour in colours.items():
        colour_of[labels == value] = rgb(colour)
    return colour_of


def two_colours(fixed: NDArray[np.float64], moving: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Overlay two images in [0, 1]: fixed in green, moving in magenta, grey where they agree."""
    known = np.isfinite(fixed) & np.isfinite(moving)
    planes = [np.where(known, v * (LEVELS - 1), 0).round() for v in (moving, fixed, moving)]
    return _mark_no_data(np.stack(planes, axis=2).astype(np.uint8), known)


def checkerboard(
    fixed: NDArray[np.float32], moving: NDArray[np.float32], squares: int = 8
) -> NDArray[np.float32]:
    """Take squares of two images (y, x) by turns, `squares` along the longer side; fixed begins."""
    side = max(1, -(-max(fixed.shape) // squares))
    rows, columns = (np.arange(n) // side for n in fixed.shape)
    takes_fixed = (rows[:, None] + columns[None, :]) % 2 == 0
    return np.asarray(np.where(takes_fixed, fixed, moving), dtype=np.float32)


def differences(difference: NDArray[np.float64], most: float) -> NDArray[np.uint8]:
    """Colour |difference| (y, x) from 0 to `most` (larger ones saturate)."""
    known = np.isfinite(difference)
    table = (colormaps[DIFFERENCE_MAP](np.linspace(0, 1, LEVELS))[:, :3] * 255).round()
    share = np.where(known, difference / most if most > 0 else 0.0, 0.0)
    index = (np.clip(share, 0, 1) * (LEVELS - 1)).round().astype(np.intp)
    return _mark_no_data(table.astype(np.uint8)[index], known)


def round_length_mm(width_mm: float) -> float:
    """Return a round length (1, 2 or 5 times a power of ten) of about a quarter of the width."""
    target = width_mm / 4
    power = 10.0 ** math.floor(math.log10(target))
    return max(step * power for step in (1.0, 2.0, 5.0) if step * power <= target * 1.0001)


def png_bytes(pixels: NDArray[np.uint8]) -> bytes:
    """Encode (y, x) grey or (y, x, 3) RGB as PNG; same pixels, same bytes."""
    return _encoded(pixels, ".png", [cv2.IMWRITE_PNG_COMPRESSION, PNG_LEVEL])


def jpeg_bytes(pixels: NDArray[np.uint8]) -> bytes:
    """Encode (y, x) grey or (y, x, 3) RGB as JPEG; same pixels, same bytes."""
    whole = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    return _encoded(pixels, ".jpg", [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY, *whole])


def _encoded(pixels: NDArray[np.uint8], kind: str, how: list[int]) -> bytes:
    ordered = pixels if pixels.ndim == 2 else np.ascontiguousarray(pixels[..., ::-1])  # cv2: BGR
    done, encoded = cv2.imencode(kind, ordered, how)
    if not done:  # cv2 reports no reason
        raise ValueError(f"an image of shape {pixels.shape} could not be encoded as {kind}")
    return bytes(encoded.tobytes())
