"""A whole time point, small enough to stand in a page: block means, class numbers and masks on one upright grid.

Read slab by slab from the coarsest stored level that is fine enough, so that memory follows the small volume and
a slab, never the scan. The grid is turned to superior, posterior, left where the scan's directions are known.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from somray.domain.geometry import Geometry
from somray.kernels.objects.grid import BlockMeans, ObjectGrid, object_grid
from somray.report.data.scan import ScanPixels

__all__ = ["SmallVolume", "small_volume"]

DRAWN = ("student", "lesions")  # labels whose every speck must stay visible


@dataclass(frozen=True, eq=False)
class SmallVolume:
    """One time point of a scan on a coarse, upright grid.

    Args:
        image: (c, z, y, x) means of what is known in each block, NaN where nothing is.
        classes: (z, y, x) class number in the middle of each block, 0 where there is no map.
        masks: name to (z, y, x) bool: student and lesions wherever they cover any of a block, truth where it
            covers its middle; what does not exist is left out.
        grid: how blocks lie in the scan.
    """

    image: NDArray[np.float32]
    classes: NDArray[np.uint8]
    masks: dict[str, NDArray[np.bool_]]
    grid: ObjectGrid

    @property
    def to_world(self) -> NDArray[np.float64]:
        """4×4 matrix from block index (x, y, z, 1) to patient LPS in mm."""
        corners = self.grid.to_world(np.vstack([np.zeros(3), np.eye(3)[::-1]]))
        matrix = np.eye(4)
        matrix[:3, :3] = (corners[1:] - corners[0]).T
        matrix[:3, 3] = corners[0]
        return matrix


def small_volume(pixels: ScanPixels, size_mm: float, t: int = 0) -> SmallVolume:
    """Read one time point in blocks of about a size.

    Args:
        pixels: of the scan.
        size_mm: wanted edge of a block; none is smaller than a voxel.
        t: time index.
    """
    level = pixels.level_for(size_mm)
    geometry = pixels.level_geometry(level)
    grid = object_grid(geometry, size_mm, pixels.meta.anatomical)
    drawn = [name for name in DRAWN if name in pixels.labels]
    channels = pixels.meta.shape[1]
    means = BlockMeans(grid, channels + len(drawn))
    classes = np.zeros(grid.block_shape, np.uint8)
    for z0, z1 in pixels.meta.slabs:
        layers = [pixels.coarse(level, c, t, z0, z1) for c in range(channels)]
        for name in drawn:
            label = pixels.coarse_label(name, level, t, z0, z1)
            layers.append(np.asarray(label, dtype=bool).astype(np.float32))
        means.add(np.stack(layers), z0)
        som = pixels.coarse_label("som", level, t, z0, z1)
        if som is not None:
            _take_middles(classes, np.asarray(som), grid, z0)
    found = means.finish()
    masks = {name: np.nan_to_num(found[channels + place]) > 0 for place, name in enumerate(drawn)}
    truth = _truth(pixels, geometry, grid, t)
    if truth is not None:
        masks["truth"] = truth
    return SmallVolume(found[:channels], grid.turned(classes), masks, grid)


def _middles(grid: ObjectGrid) -> Iterator[NDArray[np.intp]]:
    """Give the voxel in the middle of each block along the scan's own z, y and x; the last blocks may be cut."""
    for size, factor in zip(grid.source.shape, grid.factors, strict=True):
        starts = np.arange(0, size, factor)
        yield (starts + np.minimum(starts + factor, size) - 1) // 2


def _take_middles(
    classes: NDArray[np.uint8], som: NDArray[np.integer], grid: ObjectGrid, z0: int
) -> None:
    """Write the class in the middle of each block that slices from `z0` on hold."""
    planes, rows, columns = _middles(grid)
    here = np.flatnonzero((planes >= z0) & (planes < z0 + len(som)))
    classes[here] = som[np.ix_(planes[here] - z0, rows, columns)]


def _truth(
    pixels: ScanPixels, geometry: Geometry, grid: ObjectGrid, t: int
) -> NDArray[np.bool_] | None:
    index = np.stack(np.meshgrid(*_middles(grid), indexing="ij"), axis=-1).reshape(-1, 3)
    covered = pixels.truth_at(geometry, index.astype(np.float64), t)
    return None if covered is None else grid.turned(covered.reshape(grid.block_shape))
