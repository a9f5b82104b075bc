"""Slices brought to the pixel size that a student learned at, and its probabilities brought back.

Parts of slices that no task holds are resampled by the same weights (`part_at`), counted in the whole slice's
pixels, so that a pixel does not depend on the part that it is asked for in. Sums run in another order than those of
`at_shape`: the two agree to float32's rounding.
"""

import numpy as np
from numpy.typing import NDArray

from somray.kernels.grids.pixel_size import check_finer

__all__ = ["at_shape", "part_at", "shape_at", "source_span"]

ALIKE = 0.1
"""Pixel sizes within this share of each other are alike."""


def shape_at(
    shape: tuple[int, int], spacing_mm: tuple[float, float], wanted_mm: tuple[float, float]
) -> tuple[int, int]:
    """Return how many rows and columns a slice has at another pixel size; its own where sizes are alike.

    Raises:
        DataError: `no_space`: pixels are so much larger that a unit must be wrong.
    """
    ratios = [own / wanted for own, wanted in zip(spacing_mm, wanted_mm, strict=True)]
    if all(abs(ratio - 1) <= ALIKE for ratio in ratios):
        return shape
    rows, columns = (max(1, round(n * r)) for n, r in zip(shape, ratios, strict=True))
    check_finer(shape, (rows, columns), spacing_mm, wanted_mm)
    return rows, columns


def at_shape(planes: NDArray[np.float32], shape: tuple[int, int]) -> NDArray[np.float32]:
    """Resample planes (n, y, x) over the same field of view, linearly, averaging where pixels grow.

    Returns:
        (n, *shape) float32; NaN where a pixel that is looked at has no data.
    """
    if planes.shape[1:] == shape:
        return planes
    import torch  # only where planes are resampled

    found = torch.nn.functional.interpolate(
        torch.from_numpy(np.require(planes, requirements=("C", "W")))[None],
        size=shape,
        mode="bilinear",
        antialias=True,
    )
    return np.asarray(found[0].numpy())


def source_span(size: int, other: int, span: tuple[int, int]) -> tuple[int, int]:
    """Return which of an axis's `size` pixels decide about pixels `span` of `other` over the same field of view."""
    if size == other:
        return span
    first, count = _window(size, other, np.arange(span[0], span[1]))
    return int(first[0]), int(first[-1] + count[-1])


def part_at(
    planes: NDArray[np.float32],
    corner: tuple[int, int],
    box: tuple[tuple[int, int], tuple[int, int]],
    shapes: tuple[tuple[int, int], tuple[int, int]],
) -> NDArray[np.float32]:
    """Resample a part of planes as `at_shape` does all of them.

    Args:
        planes: (n, y, x), a part that holds what decides (`source_span`).
        corner: row and column of the whole planes where it begins.
        box: rows and columns wanted, (start, stop) each, at the other pixel size.
        shapes: of the whole planes, and at the other pixel size.

    Returns:
        (n, *box) float32; NaN where a pixel that is looked at has no data.

    Source of the weights: torch's antialiased bilinear interpolation (a triangle of two pixels of the coarser of
    both sizes).
    """
    found = planes
    for axis in (2, 1):
        size, other = shapes[0][axis - 1], shapes[1][axis - 1]
        span, start = box[axis - 1], corner[axis - 1]
        if size == other:
            found = found.take(np.arange(span[0] - start, span[1] - start), axis)
            continue
        where, weights = _taps(size, other, span)
        steps = [1, 1, 1]
        steps[axis] = -1
        total = np.zeros(1, dtype=np.float32)
        for at, weight in zip(where, weights, strict=True):
            total = total + found.take(at - start, axis) * weight.reshape(steps)
        found = total
    return np.ascontiguousarray(found, dtype=np.float32)


def _window(
    size: int, other: int, pixels: NDArray[np.intp]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the first pixel that decides about each, and how many do.

    Rounded as torch does: a pixel at the rim weighs nothing, but that it is looked at decides where data ends.
    """
    scale, center = _centers(size, other, pixels)
    support = max(scale, np.float32(1))
    first = np.maximum(((center - support).astype(np.float64) + 0.5).astype(np.intp), 0)
    last = np.minimum(((center + support).astype(np.float64) + 0.5).astype(np.intp), size)
    return first, last - first


def _centers(
    size: int, other: int, pixels: NDArray[np.intp]
) -> tuple[np.float32, NDArray[np.float32]]:
    """Return an axis's scale, and where among `size` pixels those of `other` have their middles."""
    scale = np.float32(size) / np.float32(other)
    return scale, (np.float64(scale) * (pixels + 0.5)).astype(np.float32)


def _taps(
    size: int, other: int, span: tuple[int, int]
) -> tuple[list[NDArray[np.intp]], list[NDArray[np.float32]]]:
    """Return pixels that decide about a span's, nearest the start first, and their weights."""
    pixels = np.arange(*span)
    first, count = _window(size, other, pixels)
    scale, center = _centers(size, other, pixels)
    narrow = np.float32(1) / max(scale, np.float32(1))
    places = [np.minimum(first + n, first + count - 1) for n in range(int(count.max()))]
    weights = []
    for n in range(len(places)):
        away = np.abs((first + n - center + 0.5) * narrow).astype(np.float32)
        weights.append(np.where(n < count, np.maximum(np.float32(1) - away, 0), 0))
    total = np.sum(weights, axis=0)
    return places, [(weight / total).astype(np.float32) for weight in weights]
