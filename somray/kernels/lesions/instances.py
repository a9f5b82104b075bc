"""Lesions as instances: connected parts of a mask, numbered, and measured brick by brick.

Two voxels belong together when they share a face, an edge or a corner (26-connected). Instances are numbered
from 1 in scan order: by the first voxel met when z, then y, then x run upwards. Where a volume comes in bricks,
`parts` finds them, and `LesionMeter` takes the bricks again with their final numbers.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from somray.domain.geometry import Geometry
from somray.errors import ShapeError
from somray.kernels.lesions.extent import ExtremePoints
from somray.kernels.lesions.facts import PartFacts
from somray.kernels.lesions.parts import PartLabeller, inner
from somray.kernels.lesions.placing import placed_mm
from somray.kernels.lesions.surface import SurfaceMeter, sphericity
from somray.kernels.lesions.values import ValueMeter

__all__ = ["LesionMeasure", "LesionMeter", "lesions"]


def lesions(
    mask: NDArray[np.bool_],
    spacing_mm: tuple[float, float, float],
    min_volume_mm3: float = 0.0,
) -> NDArray[np.int32]:
    """Number the connected parts of a mask.

    Args:
        mask: (z, y, x) bool.
        spacing_mm: voxel size along (z, y, x) in mm; needed for `min_volume_mm3`.
        min_volume_mm3: parts smaller than this are left out.

    Returns:
        (z, y, x) int32: 0 outside, instances from 1 in scan order.

    Raises:
        ShapeError: if the mask is not 3D bool or the spacing is not three positive sizes.
    """
    array = np.asarray(mask)
    if len(spacing_mm) != 3 or not all(np.isfinite(s) and s > 0 for s in spacing_mm):
        raise ShapeError(f"spacing_mm must be three positive sizes (z, y, x), got {spacing_mm}")
    labeller = PartLabeller((0, 0) if array.ndim != 3 else array.shape[1:])
    provisional = labeller.add(array, (0, 0, 0))
    voxel_mm3 = float(np.prod(spacing_mm))
    number, _ = labeller.finish(smallest_count(min_volume_mm3, voxel_mm3))
    return np.asarray(number[provisional])


def smallest_count(min_volume_mm3: float, voxel_mm3: float) -> int:
    """Return the fewest voxels that reach a volume (rounding of the division forgiven)."""
    return max(1, int(np.ceil(min_volume_mm3 / voxel_mm3 - 1e-9)))


@dataclass(frozen=True)
class LesionMeasure:
    """One instance, measured; maps one to one to the columns of `lesions`.

    Args:
        instance: its number in the label image.
        voxels: how many voxels it has.
        volume_mm3: voxels × voxel volume.
        centroid_mm: (x, y, z) in LPS mm, mean of the voxel centres.
        longest_axis_mm: largest distance between two voxel centres; 0 for a single voxel.
        axial_axis_mm: the same within one slice, the largest of all slices.
        axial_perpendicular_mm: longest chord across it in that slice's convex hull.
        mean_intensity: mean of the voxels that hold data; NaN where none does.
        max_intensity: maximum of the same.
        min_intensity: minimum of the same.
        std_intensity: standard deviation of the same (of all of them, not of a sample).
        surface_mm2: see `surface`.
        sphericity: of its voxels' volume and that surface.
    """

    instance: int
    voxels: int
    volume_mm3: float
    centroid_mm: tuple[float, float, float]
    longest_axis_mm: float
    axial_axis_mm: float
    axial_perpendicular_mm: float
    mean_intensity: float
    max_intensity: float
    min_intensity: float
    std_intensity: float
    surface_mm2: float
    sphericity: float


class LesionMeter:
    """Measures numbered lesions brick by brick; memory follows the lesions.

    Sums run plane by plane in order of z, so slabs of whole slices give the same bits however they were cut.
    Tiles of a slice come one after the other: there the last digits of a mean, a spread and a surface may differ.

    Args:
        geometry: grid of the volume.
        facts: of the lesions; their numbers are those of the labels.
    """

    def __init__(self, geometry: Geometry, facts: PartFacts) -> None:
        self._geometry, self._facts = geometry, facts
        largest = int(facts.numbers.max(initial=0))
        last = np.full(largest + 1, -1, dtype=np.int64)
        last[facts.numbers] = facts.high[:, 0]
        self._values = ValueMeter()
        self._extremes = ExtremePoints(geometry, last)
        self._surface = SurfaceMeter(geometry, largest)
        self.margin = self._surface.margin
        """Voxels along (z, y, x) that must be known on either side of a brick."""

    @property
    def furthest_mm(self) -> float | None:
        """Largest distance between two voxel centres of any lesions; None where there is none."""
        return self._extremes.furthest_mm()

    def add_brick(
        self, block: NDArray[np.int32], image: NDArray[np.floating], corner: tuple[int, int, int]
    ) -> None:
        """Take a brick; bricks come by z, and those of one slab together.

        Args:
            block: (z, y, x) lesions of the brick with `margin` on all sides, 0 outside of lesions and volume.
            image: (z, y, x) intensities of the brick alone; NaN is left out of mean and extremes.
            corner: of the brick in the volume, in z, y, x.

        Raises:
            ShapeError: if labels and image do not fit.
        """
        labels = inner(block, self.margin)
        if labels.shape != image.shape:
            raise ShapeError(f"labels {labels.shape} and image {image.shape} must be one (z, y, x)")
        self._values.add_slab(labels, image)
        self._extremes.add_brick(labels, corner)
        self._surface.add_brick(block)

    def close_slab(self, z1: int) -> None:
        """Take note that all bricks of slices before z1 were taken."""
        self._extremes.close_slab(z1)

    def finish(self) -> list[LesionMeasure]:
        """Return the measures of all lesions, in order of their numbers, once the last slab is closed."""
        values, extremes, facts = self._values, self._extremes, self._facts
        area, result = self._surface.area_mm2.tolist(), []
        centres = placed_mm(self._geometry, facts.centre).tolist()
        rows = zip(facts.numbers.tolist(), facts.voxels.tolist(), centres, strict=True)
        for lesion, count, (x, y, z) in rows:
            volume = count * self._geometry.voxel_mm3
            result.append(
                LesionMeasure(
                    instance=lesion,
                    voxels=count,
                    volume_mm3=volume,
                    centroid_mm=(x, y, z),
                    longest_axis_mm=float(extremes.longest_mm[lesion]),
                    axial_axis_mm=float(extremes.axial_mm[lesion]),
                    axial_perpendicular_mm=float(extremes.across_mm[lesion]),
                    mean_intensity=values.mean(lesion),
                    max_intensity=values.max(lesion),
                    min_intensity=values.min(lesion),
                    std_intensity=values.std(lesion),
                    surface_mm2=area[lesion],
                    sphericity=sphericity(volume, area[lesion]),
                )
            )
        return result
