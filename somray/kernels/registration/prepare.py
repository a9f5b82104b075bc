"""A slice made ready for registration: robust window, no NaN, and a pyramid.

Registration works on values scaled to 0..1 between robust percentiles, whatever the unit was. Pixels
without data (NaN, infinite) are filled with the window's floor and carry weight 0.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from somray.errors import ShapeError

__all__ = ["Float32", "Level", "Prepared", "prepare"]

Float32 = NDArray[np.float32]

_WINDOW_PERCENTILES = (0.5, 99.5)  # cuts padding such as -3024 HU and metal, keeps sparse PET
_LEAST_VALID = 64  # pixels; fewer cannot carry a similarity
_SMALLEST_LEVEL = 24  # pixels along the shorter side
_PERCENTILE_PIXELS = (
    65536  # of these at most the window is taken: sorting all costs more than a warp
)


@dataclass(frozen=True, eq=False)
class Level:
    """One level of a pyramid; a pixel (x, y) of it lies at (x, y)·step of the full image.

    Args:
        image: (y, x) float32, 0..1.
        weight: (y, x) float32, share of valid data under each pixel.
        step: full pixels per pixel of this level.
    """

    image: Float32
    weight: Float32
    step: int


@dataclass(frozen=True, eq=False)
class Prepared:
    """A windowed slice with its pyramid, finest level first."""

    levels: tuple[Level, ...]

    @property
    def full(self) -> Level:
        """The slice itself."""
        return self.levels[0]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        rows, columns = self.full.image.shape
        return rows, columns


def prepare(image: NDArray[np.generic], name: str) -> Prepared | None:
    """Window a slice and build its pyramid.

    Args:
        image: (y, x), any number type and range; NaN and infinities mean no data.
        name: "fixed" or "moving", for messages.

    Returns:
        The prepared slice, or None when it shows nothing (all equal, or hardly any data).

    Raises:
        ShapeError: if the image is not 2D or not a number array.
    """
    if image.ndim != 2 or image.dtype.kind not in "iufb":
        raise ShapeError(
            f"{name} must be one slice (y, x) of numbers, got {image.dtype} {image.shape}"
        )
    values = image.astype(np.float64)
    valid = np.isfinite(values)
    window = _robust_window(values[valid])
    if window is None:
        return None
    low, high = window
    values[~valid] = low
    scaled = np.clip((values - low) / (high - low), 0.0, 1.0).astype(np.float32)
    levels = [Level(scaled, valid.astype(np.float32), 1)]
    while min(levels[-1].image.shape) >= 2 * _SMALLEST_LEVEL:
        levels.append(_halve(levels[-1]))
    return Prepared(tuple(levels))


def _robust_window(values: NDArray[np.float64]) -> tuple[float, float] | None:
    if values.size < _LEAST_VALID:
        return None
    stride = max(1, values.size // _PERCENTILE_PIXELS)
    low, high = (float(v) for v in np.percentile(values[::stride], _WINDOW_PERCENTILES))
    if not high > low:  # less than 1 % stands out: the few pixels are all there is
        low, high = float(values.min()), float(values.max())
    # Scanners' blanks carry rounding noise: contrast below float32's own step is none.
    return (low, high) if high - low > 1e-6 * max(abs(low), abs(high)) else None


def _halve(level: Level) -> Level:
    """Smooth and keep every second pixel, the first one too; data without weight stays out."""
    weight = cv2.pyrDown(level.weight)
    image = cv2.pyrDown(level.image * level.weight)
    image = np.divide(image, weight, out=np.zeros_like(image), where=weight > 1e-3)
    return Level(image, weight, level.step * 2)
