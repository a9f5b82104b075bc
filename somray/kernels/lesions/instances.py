"""Lesions as instances: connected parts of a mask, numbered, and measured slab by slab.

Two voxels belong together when they share a face, an edge or a corner (26-connected). Instances are
numbered from 1 in scan order: by the first voxel met when z, then y, then x run upwards. Both passes
hold one slab at a time: `SlabLabeller` first gives every slab provisional labels and learns what joins
over slab borders, then `LesionMeter` takes the slabs again with their final numbers.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from somray.domain.geometry import Geometry
from somray.errors import ShapeError
from somray.kernels.lesions.extent import ExtremePoints
from somray.kernels.lesions.values import ValueMeter

__all__ = ["LesionMeasure", "LesionMeter", "SlabLabeller", "lesions", "sparse_voxels"]

_CONNECTED = np.ones((3, 3, 3), dtype=bool)  # faces, edges and corners


class SlabLabeller:
    """Labels a mask that arrives slab by slab along z; memory is bounded by one slab.

    The parts found are those of the whole mask, however it was cut:
    `lookup[provisional]` of all slabs, stacked, equals `scipy.ndimage.label` of the stacked mask.
    """

    def __init__(self) -> None:
        self._last: NDArray[np.int64] | None = None  # provisional labels of the last plane seen
        self._parent: list[int] = [0]
        self._voxels: list[int] = [0]

    def add(self, slab: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Take the next slab, in order of z.

        Args:
            slab: (z, y, x) bool; y and x as in the slabs before.

        Returns:
            Provisional labels (z, y, x) int64, 0 outside; unique over all slabs so far.

        Raises:
            ShapeError: if the slab is not 3D bool or its planes differ from those before.
        """
        if slab.ndim != 3 or slab.dtype != np.bool_:
            raise ShapeError(f"mask must be (z, y, x) bool, got {slab.dtype} {slab.shape}")
        if self._last is not None and slab.shape[1:] != self._last.shape:
            raise ShapeError(f"slab has planes {slab.shape[1:]}, expected {self._last.shape}")
        if slab.size == 0:
            return np.zeros(slab.shape, dtype=np.int64)
        local, found = ndimage.label(slab, structure=_CONNECTED)
        counts = np.bincount(local.ravel(), minlength=found + 1)
        offset = len(self._parent) - 1
        labels = np.where(local > 0, local.astype(np.int64) + offset, 0)
        self._parent.extend(range(offset + 1, offset + found + 1))
        self._voxels.extend(int(n) for n in counts[1:])
        if self._last is not None:
            self._join(self._last, labels[0])
        self._last = labels[-1].copy()
        return labels

    def finish(self, min_voxels: int = 1) -> NDArray[np.int32]:
        """Resolve what joins over slab borders.

        Args:
            min_voxels: instances with fewer voxels become 0 and get no number.

        Returns:
            (provisional labels + 1,) int32: final number of each provisional label, 0 for none.
        """
        roots = np.array([self._root(label) for label in range(len(self._parent))], dtype=np.int64)
        sizes = np.zeros(len(roots), dtype=np.int64)
        np.add.at(sizes, roots, np.asarray(self._voxels, dtype=np.int64))
        kept = np.flatnonzero((np.arange(len(roots)) == roots) & (sizes >= max(1, min_voxels)))
        number = np.zeros(len(roots), dtype=np.int32)
        number[kept] = np.arange(1, len(kept) + 1)  # roots are smallest labels: scan order
        return np.asarray(number[roots])

    def _join(self, above: NDArray[np.int64], below: NDArray[np.int64]) -> None:
        """Unite labels of two neighbouring planes over faces, edges and corners."""
        rows, columns = above.shape
        padded = np.pad(above, 1)
        pairs = []
        for dy in range(3):
            for dx in range(3):
                near = padded[dy : dy + rows, dx : dx + columns]
                both = (near > 0) & (below > 0)
                pairs.append(np.stack([near[both], below[both]], axis=1))
        for one, other in np.unique(np.concatenate(pairs), axis=0).tolist():
            first, second = self._root(one), self._root(other)
            if first != second:
                self._parent[max(first, second)] = min(first, second)

    def _root(self, label: int) -> int:
        """Find the smallest label of a part, shortening the way for next time."""
        root = label
        while self._parent[root] != root:
            root = self._parent[root]
        while self._parent[label] != root:
            self._parent[label], label = root, self._parent[label]
        return root


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
    labeller = SlabLabeller()
    provisional = labeller.add(array)
    voxel_mm3 = float(np.prod(spacing_mm))
    number = labeller.finish(smallest_count(min_volume_mm3, voxel_mm3))
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


class LesionMeter:
    """Measures numbered instances slab by slab; the figures do not depend on how slabs were cut.

    Sums run plane by plane in order of z, so slabs of whole slices give the same bits.
    """

    def __init__(self, geometry: Geometry) -> None:
        self._geometry = geometry
        self._count = np.zeros(0, dtype=np.int64)
        self._index = np.zeros((0, 3), dtype=np.int64)  # sums of z, y, x: exact
        self._values = ValueMeter()
        self._extremes = ExtremePoints(geometry)

    @property
    def furthest_mm(self) -> float | None:
        """Largest distance between two voxel centres of any instances; None where there is none."""
        return self._extremes.furthest_mm() if self._count.any() else None

    def add(
        self, labels: NDArray[np.integer], image: NDArray[np.floating], z_start: int = 0
    ) -> None:
        """Take one slab.

        Args:
            labels: (z, y, x) final instance numbers, 0 outside.
            image: (z, y, x) intensities; NaN is left out of mean and maximum.
            z_start: index of the slab's first slice in the volume.

        Raises:
            ShapeError: if labels and image differ in shape.
        """
        if labels.ndim != 3 or labels.shape != image.shape:
            raise ShapeError(f"labels {labels.shape} and image {image.shape} must be one (z, y, x)")
        self._grow(int(labels.max(initial=0)))
        for plane in range(len(labels)):
            y, x = np.nonzero(labels[plane])
            if len(y):
                ids = labels[plane][y, x].astype(np.int64)
                self._add_plane(ids, y, x, z_start + plane)
                self._values.add(ids, image[plane][y, x].astype(np.float64))

    def finish(self) -> list[LesionMeasure]:
        """Return the measures of all instances met, in order of their numbers."""
        values, result = self._values, []
        for instance in np.flatnonzero(self._count).tolist():
            count = int(self._count[instance])
            centre = self._geometry.to_world((self._index[instance] / count)[None])[0]
            axial, across = self._extremes.axial_mm(instance)
            result.append(
                LesionMeasure(
                    instance=instance,
                    voxels=count,
                    volume_mm3=count * self._geometry.voxel_mm3,
                    centroid_mm=(float(centre[0]), float(centre[1]), float(centre[2])),
                    longest_axis_mm=self._extremes.longest_mm(instance),
                    axial_axis_mm=axial,
                    axial_perpendicular_mm=across,
                    mean_intensity=values.mean(instance),
                    max_intensity=values.max(instance),
                    min_intensity=values.min(instance),
                    std_intensity=values.std(instance),
                )
            )
        return result

    def _grow(self, largest: int) -> None:
        more = largest + 1 - len(self._count)
        if more > 0:
            self._count = np.pad(self._count, (0, more))
            self._index = np.pad(self._index, ((0, more), (0, 0)))

    def _add_plane(
        self, ids: NDArray[np.int64], y: NDArray[np.int64], x: NDArray[np.int64], z: int
    ) -> None:
        size = len(self._count)
        count = np.bincount(ids, minlength=size)
        self._count += count
        self._index[:, 0] += count * z
        np.add.at(self._index[:, 1], ids, y)
        np.add.at(self._index[:, 2], ids, x)
        self._extremes.add_plane(ids, y, x, z)


def sparse_voxels(
    labels: NDArray[np.integer], z_start: int = 0
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """List the voxels of all instances of a slab.

    Args:
        labels: (z, y, x) instance numbers, 0 outside.
        z_start: index of the slab's first slice in the volume.

    Returns:
        Voxel indices (n, 3) int32 in z, y, x, and instance numbers (n,) int32, in scan order.
    """
    index = np.argwhere(labels).astype(np.int32)
    numbers = labels[tuple(index.T)].astype(np.int32)
    index[:, 0] += z_start
    return index, numbers
