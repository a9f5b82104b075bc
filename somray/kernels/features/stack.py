"""Features of a slice, channel by channel."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from somray.errors import ShapeError
from somray.kernels.features.border import pad_slice
from somray.kernels.features.filters import FLOOR_FRACTION, level_of, write_features

__all__ = ["FEATURES", "feature_stack", "features"]

FEATURES: tuple[str, ...] = (
    "intensity",  # the windowed value
    "edge",  # gradient magnitude per mm
    "local_contrast",  # standard deviation over 5×5
    "thickness",  # curvature per mm²: above 0 on thin bright structures, below 0 in small holes
    "mean3",  # mean over 3×3
    "mean5",  # mean over 5×5
    "anisotropy_p",  # (Jxx - Jyy)/(Jxx + Jyy) of the smoothed structure tensor
    "anisotropy_q",  # 2 Jxy/(Jxx + Jyy)
    "ratio_row_column",  # mean of 5 pixels along the row to mean of 5 along the column
    "ratio_local_global",  # mean over 5×5 to the mean of the slice
)
"""The features in the order of every stack; `filters.write_features` writes them in this order."""

Window = tuple[float, float]


def _checked_window(window: Window | None, where: str) -> Window | None:
    """Refuse a window that is not (low, high) with low < high."""
    if window is None:
        return None
    low, high = float(window[0]), float(window[1])
    if not (np.isfinite(low) and np.isfinite(high) and low < high):
        raise ShapeError(f"window{where} must be (low, high) with low < high, got {window}")
    return low, high


def _checked_spacing(spacing_mm: tuple[float, float]) -> NDArray[np.float64]:
    step = np.asarray(spacing_mm, dtype=np.float64)
    if step.shape != (2,) or not np.isfinite(step).all() or step.min() <= 0:
        raise ShapeError(f"spacing_mm must be two positive lengths (y, x), got {spacing_mm}")
    return step


def _write_channel(
    slice_: NDArray[np.float32],
    window: Window | None,
    step: NDArray[np.float64],
    out: NDArray[np.float32],
) -> None:
    """Fill `out` (10, y, x) with the features of one channel."""
    padded, holes, missing = pad_slice(slice_, window)
    if missing < 0:
        raise ShapeError(
            "the slice holds infinite values; mark pixels without data as NaN, or give a window"
        )
    if missing == slice_.size:
        out[:] = np.nan
        return
    mean, low, high = level_of(padded, holes)
    if window is not None:
        low, high = 0.0, 1.0
    floor = FLOOR_FRACTION * (high - low) if high > low else 1.0
    write_features(padded, step, (mean, low, floor), out)
    if missing:
        out[:, holes] = np.nan


def features(
    slice_: NDArray[np.float32],
    window: Window | None = None,
    spacing_mm: tuple[float, float] = (1.0, 1.0),
) -> NDArray[np.float32]:
    """Compute all features of one channel of a slice.

    Args:
        slice_: (y, x) values, NaN where there is no data.
        window: (low, high) that clips and scales the values to [0, 1]; None leaves them.
        spacing_mm: distance between pixels along (y, x).

    Returns:
        (f, y, x) float32 in the order of `FEATURES`; NaN where the slice is NaN.

    Raises:
        ShapeError: not two-dimensional, empty, infinite without a window, window or spacing wrong.

    Cost: about 200 operations per pixel; memory of the slice in float64 beside the result.
    """
    array = np.asarray(slice_)
    if array.ndim != 2 or array.size == 0:
        raise ShapeError(f"a slice must be (y, x) with at least one pixel, got shape {array.shape}")
    array = np.ascontiguousarray(array, dtype=np.float32)
    out = np.empty((len(FEATURES), *array.shape), dtype=np.float32)
    _write_channel(array, _checked_window(window, ""), _checked_spacing(spacing_mm), out)
    return out


def feature_stack(
    image: NDArray[np.float32],
    windows: Sequence[Window | None],
    names: Sequence[str] = FEATURES,
    spacing_mm: tuple[float, float] = (1.0, 1.0),
) -> NDArray[np.float32]:
    """Compute chosen features of every channel of a slice.

    Args:
        image: (c, y, x) values, NaN where there is no data.
        windows: per channel (low, high) or None.
        names: features to keep, in the order wanted.
        spacing_mm: distance between pixels along (y, x).

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
    unknown = [name for name in names if name not in FEATURES]
    if unknown:
        raise ShapeError(f"unknown features {unknown}; known: {', '.join(FEATURES)}")
    array = np.ascontiguousarray(array, dtype=np.float32)
    step = _checked_spacing(spacing_mm)
    keep = [FEATURES.index(name) for name in names]
    out = np.empty((len(array), len(keep), *array.shape[1:]), dtype=np.float32)
    scratch = np.empty((len(FEATURES), *array.shape[1:]), dtype=np.float32)
    whole = keep == list(range(len(FEATURES)))
    for channel, (plane, window) in enumerate(zip(array, windows, strict=True)):
        target = out[channel] if whole else scratch
        _write_channel(plane, _checked_window(window, f" of channel {channel}"), step, target)
        if not whole:
            out[channel] = scratch[keep]
    return out.reshape(-1, *array.shape[1:])
