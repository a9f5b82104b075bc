"""A slice made ready for registration: robust window, no NaN, and a pyramid.

Registration works on values scaled to 0..1 between robust percentiles, whatever the unit was. Pixels
without data (NaN, infinite) are filled with the window's floor and carry weight 0. What is derived from a
slice alone (gradients, fine structure) is kept with it, since a slice takes part in several pairs.
"""

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from somray.errors import ShapeError
from somray.kernels.registration.plane.padding import padding

__all__ = ["Float32", "Level", "Prepared", "View", "level_within", "prepare"]

Float32 = NDArray[np.float32]

_WINDOW_PERCENTILES = (0.5, 99.5)  # cuts padding such as -3024 HU and metal, keeps sparse PET
_LEAST_VALID = 64  # pixels; fewer cannot carry a similarity
_SMALLEST_LEVEL = 24  # pixels along the shorter side
_PERCENTILE_PIXELS = 32768  # the window is taken from so many: sorting all costs more than a warp
_WHOLE = 0.99  # of a pixel's weight: less touches missing data


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


@dataclass(eq=False)
class View:
    """What motions are found or judged on: one derived image of a level, NaN where there is no data.

    Args:
        plane: (y, x) float32.
        step: full pixels per pixel.
    """

    plane: Float32
    step: int
    _slopes: tuple[Float32, Float32, Float32] | None = None
    _power: float | None = None
    _known: int | None = None

    def slopes(self) -> tuple[Float32, Float32, Float32]:
        """Return the plane and its change along x and y per half the longer side.

        NaN in the plane wherever a gradient would touch missing data.
        """
        if self._slopes is None:
            plane = self.plane
            scale = max(plane.shape) / 64.0  # half a side, over the 32 of Scharr's weights
            trusted = plane
            if self.known() < plane.size:
                gap = np.isnan(plane)
                near = cv2.dilate(gap.astype(np.uint8), np.ones((3, 3), dtype=np.uint8))
                trusted = np.where(near > 0, np.float32(np.nan), plane)
                plane = np.where(gap, np.float32(0.0), plane)  # NaN times weight 0 would be NaN
            along = cv2.Scharr(plane, cv2.CV_32F, 1, 0, scale=scale)
            across = cv2.Scharr(plane, cv2.CV_32F, 0, 1, scale=scale)
            self._slopes = (trusted, np.asarray(along), np.asarray(across))
        return self._slopes

    def known(self) -> int:
        """Return how many pixels hold data."""
        if self._known is None:
            self._known = int(self.plane.size - np.count_nonzero(np.isnan(self.plane)))
        return self._known

    def power(self) -> float:
        """Return the sum of squares over all data."""
        if self._power is None:
            known = self.plane[~np.isnan(self.plane)]
            self._power = float((known * known).sum(dtype=np.float64))
        return self._power


@dataclass(frozen=True, eq=False)
class Prepared:
    """A windowed slice with its pyramid, finest level first, and what was derived from it so far."""

    levels: tuple[Level, ...]
    views: dict[tuple[str, int], View] = field(default_factory=dict)
    counts: dict[tuple[str, int], float] = field(default_factory=dict)

    @property
    def full(self) -> Level:
        """The slice itself."""
        return self.levels[0]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        rows, columns = self.full.image.shape
        return rows, columns

    def plain(self, index: int) -> View:
        """Return a level as it is."""
        key = ("plain", index)
        if key not in self.views:
            level = self.levels[index]
            self.views[key] = View(with_gaps(level.image, level.weight), level.step)
        return self.views[key]


def with_gaps(image: Float32, weight: Float32) -> Float32:
    """Return the image with NaN wherever a pixel touches missing data."""
    whole = weight > _WHOLE
    return image if whole.all() else np.where(whole, image, np.float32(np.nan))


def level_within(slice_: Prepared, longest: int) -> int:
    """Return the index of the first level whose longer side is no longer than `longest`."""
    for index, level in enumerate(slice_.levels):
        if max(level.image.shape) <= longest:
            return index
    return len(slice_.levels) - 1


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
    # float32 holds up to 16 bits exactly; wider types may hide contrast under a large offset.
    narrow = np.can_cast(image.dtype, np.float32)
    values: NDArray[np.floating] = image.astype(np.float32 if narrow else np.float64)
    valid = _valid(values)
    whole = bool(valid.all())
    window = _robust_window(values, valid, whole)
    if window is None:
        return None
    low, high = window
    if not whole:
        values = np.where(valid, values, values.dtype.type(low))
    values = (values - values.dtype.type(low)) * values.dtype.type(1.0 / (high - low))
    scaled = np.clip(values, 0.0, 1.0).astype(np.float32, copy=False)
    levels = [Level(scaled, valid.astype(np.float32), 1)]
    while min(levels[-1].image.shape) >= 2 * _SMALLEST_LEVEL:
        levels.append(_halve(levels[-1], whole))
    return Prepared(tuple(levels))


def _valid(values: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Tell data from NaN, infinities and padding; padding stays where nothing else shows."""
    finite = np.asarray(np.isfinite(values))
    filled = padding(values if finite.all() else np.where(finite, values, values.dtype.type(0)))
    if filled is None:
        return finite
    rest = finite & ~filled
    shown = values[rest]
    enough = shown.size >= _LEAST_VALID and bool(shown.max() > shown.min())
    return rest if enough else finite


def _robust_window(
    values: NDArray[np.floating], valid: NDArray[np.bool_], whole: bool
) -> tuple[float, float] | None:
    known = values.ravel() if whole else values[valid]
    if known.size < _LEAST_VALID:
        return None
    stride = max(1, known.size // _PERCENTILE_PIXELS)
    low, high = (float(v) for v in np.percentile(known[::stride], _WINDOW_PERCENTILES))
    if not high > low:  # less than 1 % stands out: the few pixels are all there is
        low, high = float(known.min()), float(known.max())
    # Scanners' blanks carry rounding noise: contrast below float32's own step is none.
    return (low, high) if high - low > 1e-6 * max(abs(low), abs(high)) else None


def _halve(level: Level, whole: bool) -> Level:
    """Smooth and keep every second pixel, the first one too; data without weight stays out."""
    if whole:
        image = cv2.pyrDown(level.image)
        return Level(image, np.ones_like(image), level.step * 2)
    weight = cv2.pyrDown(level.weight)
    image = cv2.pyrDown(level.image * level.weight)
    image = np.divide(image, weight, out=np.zeros_like(image), where=weight > 1e-3)
    return Level(image, weight, level.step * 2)
