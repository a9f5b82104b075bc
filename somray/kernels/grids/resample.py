"""Pixels resampled once, linear, with NaN where there is nothing to show; labels by the nearest pixel.

NaN spreads to every result whose neighbours hold it with a weight above a thousandth; outside the source
all is NaN, and labels are 0.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from somray.errors import ShapeError

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
    return sample(moving.astype(np.float32), _pixels(moving, sampling, shape))


def warp_label_slice(
    moving: NDArray[np.integer[Any]], sampling: NDArray[np.float64], shape: tuple[int, int]
) -> NDArray[np.integer[Any]]:
    """Resample a slice of labels onto a grid; see `warp_slice`.

    Returns:
        (y, x) of the labels' type, nearest neighbour; 0 where moving shows nothing.

    Raises:
        ShapeError: if moving is not 2D.
    """
    return sample_labels(moving, _pixels(moving, sampling, shape))


def _pixels(
    moving: NDArray[np.generic], sampling: NDArray[np.float64], shape: tuple[int, int]
) -> NDArray[np.float64]:
    """Return (2, y, x): where each pixel of the result lies in the source, y and x."""
    if moving.ndim != 2:
        raise ShapeError(f"moving must be one slice (y, x), got {moving.shape}")
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float64)
    row_x, row_y, row_w = (r[0] * x + r[1] * y + r[2] for r in sampling)
    ahead = row_w > 1e-9  # a homography's horizon shows nothing
    scale = np.where(ahead, row_w, 1.0)
    return np.where(ahead, np.stack([row_y / scale, row_x / scale]), -2.0)
