"""Figures of shape that need a lesion's surroundings: surface, sphericity, the nearest other lesion."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from somray.domain.geometry import Geometry
from somray.kernels.lesions.nearest import nearest_mm
from somray.kernels.lesions.surface import BLOCK_VOXELS, sphericity, surface_of

__all__ = ["ShapeFigures", "shapes_of"]


@dataclass(frozen=True)
class ShapeFigures:
    """The shape of one lesion.

    Args:
        surface_mm2: see `surface`.
        sphericity: of its voxels' volume and that surface.
        nearest_mm: least distance of its voxel centres from another lesion's; NaN for a lone one.
    """

    surface_mm2: float
    sphericity: float
    nearest_mm: float


def shapes_of(
    index: NDArray[np.integer],
    owner: NDArray[np.integer],
    geometry: Geometry,
    block_voxels: int = BLOCK_VOXELS,
) -> list[ShapeFigures]:
    """Measure the shape of every lesion of a volume; see `surface_of` for the arguments.

    The nearest voxels of two lesions lie on their rims, since a step towards the other is always shorter
    where axes stand at right angles.
    """
    surface = surface_of(index, owner, geometry, block_voxels)
    lesions = len(surface.area_mm2)
    rim = index[surface.rim].astype(np.float64)
    apart = nearest_mm(geometry.to_world(rim), owner[surface.rim].astype(np.int64), lesions)
    volume = np.bincount(owner, minlength=lesions) * geometry.voxel_mm3
    return [
        ShapeFigures(float(a), sphericity(float(v), float(a)), float(d))
        for a, v, d in zip(surface.area_mm2, volume, apart, strict=True)
    ]
