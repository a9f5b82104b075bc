"""Volumes made ready for registration: one window, smoothed and resampled to a working spacing.

A reduced volume keeps its own axes; its `Geometry` says where the voxels lie, so fixed and moving may be
oblique, flipped and of different spacing.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from somray.domain.geometry import Geometry
from somray.errors import ShapeError

__all__ = ["Grid", "GriddedVolume", "Window", "joint_window", "prepare_volume"]

Float32 = NDArray[np.float32]

_WINDOW_PERCENTILES = (0.5, 99.5)
_SAMPLED = 262144  # voxels that the window is taken from


Window = tuple[float, float]
"""Values that become 0 and 1."""


@dataclass(frozen=True, eq=False)
class GriddedVolume:
    """A volume (z, y, x) of any float range, NaN for no data, and the grid that it lies on; messages call it by `name`.

    Raises:
        ShapeError: if the two differ in shape.
    """

    values: NDArray[np.floating]
    geometry: Geometry
    name: str = "volume"

    def __post_init__(self) -> None:
        """Refuse a volume that is not on its grid."""
        if self.values.shape != self.geometry.shape:
            shapes = f"{self.values.shape} does not fit its geometry {self.geometry.shape}"
            raise ShapeError(f"{self.name} {shapes}")


@dataclass(frozen=True, eq=False)
class Grid:
    """A windowed volume at working spacing.

    Args:
        image: (z, y, x) float32, 0..1; 0 where there is no data.
        weight: (z, y, x) float32, share of valid data.
        geometry: where the voxels lie.
    """

    image: Float32
    weight: Float32
    geometry: Geometry


def joint_window(one: NDArray[np.floating], other: NDArray[np.floating]) -> Window | None:
    """Choose one window for both volumes, so that equal tissue stays equal.

    Returns:
        Low and high value, or None where a volume shows nothing.
    """
    ranges = []
    for volume in (one, other):
        stride = max(1, volume.size // _SAMPLED)
        # An odd stride that shares no factor with the row length meets all columns.
        while stride > 1 and np.gcd(stride, volume.shape[-1]) > 1:
            stride += 1
        values = volume.ravel()[::stride]
        values = values[np.isfinite(values)].astype(np.float64)
        if values.size < 512:
            return None
        low, high = np.percentile(values, _WINDOW_PERCENTILES)
        if not high - low > 1e-6 * max(abs(low), abs(high)):
            low, high = values.min(), values.max()
        if not high - low > 1e-6 * max(abs(low), abs(high)):
            return None
        ranges.append((float(low), float(high)))
    return min(r[0] for r in ranges), max(r[1] for r in ranges)


def prepare_volume(source: GriddedVolume, window: Window, spacing_mm: float) -> Grid:
    """Window a volume and bring every axis that is finer than `spacing_mm` to that spacing.

    Args:
        source: the volume.
        window: values that become 0 and 1.
        spacing_mm: working spacing; coarser axes are left as they are.
    """
    volume, geometry = source.values, source.geometry
    low, high = window
    valid = np.isfinite(volume)
    scaled = np.clip((np.where(valid, volume, low) - low) / (high - low), 0, 1).astype(np.float32)
    weight = valid.astype(np.float32)
    scaled *= weight
    all_valid = bool(valid.all())
    matrix = geometry.matrix.copy()
    for axis, step in enumerate(geometry.spacing_mm):
        factor = spacing_mm / step
        if factor > 1.05 and volume.shape[axis] > 1:
            scaled, first = _thinned(scaled, axis, factor)
            if not all_valid:
                weight, _ = _thinned(weight, axis, factor)
            column = 2 - axis  # affine columns run x, y, z
            matrix[:3, 3] += matrix[:3, column] * first
            matrix[:3, column] *= factor
    if all_valid:
        weight = np.ones(scaled.shape, dtype=np.float32)
    image = np.divide(scaled, weight, out=np.zeros_like(scaled), where=weight > 0.05)
    depth, rows, columns = image.shape
    return Grid(image, weight, Geometry.from_matrix((depth, rows, columns), matrix))


def _thinned(array: Float32, axis: int, factor: float) -> tuple[Float32, float]:
    """Smooth along one axis and read it every `factor` voxels; also return where reading starts."""
    smooth = ndimage.gaussian_filter1d(array, 0.4 * factor, axis=axis, mode="nearest", truncate=3.0)
    size = array.shape[axis]
    count = max(1, int((size - 1) / factor + 1e-9) + 1)
    first = ((size - 1) - (count - 1) * factor) / 2.0
    position = first + factor * np.arange(count)
    below = np.clip(np.floor(position).astype(np.int64), 0, max(0, size - 2))
    share = (position - below).astype(np.float32)
    wide = [1] * array.ndim
    wide[axis] = count
    share = share.reshape(wide)
    left = np.take(smooth, below, axis=axis)
    right = np.take(smooth, np.minimum(below + 1, size - 1), axis=axis)
    return np.asarray(left * (1 - share) + right * share, dtype=np.float32), first
