"""Planes brought to another pixel size over the same extent.

Averaged over areas where pixels get larger, linearly interpolated where they get smaller; the edge pixel
continues beyond the border.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from somray.errors import DataError, ShapeError
from somray.kernels.compiled import compiled
from somray.kernels.grids.patch import Box, Patch

__all__ = [
    "SPACING_TOLERANCE",
    "Raster",
    "Taps",
    "brought_part",
    "brought_to_spacing",
    "check_finer",
    "checked_spacing",
    "has_other_spacing",
    "raster_of",
]

Plane = NDArray[np.float32]
Spacing = tuple[float, float]
Taps = tuple[NDArray[np.int64], Plane]
"""First pixels that a pixel is made of, and their weights."""

SPACING_TOLERANCE = 0.1
"""Share by which pixel sizes may differ before a slice is brought to the reference's (test_spacing:
class maps of a drawn scene still agree at 10 %, and resampling is not free of smoothing itself)."""
FINER, MOST_PIXELS = 8.0, 1 << 26
"""Times that pixels may get smaller whatever becomes of them, and beyond that how many a plane may become: the next
units of length are a thousandfold apart, and a plane of such pixels would fill any memory."""


def checked_spacing(spacing_mm: Sequence[float], axes: str = "y, x") -> NDArray[np.float64]:
    """Refuse a spacing that is not one positive length per axis."""
    step = np.asarray(spacing_mm, dtype=np.float64)
    count = len(axes.split(", "))
    if step.shape != (count,) or not all(math.isfinite(s) and s > 0 for s in step.tolist()):
        raise ShapeError(
            f"spacing_mm must be {count} positive lengths ({axes}), got {tuple(spacing_mm)}"
        )
    return step


def has_other_spacing(spacing_mm: Spacing, reference_mm: Spacing) -> bool:
    """Tell whether pixels differ from the reference's by more than `SPACING_TOLERANCE`."""
    own, wanted = checked_spacing(spacing_mm).tolist(), checked_spacing(reference_mm).tolist()
    ratios = [a / b for a, b in zip(own, wanted, strict=True)]
    return any(max(ratio, 1.0 / ratio) > 1.0 + SPACING_TOLERANCE for ratio in ratios)


def _taps(count: int, wanted: int) -> Taps:
    """Return the first pixel (wanted,) and the weights (wanted, t) of `count` pixels made `wanted`.

    Areas where pixels get larger, linear interpolation between centres where they get smaller; the edge
    pixel continues beyond the border.
    """
    step = count / wanted
    reach = int(np.ceil(max(step, 1.0))) + 1
    low = np.arange(wanted) * step
    centre = low + 0.5 * step - 0.5
    first = np.floor(low if step >= 1.0 else centre).astype(np.int64)
    pixel = first[:, None] + np.arange(reach)
    if step >= 1.0:
        inside = np.minimum(pixel + 1.0, (low + step)[:, None]) - np.maximum(pixel, low[:, None])
        weights = np.maximum(inside, 0.0) / step
    else:
        weights = np.maximum(1.0 - np.abs(pixel - centre[:, None]), 0.0)
    # What would lie beyond the border falls on the edge pixel.
    begin = np.clip(first, 0, max(0, count - reach))
    folded = np.zeros((wanted, reach))
    place = np.clip(pixel, 0, count - 1) - begin[:, None]
    np.add.at(folded, (np.arange(wanted)[:, None], place), weights)
    return begin, (folded / folded.sum(axis=1, keepdims=True)).astype(np.float32)


@compiled
def _resample(plane: Plane, rows: Taps, columns: Taps) -> Plane:
    """Apply taps down the columns, then along the rows."""
    y_first, y_taps = rows
    x_first, x_taps = columns
    height, width = plane.shape
    out = np.empty((y_first.size, x_first.size), dtype=np.float32)
    line = np.empty(width, dtype=np.float32)
    for y in range(y_first.size):
        line[:] = np.float32(0)
        for k in range(min(y_taps.shape[1], height)):
            source, tap = plane[y_first[y] + k], y_taps[y, k]
            for x in range(width):
                line[x] += tap * source[x]
        for x in range(x_first.size):
            total = np.float32(0)
            for k in range(min(x_taps.shape[1], width)):
                total += x_taps[x, k] * line[x_first[x] + k]
            out[y, x] = total
    return out


class Raster(NamedTuple):
    """How planes of one shape are brought to another pixel size.

    Args:
        shape: (y, x) wanted.
        step: its exact distance of pixels in mm.
        rows: taps along y.
        columns: taps along x.
    """

    shape: tuple[int, int]
    step: NDArray[np.float64]
    rows: Taps
    columns: Taps

    def source_of(self, box: Box) -> Box:
        """Return the pixels of the plane that a box (not empty) of the wanted one is made of."""
        (y0, y1), (x0, x1) = _span(self.rows, box[:2]), _span(self.columns, box[2:])
        return y0, y1, x0, x1


def _span(taps: Taps, part: tuple[int, ...]) -> tuple[int, int]:
    first, weights = taps
    return int(first[part[0]]), int(first[part[1] - 1]) + weights.shape[1]


def check_finer(
    shape: tuple[int, int], wanted: tuple[int, int], spacing_mm: Spacing, reference_mm: Spacing
) -> None:
    """Refuse to bring a plane (y, x) to a shape that only a wrong unit asks for.

    Raises:
        DataError: `no_space`.
    """
    if wanted[0] * wanted[1] > max(MOST_PIXELS, FINER * FINER * shape[0] * shape[1]):
        own, reference = (math.sqrt(y * x) for y, x in (spacing_mm, reference_mm))
        raise DataError(
            "no_space",
            f"its pixels are {own:.3g} mm wide, those of the reference slices {reference:.3g} mm; correct the header "
            "of the one whose unit is wrong, or give either a protocol of its own",
        )


def raster_of(shape: tuple[int, int], spacing_mm: Spacing, reference_mm: Spacing) -> Raster:
    """Say how planes (y, x) are brought to pixels of about the reference's size.

    Args:
        shape: (y, x) of the planes.
        spacing_mm: their distance of pixels along (y, x).
        reference_mm: the distance wanted; met exactly but for a whole number of pixels.

    Raises:
        ShapeError: a spacing is not positive.
        DataError: `no_space`: pixels are so much larger than the reference's that a unit must be wrong.
    """
    step, wanted = checked_spacing(spacing_mm), checked_spacing(reference_mm)
    y, x = (max(1, round(n * a / b)) for n, a, b in zip(shape, step, wanted, strict=True))
    check_finer(shape, (y, x), spacing_mm, reference_mm)
    rows, columns = _taps(shape[0], y), _taps(shape[1], x)
    return Raster((y, x), step * np.array(shape) / np.array((y, x)), rows, columns)


def brought_part(patch: Patch, raster: Raster, box: Box, *, has_holes: bool) -> Plane:
    """Bring a part of a plane to another pixel size: the bits of the whole plane brought there.

    Args:
        patch: holds at least `raster.source_of(box)`.
        raster: of the plane.
        box: the part wanted, in pixels of the plane wanted.
        has_holes: whether the plane has pixels without data (NaN) anywhere.

    Raises:
        ShapeError: the patch holds less.
    """
    source = raster.source_of(box)
    limited = (source[0], min(source[1], patch.shape[0]), source[2], min(source[3], patch.shape[1]))
    if not patch.holds(limited):
        raise ShapeError(f"{limited} lies outside what is held from {patch.corner} on")
    (y_first, y_taps), (x_first, x_taps) = raster.rows, raster.columns
    rows = y_first[box[0] : box[1]] - source[0], y_taps[box[0] : box[1]]
    columns = x_first[box[2] : box[3]] - source[2], x_taps[box[2] : box[3]]
    plane = np.ascontiguousarray(patch.at(limited))
    if not has_holes:
        return _resample(plane, rows, columns)
    holes = np.isnan(plane)
    there = _resample((~holes).astype(np.float32), rows, columns)
    total = _resample(np.where(holes, np.float32(0), plane), rows, columns)
    with np.errstate(invalid="ignore"):
        return np.where(there > 0, total / there, np.float32(np.nan))


def brought_to_spacing(
    plane: Plane, spacing_mm: Spacing, reference_mm: Spacing
) -> tuple[Plane, NDArray[np.float64]]:
    """Resample one channel of a slice to pixels of about the reference's size.

    Args:
        plane: (y, x) float32, NaN where there is no data.
        spacing_mm: its distance of pixels along (y, x).
        reference_mm: the distance wanted.

    Returns:
        The plane over the same extent, and its exact distance of pixels: the one wanted, but for a whole
        number of pixels. NaN where nothing that is there contributes.

    Raises:
        ShapeError: spacing not positive, or infinite values, which have no mean.
        DataError: as `raster_of`.
    """
    if np.isinf(plane).any():
        raise ShapeError("a slice holds infinite values; mark pixels without data as NaN")
    patch = Patch.whole(plane)
    raster = raster_of(patch.shape, spacing_mm, reference_mm)
    everything = (0, raster.shape[0], 0, raster.shape[1])
    has_holes = bool(np.isnan(plane).any())
    return brought_part(patch, raster, everything, has_holes=has_holes), raster.step
