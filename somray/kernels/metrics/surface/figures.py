"""Figures of two surfaces that are held in blocks: the same as of whole masks, in bounded memory.

Squared distances are exact up to the last digit of a double; nothing depends on how surfaces are cut into blocks.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from somray.kernels.metrics.surface.blocks import SurfaceBlock, SurfaceDistances, SurfaceSearch
from somray.kernels.metrics.surface.cells import EQUAL, areas_of

__all__ = ["CellBlock", "surface_dice_of", "surface_distance_95_of"]

Spacing = tuple[float, float, float]


@dataclass(frozen=True, eq=False)
class CellBlock(SurfaceBlock):
    """Cells that a surface runs through.

    Args:
        codes: gives which corners of every cell lie inside, (n,) uint8, in the order of the points.
    """

    codes: Callable[[], NDArray[np.uint8]]


def surface_distance_95_of(
    one: Sequence[SurfaceBlock], other: Sequence[SurfaceBlock], spacing_mm: Spacing
) -> float | None:
    """Measure the 95th percentile of the distances between two surfaces' rim voxels, both ways.

    Args:
        one: blocks of the one surface.
        other: blocks of the other.
        spacing_mm: distance of voxel centres along z, y, x.

    Returns:
        The larger way's, in mm; None where a surface is missing.

    Source: Huttenlocher et al., "Comparing images using the Hausdorff distance", 1993, in its
    95th-percentile form.
    """
    if not one or not other:
        return None
    return max(_directed_95(one, other, spacing_mm), _directed_95(other, one, spacing_mm))


def _directed_95(
    start: Sequence[SurfaceBlock], end: Sequence[SurfaceBlock], spacing_mm: Spacing
) -> float:
    search, found = SurfaceSearch(end, spacing_mm), SurfaceDistances()
    for block in start:
        found.add(search.squared_mm2(block.load()))
    return found.percentile_mm(95.0)


def surface_dice_of(
    one: Sequence[CellBlock], other: Sequence[CellBlock], spacing_mm: Spacing, tolerance_mm: float
) -> float | None:
    """Measure which share of both surfaces' area lies within a tolerance of the other surface.

    Args:
        one: cells of the one surface.
        other: cells of the other.
        spacing_mm: distance of voxel centres along z, y, x.
        tolerance_mm: largest distance of a piece of surface that counts as met, itself included.

    Returns:
        0 to 1; None where both surfaces are missing.

    Source: Nikolov et al., "Deep learning to achieve clinically applicable segmentation of head and neck
    anatomy for radiotherapy", arXiv 1809.04430, 2018; the cells and weights of their `surface-distance`.
    """
    if not one and not other:
        return None
    areas = areas_of(spacing_mm)
    near = whole = 0.0
    for start, end in ((one, other), (other, one)):
        search = SurfaceSearch(end, spacing_mm)
        counts = np.zeros((2, len(areas)), dtype=np.int64)  # met or not, by kind of cell
        for block in start:
            squared = search.squared_mm2(block.load(), tolerance_mm * EQUAL)
            codes = block.codes()
            counts[0] += np.bincount(codes[np.isfinite(squared)], minlength=len(areas))
            counts[1] += np.bincount(codes, minlength=len(areas))
        met, both = (
            sum(int(n) * area for n, area in zip(kind, areas, strict=True)) for kind in counts
        )
        near, whole = near + met, whole + both
    return near / whole
