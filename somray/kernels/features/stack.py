"""Features of a slice, channel by channel and band by band."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from somray.errors import ShapeError
from somray.kernels.features.band import Band, Frame, Tile
from somray.kernels.features.border import frame_of, mask_holes, pad_tile
from somray.kernels.features.filters import CORE_LINES
from somray.kernels.features.table import FEATURES, FeaturePlan, plan_of
from somray.kernels.grids.patch import Patch
from somray.kernels.grids.pixel_size import checked_spacing

__all__ = ["FeatureStream", "checked_window", "feature_stack", "features"]

Window = tuple[float, float]
Plane = NDArray[np.float32]

BAND_PIXELS = 32_768
"""Pixels of a band: its padded copy stays in the second-level cache (bench_features)."""


def checked_window(window: Window | None, where: str) -> Window | None:
    """Refuse a window that is not (low, high) with low < high."""
    if window is None:
        return None
    low, high = float(window[0]), float(window[1])
    if not (np.isfinite(low) and np.isfinite(high) and low < high):
        raise ShapeError(f"window{where} must be (low, high) with low < high, got {window}")
    return low, high


class FeatureStream:
    """Features of one channel, written band by band from the top of some columns to the bottom.

    Args:
        patch: the slice, or a part that reaches twice the plan's halo beyond what is asked for, wherever the
            slice does.
        frame: scale of the slice.
        plan: what to write.
        columns: first column of the slice and the one after the last.
        rows: most rows of a band.
    """

    def __init__(
        self,
        patch: Patch,
        frame: Frame,
        plan: FeaturePlan,
        columns: tuple[int, int],
        rows: int,
    ) -> None:
        width = columns[1] - columns[0] + 2 * plan.halo
        top, left = patch.corner
        self._plane, self._frame, self._plan, self._top = patch.pixels, frame, plan, top
        self._columns = columns[0] - left, columns[1] - left
        self._padded = np.empty((rows + 2 * plan.halo, width), dtype=np.float32)
        self._work = np.empty((CORE_LINES, width), dtype=np.float32)
        self._next = -1

    def write(self, y0: int, y1: int, out: Plane, into: int) -> None:
        """Write rows [y0, y1) of the slice into `out` (f, y, x) from its row `into`; holes hold anything."""
        halo, y0, y1 = self._plan.halo, y0 - self._top, y1 - self._top
        padded = self._padded[: y1 - y0 + 2 * halo]
        pad_tile(self._plane, Tile(y0, y1, *self._columns), halo, self._frame, padded)
        band = Band(padded, halo, y0, into, y0 != self._next, self._work, self._frame)
        for write, slots in self._plan.calls:
            write(band, slots, out)
        self._next = y1


def _write_channel(plane: Plane, frame: Frame, plan: FeaturePlan, out: Plane, threads: int) -> None:
    """Fill `out` (f, y, x) with the features of one channel, rows divided among threads."""
    if frame.missing == plane.size:
        out[:] = np.nan
        return
    rows, columns = plane.shape
    height = max(8, BAND_PIXELS // columns)

    def write(begin: int, end: int) -> None:
        stream = FeatureStream(Patch.whole(plane), frame, plan, (0, columns), min(height, rows))
        for y in range(begin, end, height):
            stream.write(y, min(y + height, end), out, y)
        if frame.missing:
            mask_holes(plane, (begin, end), out)

    if threads <= 1 or rows < 2 * threads:
        write(0, rows)
        return
    edges = [rows * part // threads for part in range(threads + 1)]
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(write, edges[:-1], edges[1:]))


def features(
    slice_: NDArray[np.float32],
    window: Window | None = None,
    spacing_mm: tuple[float, float] = (1.0, 1.0),
    threads: int = 1,
) -> NDArray[np.float32]:
    """Compute all features of one channel of a slice.

    Args:
        slice_: (y, x) values, NaN where there is no data.
        window: (low, high) that clips and scales the values to [0, 1]; None leaves them.
        spacing_mm: distance between pixels along (y, x).
        threads: that rows are divided among; the result does not depend on them.

    Returns:
        (f, y, x) float32 in the order of `FEATURES`; NaN where the slice is NaN.

    Raises:
        ShapeError: not two-dimensional, empty, infinite without a window, window or spacing wrong.

    Cost: about 200 operations per pixel; memory of the result and of a band.
    """
    array = np.asarray(slice_)
    if array.ndim != 2 or array.size == 0:
        raise ShapeError(f"a slice must be (y, x) with at least one pixel, got shape {array.shape}")
    return feature_stack(array[None], [window], FEATURES, spacing_mm, threads)


def feature_stack(
    image: NDArray[np.float32],
    windows: Sequence[Window | None],
    names: Sequence[str] = FEATURES,
    spacing_mm: tuple[float, float] = (1.0, 1.0),
    threads: int = 1,
) -> NDArray[np.float32]:
    """Compute chosen features of every channel of a slice.

    Args:
        image: (c, y, x) values, NaN where there is no data.
        windows: per channel (low, high) or None.
        names: features to keep, in the order wanted.
        spacing_mm: distance between pixels along (y, x).
        threads: that rows are divided among; the result does not depend on them.

    Returns:
        (c·f, y, x) float32, channel-major: all features of the first channel, then the next.

    Raises:
        ShapeError: shapes do not fit, or a feature is unknown.
    """
    array = np.asarray(image)
    if array.ndim != 3 or array.size == 0:
        raise ShapeError(f"an image must be (c, y, x) with pixels in it, got shape {array.shape}")
    if len(windows) != len(array):
        raise ShapeError(f"{len(windows)} windows for {len(array)} channels")
    array = np.ascontiguousarray(array, dtype=np.float32)
    plan, step = plan_of(names), checked_spacing(spacing_mm)
    out = np.empty((len(array), plan.planes, *array.shape[1:]), dtype=np.float32)
    for channel, (plane, window) in enumerate(zip(array, windows, strict=True)):
        where = f" of channel {channel}" if len(array) > 1 else ""
        frame = frame_of(plane, checked_window(window, where), step)
        _write_channel(plane, frame, plan, out[channel], threads)
    return out.reshape(-1, *array.shape[1:])
