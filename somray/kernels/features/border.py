"""A slice's scale, and its bands: windowed, holes filled, continued over the border by reflection."""

import math

import numpy as np
from numpy.typing import NDArray

from somray.errors import ShapeError
from somray.kernels.compiled import compiled
from somray.kernels.features.band import Frame, Tile

__all__ = ["FLOOR_FRACTION", "TENSOR_FLOOR", "FrameSums", "frame_of", "mask_holes", "pad_tile"]

Plane = NDArray[np.float32]
Window = tuple[float, float]

TENSOR_FLOOR = 1e-12
"""Share of the squared value range added to the structure tensor's trace."""

FLOOR_FRACTION = 0.05
"""Share of the value range added above and below in ratios."""


@compiled
def _add_values(
    image: Plane,
    bottom: float,
    top: float,
    sums: NDArray[np.float64],
    extremes: tuple[Plane, Plane],
) -> None:
    """Add clipped values to column sums, which become NaN where any value is, and note the extremes.

    Sums run down the columns, four rows at a time: a fixed order, that parts of a slice go on with where
    all but the last have a multiple of four rows. Rows that are missing to one are counted by themselves.
    """
    rows, columns = image.shape
    lowest, highest = extremes
    whole = rows - rows % 4
    for y in range(0, whole, 4):
        lines = (image[y], image[y + 1], image[y + 2], image[y + 3])
        _add_rows(lines, (np.float32(bottom), np.float32(top)), sums, (lowest, highest))
    for y in range(whole, rows):
        line = image[y]
        for x in range(columns):
            value = line[x]
            lowest[x] = value if value < lowest[x] else lowest[x]
            highest[x] = value if value > highest[x] else highest[x]
            value = np.float32(bottom) if value < np.float32(bottom) else value
            sums[x] += np.float32(top) if value > np.float32(top) else value


@compiled
def _add_rows(
    lines: tuple[Plane, Plane, Plane, Plane],
    window: tuple[np.float32, np.float32],
    sums: NDArray[np.float64],
    extremes: tuple[Plane, Plane],
) -> None:
    """Add four rows to the column sums and extremes."""
    first, second, third, fourth = lines
    low, high = window
    lowest, highest = extremes
    for x in range(sums.size):
        a, b, c, d = first[x], second[x], third[x], fourth[x]
        least, most = (a if a < b else b), (a if a > b else b)
        less, more = (c if c < d else d), (c if c > d else d)
        least, most = (least if least < less else less), (most if most > more else more)
        lowest[x] = least if least < lowest[x] else lowest[x]
        highest[x] = most if most > highest[x] else highest[x]
        a, b = (low if a < low else a), (low if b < low else b)
        c, d = (low if c < low else c), (low if d < low else d)
        a, b = (high if a > high else a), (high if b > high else b)
        c, d = (high if c > high else c), (high if d > high else d)
        sums[x] += (np.float64(a) + np.float64(b)) + (np.float64(c) + np.float64(d))


@compiled
def _add_known(
    image: Plane, bottom: float, top: float, sums: NDArray[np.float64]
) -> tuple[int, float, float]:
    """Add clipped values that are there to column sums; return how many are not, and the extremes."""
    rows, columns = image.shape
    missing, least, most = 0, math.inf, -math.inf
    for y in range(rows):
        for x in range(columns):
            value = image[y, x]
            if value == value:
                sums[x] += min(max(value, bottom), top)
                least, most = min(least, value), max(most, value)
            else:
                missing += 1
    return missing, least, most


@compiled
def _in_order(sums: NDArray[np.float64]) -> float:
    """Add column sums along the row."""
    total = 0.0
    for x in range(sums.size):
        total += sums[x]
    return total


@compiled
def _fold(index: int, size: int) -> int:
    """Reflect an index into [0, size), repeating the edge pixel; works for any size from 1."""
    period = 2 * size
    index = index % period
    return index if index < size else period - 1 - index


@compiled
def _scaled(value: np.float32, frame: Frame) -> np.float32:
    """Clip a value and bring it to the frame's unit; NaN stays NaN."""
    low, high, unit = np.float32(frame.bottom), np.float32(frame.top), np.float32(frame.unit)
    value = low if value < low else value
    value = high if value > high else value
    return value * unit


@compiled
def _hole_value(image: Plane, y: int, x: int, reach: int, frame: Frame) -> float:
    """Return the mean of the pixels with data nearest to a hole, at most `reach` rows or columns off.

    A hole further from all data is never seen by a pixel that has data, so it may hold anything.
    """
    rows, columns = image.shape
    nearest, total, count = 2 * (reach + 1) ** 2, 0.0, 0
    for v in range(max(0, y - reach), min(rows, y + reach + 1)):
        for u in range(max(0, x - reach), min(columns, x + reach + 1)):
            value = image[v, u]
            distance = (v - y) ** 2 + (u - x) ** 2
            if value != value or distance > nearest:
                continue
            if distance < nearest:
                nearest, total, count = distance, 0.0, 0
            total += float(_scaled(value, frame))
            count += 1
    return total / count if count else frame.low


@compiled
def pad_tile(image: Plane, tile: Tile, halo: int, frame: Frame, padded: Plane) -> None:
    """Write a tile and `halo` pixels around it: windowed, scaled, reflected, without holes.

    Args:
        image: (y, x), the whole slice.
        tile: which part of it.
        halo: pixels beyond the tile.
        frame: of the slice.
        padded: (y1 - y0 + 2·halo, x1 - x0 + 2·halo) float32, written.
    """
    rows, columns = image.shape
    height, width = tile.y1 - tile.y0 + 2 * halo, tile.x1 - tile.x0 + 2 * halo
    begin = tile.x0 - halo
    inside, beyond = max(begin, 0), min(begin + width, columns)
    for r in range(height):
        line, out = image[_fold(tile.y0 - halo + r, rows)], padded[r]
        source, target = line[inside:beyond], out[inside - begin : beyond - begin]
        for x in range(source.size):
            target[x] = _scaled(source[x], frame)
        for x in range(inside - begin):
            out[x] = _scaled(line[_fold(begin + x, columns)], frame)
        for x in range(beyond - begin, width):
            out[x] = _scaled(line[_fold(begin + x, columns)], frame)
    if frame.missing == 0:
        return
    for r in range(height):
        y = _fold(tile.y0 - halo + r, rows)
        for x in range(width):
            if padded[r, x] != padded[r, x]:
                padded[r, x] = _hole_value(image, y, _fold(begin + x, columns), halo, frame)


@compiled
def mask_holes(image: Plane, rows: tuple[int, int], out: NDArray[np.float32]) -> None:
    """Make all planes of `out` (f, y, x) NaN in these rows where the slice is NaN."""
    for plane in out:
        for y in range(rows[0], rows[1]):
            line, target = image[y], plane[y]
            for x in range(line.size):
                if line[x] != line[x]:
                    target[x] = np.float32(math.nan)


class FrameSums:
    """What a slice's frame is taken from, gathered part by part: the bits of the whole slice.

    Args:
        columns: of the slice.
        window: (low, high) to clip at and scale to [0, 1], or None to leave values as they are.
        clips_infinite: whether a window may clip infinite values; they are refused otherwise.
    """

    def __init__(self, columns: int, window: Window | None, *, clips_infinite: bool = True) -> None:
        self._window, self._clips_infinite = window, clips_infinite
        bottom, top = window if window is not None else (-math.inf, math.inf)
        self._limits = float(np.float32(bottom)), float(np.float32(top))
        self._sums, self._known = np.zeros(columns), np.zeros(columns)
        self._lowest = np.full(columns, np.float32(math.inf))
        self._highest = np.full(columns, np.float32(-math.inf))
        self._missing, self._least, self._most = 0, math.inf, -math.inf

    def add(self, part: Plane, x0: int = 0) -> None:
        """Add a part of the slice.

        Args:
            part: (y, x) float32, C-contiguous, NaN where there is no data. Parts of the same columns come
                from the top down; all but the last have a multiple of four rows.
            x0: its first column.
        """
        self._add_values(part, x0)
        self._add_known(part, x0)

    def _add_values(self, part: Plane, x0: int) -> None:
        columns = slice(x0, x0 + part.shape[1])
        extremes = self._lowest[columns], self._highest[columns]
        _add_values(part, *self._limits, self._sums[columns], extremes)

    def _add_known(self, part: Plane, x0: int) -> None:
        known = self._known[x0 : x0 + part.shape[1]]
        missing, least, most = _add_known(part, *self._limits, known)
        self._missing += missing
        self._least, self._most = min(self._least, least), max(self._most, most)

    def add_whole(self, image: Plane) -> None:
        """Add the whole slice at once; slices without holes take half the time so."""
        self._add_values(image, 0)
        if math.isnan(_in_order(self._sums)):
            self._add_known(image, 0)

    def frame(self, pixels: int, step: NDArray[np.float64]) -> Frame:
        """Return the frame of a slice of so many pixels, once all of them were added.

        Raises:
            ShapeError: infinite values and nothing that clips them.
        """
        window, missing = self._window, self._missing
        total = _in_order(self._sums)
        low, high = float(self._lowest.min()), float(self._highest.max())
        if math.isnan(total):
            total, low, high = _in_order(self._known), self._least, self._most
        if (window is None or not self._clips_infinite) and (high == math.inf or low == -math.inf):
            way = ", or give a window" if self._clips_infinite else ""
            raise ShapeError(f"a slice holds infinite values; mark pixels without data as NaN{way}")
        if window is not None:
            low, high = float(window[0]), float(window[1])
        if missing == pixels:
            low, high = 0.0, 0.0
        width = high - low if high > low else 1.0
        # The exponent stays where both the unit and its inverse are normal float32 numbers.
        unit = 2.0 ** -min(max(math.frexp(width)[1], -100), 100)
        mean = total / (pixels - missing) if missing < pixels else 0.0
        return Frame(
            bottom=self._limits[0],
            top=self._limits[1],
            unit=unit,
            zero=low * unit if window is not None else 0.0,
            gain=1.0 / (width * unit) if window is not None else 1.0 / unit,
            low=low * unit,
            floor=(FLOOR_FRACTION if high > low else 1.0) * width * unit,
            mean=mean * unit,
            tensor_floor=TENSOR_FLOOR * (width * unit) ** 2,
            step_y=float(step[0]),
            step_x=float(step[1]),
            missing=int(missing),
        )


def frame_of(
    image: Plane, window: Window | None, step: NDArray[np.float64], clips_infinite: bool = True
) -> Frame:
    """Take the scale of one channel of a slice.

    Args:
        image: (y, x) float32, NaN where there is no data.
        window: (low, high) to clip at and scale to [0, 1], or None to leave values as they are.
        step: distance of pixels along (y, x) in mm.
        clips_infinite: whether a window may clip infinite values; they are refused otherwise.

    Returns:
        The frame; of a slice without any data, one with `missing` equal to its size.

    Raises:
        ShapeError: infinite values and nothing that clips them.
    """
    sums = FrameSums(image.shape[1], window, clips_infinite=clips_infinite)
    sums.add_whole(image)
    return sums.frame(image.size, step)
