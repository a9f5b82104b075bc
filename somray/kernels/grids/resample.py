"""Pixels resampled once, linear, with NaN where there is nothing to show; labels by the nearest pixel.

NaN spreads to every result whose neighbours hold it with a weight above a thousandth; outside the source
all is NaN, and labels are 0.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from somray.errors import ShapeError
from somray.kernels.compiled import compiled

__all__ = ["sample", "sample_labels", "warp_label_slice", "warp_slice"]

_EDGE = 1e-6  # voxels: rounding of a matrix must not cost the border its value
_TRUSTED = 0.999  # share of valid data under a sample


def sample(source: NDArray[np.floating], coordinates: NDArray[np.float64]) -> NDArray[np.float32]:
    """Read an array between its grid points, linear.

    Args:
        source: (z, y, x) or (y, x); NaN means no data.
        coordinates: (axes, …) positions in index units, in the source's axis order.

    Returns:
        (…) float32; NaN outside and next to missing data.
    """
    inside, outside = _within(source.shape, coordinates, _EDGE)
    valid = np.isfinite(source)
    values = np.where(valid, source, 0.0).astype(np.float32)
    result = ndimage.map_coordinates(values, inside, order=1, mode="nearest")
    if not valid.all():
        share = ndimage.map_coordinates(valid.astype(np.float32), inside, order=1, mode="nearest")
        outside |= share < _TRUSTED
    result[outside] = np.nan
    return np.asarray(result, dtype=np.float32)


def sample_labels(
    source: NDArray[np.integer[Any]], coordinates: NDArray[np.float64]
) -> NDArray[np.integer[Any]]:
    """Read labels at the nearest grid point.

    Args:
        source: (z, y, x) or (y, x) integers.
        coordinates: as for `sample`.

    Returns:
        (…) of the source's type; 0 outside.
    """
    inside, outside = _within(source.shape, coordinates, 0.5)
    nearest = tuple(np.floor(axis + 0.5).astype(np.intp) for axis in inside)
    return np.where(outside, source.dtype.type(0), source[nearest])


def _within(
    shape: tuple[int, ...], coordinates: NDArray[np.float64], reach: float
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Clip positions to a grid and tell which lay farther than `reach` outside it."""
    top = (np.array(shape, dtype=np.float64) - 1).reshape(-1, *[1] * (coordinates.ndim - 1))
    outside = ((coordinates < -reach) | (coordinates > top + reach)).any(axis=0)
    return np.clip(coordinates, 0.0, top), np.asarray(outside)


def warp_slice(
    moving: NDArray[np.generic], sampling: NDArray[np.float64], shape: tuple[int, int]
) -> NDArray[np.float32]:
    """Resample a slice onto a grid.

    Args:
        moving: (y, x), any number type; NaN means no data.
        sampling: (3, 3) pixels of the result to pixels of `moving`.
        shape: rows and columns of the result.

    Returns:
        (y, x) float32, linear; NaN where moving shows nothing.

    Raises:
        ShapeError: if moving is not 2D.
    """
    _check(moving)
    found = np.empty(shape, dtype=np.float32)
    values = np.ascontiguousarray(moving, dtype=np.float32)
    _fill(values, np.ascontiguousarray(sampling, dtype=np.float64), found)
    return found


def warp_label_slice(
    moving: NDArray[np.integer[Any]], sampling: NDArray[np.float64], shape: tuple[int, int]
) -> NDArray[np.integer[Any]]:
    """Resample a slice of labels onto a grid; see `warp_slice`.

    Returns:
        (y, x) of the labels' type, nearest neighbour; 0 where moving shows nothing.

    Raises:
        ShapeError: if moving is not 2D.
    """
    _check(moving)
    found = np.zeros(shape, dtype=moving.dtype)
    _pick(np.ascontiguousarray(moving), np.ascontiguousarray(sampling, dtype=np.float64), found)
    return found


def _check(moving: NDArray[np.generic]) -> None:
    if moving.ndim != 2:
        raise ShapeError(f"moving must be one slice (y, x), got {moving.shape}")


@compiled
def _place(sampling: NDArray[np.float64], y: int, x: int) -> tuple[float, float]:
    """Return where a pixel of the result lies in the source, y and x; a homography's horizon outside it."""
    away = sampling[2, 0] * x + sampling[2, 1] * y + sampling[2, 2]
    if not away > 1e-9:
        return -2.0, -2.0
    down = sampling[1, 0] * x + sampling[1, 1] * y + sampling[1, 2]
    along = sampling[0, 0] * x + sampling[0, 1] * y + sampling[0, 2]
    return (down, along) if away == 1.0 else (down / away, along / away)


@compiled
def _over_gaps(
    values: tuple[float, float, float, float],
    along: tuple[float, float],
    across: tuple[float, float],
) -> float:
    """Return the weighted values of those of four pixels that hold data; NaN where they weigh too little."""
    total = share = 0.0
    for n in range(4):
        down, right = along[n // 2], across[n % 2]
        if np.isfinite(values[n]):
            total += values[n] * down * right
            share += down * right
    return np.nan if np.float32(share) < np.float32(_TRUSTED) else total


@compiled
def _fill(
    moving: NDArray[np.float32], sampling: NDArray[np.float64], found: NDArray[np.float32]
) -> None:
    """Do to whole slices what `sample` does, to the bit: scipy's linear weights, added in its order."""
    flat, width = moving.ravel(), np.uint64(moving.shape[1])
    low, high, wide = -_EDGE, moving.shape[0] - 1, moving.shape[1] - 1
    for y in range(found.shape[0]):
        for x in range(found.shape[1]):
            v, u = _place(sampling, y, x)
            if not (low <= v <= high + _EDGE and low <= u <= wide + _EDGE):
                found[y, x] = np.nan
                continue
            v, u = min(max(v, 0.0), float(high)), min(max(u, 0.0), float(wide))
            j, i = int(v), int(u)
            down, right = v - j, u - i
            # Unsigned: an index that cannot be negative needs no branch.
            at = np.uint64(j) * width + np.uint64(i)
            beside = at + np.uint64(1 if i < wide else 0)
            step = width if j < high else np.uint64(0)
            values = (flat[at], flat[beside], flat[at + step], flat[beside + step])
            up, left = 1.0 - down, 1.0 - right
            total = values[0] * up * left + values[1] * up * right
            total = total + values[2] * down * left + values[3] * down * right
            if total - total != 0.0:
                total = _over_gaps(values, (up, down), (left, right))
            found[y, x] = total


@compiled
def _pick(
    moving: NDArray[np.integer[Any]],
    sampling: NDArray[np.float64],
    found: NDArray[np.integer[Any]],
) -> None:
    """Fill a slice with the nearest labels; what lies outside stays."""
    high, wide = moving.shape[0] - 1, moving.shape[1] - 1
    for y in range(found.shape[0]):
        for x in range(found.shape[1]):
            v, u = _place(sampling, y, x)
            if -0.5 <= v <= high + 0.5 and -0.5 <= u <= wide + 0.5:
                v, u = min(max(v, 0.0), float(high)), min(max(u, 0.0), float(wide))
                found[y, x] = moving[np.uint64(v + 0.5), np.uint64(u + 0.5)]
