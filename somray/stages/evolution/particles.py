"""What material scientists ask of lesions, measured from the final labels box by box: form, direction, porosity."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from somray.domain.brick import Brick
from somray.domain.run import ScanPlace
from somray.domain.tables import PorosityRow
from somray.io.ome.image import ScanMeta, labels_complete, read_label_brick
from somray.io.storage import Storage
from somray.kernels.lesions.ellipsoid import EllipsoidFigures, EllipsoidMeter
from somray.kernels.lesions.planes import AXES, PlaneCounter

__all__ = ["ParticleMeter"]

CLASSES = "som"  # the label group whose background tells the sample from the air around it


class ParticleMeter:
    """Measures one time point; every voxel of the scan is to be given once, box by box in any order.

    Memory: 104 bytes a lesion, three lengths of the volume, and of a material the classes of a box.

    Args:
        storage: where the run lies.
        place: the scan.
        meta: what it says of itself.
        t: time index.
    """

    def __init__(self, storage: Storage, place: ScanPlace, meta: ScanMeta, t: int) -> None:
        self._storage, self._place, self._meta, self._t = storage, place, meta, t
        self._ellipsoids = EllipsoidMeter(meta.geometry)
        self._planes = None if meta.anatomical else PlaneCounter(meta.geometry.shape)
        has_classes = not meta.anatomical and labels_complete(storage, place.name, CLASSES)
        self._label = CLASSES if has_classes else None

    def add(self, labels: NDArray[np.integer], corner: tuple[int, int, int]) -> None:
        """Take a box (z, y, x) of final lesion ids, and the index of its first voxel."""
        self._ellipsoids.add(labels, corner)
        if self._planes is None:
            return
        (z, y, x), (depth, rows, columns) = corner, labels.shape
        classes = None
        if self._label is not None:
            brick = Brick(self._t, z, z + depth, y, y + rows, x, x + columns)
            classes = read_label_brick(self._storage, self._place.name, self._label, brick)
        self._planes.add(labels, classes, corner)

    def figures(self) -> list[EllipsoidFigures]:
        """Return the figures of all lesions, by lesion_id."""
        return self._ellipsoids.finish()

    def porosity(self) -> Iterator[PorosityRow]:
        """Yield the rows of `porosity`; none of a patient."""
        if self._planes is None:
            return
        spacing = dict(zip(AXES, self._meta.geometry.spacing_mm, strict=True))
        for plane in self._planes.finish():
            yield PorosityRow(
                subject=self._place.subject,
                session=self._place.session,
                t=self._t,
                axis=plane.axis,
                index=plane.index,
                position_mm=plane.index * spacing[plane.axis],
                voxels=plane.voxels,
                lesion_voxels=plane.lesion_voxels,
                fraction=plane.fraction,
                sample_voxels=plane.sample_voxels,
                sample_fraction=plane.sample_fraction,
            )
