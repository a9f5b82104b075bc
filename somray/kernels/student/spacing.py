"""Slices brought to the pixel size that a student learned at, and its probabilities brought back."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

__all__ = ["at_shape", "shape_at"]

ALIKE = 0.1
"""Pixel sizes within this share of each other are alike."""


def shape_at(
    shape: tuple[int, int], spacing_mm: tuple[float, float], wanted_mm: tuple[float, float]
) -> tuple[int, int]:
    """Return how many rows and columns a slice has at another pixel size; its own where sizes are alike."""
    ratios = [own / wanted for own, wanted in zip(spacing_mm, wanted_mm, strict=True)]
    if all(abs(ratio - 1) <= ALIKE for ratio in ratios):
        return shape
    rows, columns = (max(1, round(n * r)) for n, r in zip(shape, ratios, strict=True))
    return rows, columns


def at_shape(planes: NDArray[np.float32], shape: tuple[int, int]) -> NDArray[np.float32]:
    """Resample planes (n, y, x) over the same field of view, linearly, averaging where pixels grow.

    Returns:
        (n, *shape) float32; NaN where a pixel that is looked at has no data.
    """
    if planes.shape[1:] == shape:
        return planes
    found = functional.interpolate(
        torch.from_numpy(np.ascontiguousarray(planes))[None],
        size=shape,
        mode="bilinear",
        antialias=True,
    )
    return np.asarray(found[0].numpy())
