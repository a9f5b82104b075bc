"""The lesions of a session as sparse voxels, brought to a frame that all sessions share.

Everything is compared there, in mm; grids and spacings may differ between sessions. What is held are the
coordinates of lesion voxels, never a volume.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from somray.domain.geometry import Geometry
from somray.errors import ShapeError

__all__ = ["PlacedLesions", "SessionLesions", "place_lesions"]


@dataclass(frozen=True, eq=False)
class SessionLesions:
    """The lesion instances of one session.

    Args:
        session: name of the session.
        geometry: grid that the voxels lie on.
        index: (n, 3) int32 voxel indices in z, y, x, each voxel once.
        instance: (n,) int32 instance number of each voxel, from 1.

    Raises:
        ShapeError: if index and instance do not fit each other or the grid.
    """

    session: str
    geometry: Geometry
    index: NDArray[np.int32]
    instance: NDArray[np.int32]

    def __post_init__(self) -> None:
        """Refuse voxels that are not on the grid."""
        if self.index.ndim != 2 or self.index.shape != (len(self.instance), 3):
            raise ShapeError(
                f"session {self.session!r}: index must be (n, 3) and instance (n,), got "
                f"{self.index.shape} and {self.instance.shape}"
            )
        if len(self.index) and (
            self.index.min() < 0 or (self.index >= np.array(self.geometry.shape)).any()
        ):
            raise ShapeError(f"session {self.session!r}: voxels outside {self.geometry.shape}")
        if len(self.instance) and int(self.instance.min()) < 1:
            raise ShapeError(f"session {self.session!r}: instances are numbered from 1")


@dataclass(frozen=True, eq=False)
class PlacedLesions:
    """One session's lesions in the common frame; arrays run over `numbers`.

    Args:
        session: name of the session.
        geometry: its grid.
        to_frame: (4, 4) LPS mm of the session to the common frame.
        registered: whether that transform was found; False: scanner coordinates are all there is.
        numbers: (m,) instance numbers, ascending.
        volume_mm3: (m,).
        centroid_mm: (m, 3) x, y, z in the common frame.
        points_mm: (n, 3) voxel centres in the common frame, in scan order.
        linear: (n,) linear voxel indices, ascending.
        owner: (n,) position in `numbers` that each voxel belongs to.
    """

    session: str
    geometry: Geometry
    to_frame: NDArray[np.float64]
    registered: bool
    numbers: NDArray[np.int64]
    volume_mm3: NDArray[np.float64]
    centroid_mm: NDArray[np.float64]
    points_mm: NDArray[np.float64]
    linear: NDArray[np.int64]
    owner: NDArray[np.int64]

    def index_of(self, points_mm: NDArray[np.float64]) -> NDArray[np.int64]:
        """Take points of the common frame (n, 3) to the nearest voxel (n, 3) in z, y, x."""
        return np.floor(self.to_voxels(points_mm) + 0.5).astype(np.int64)

    def to_common(self, index: NDArray[np.integer]) -> NDArray[np.float64]:
        """Take voxel indices (n, 3) in z, y, x to points of the common frame (n, 3)."""
        world = self.geometry.to_world(index.astype(np.float64))
        return np.asarray(world @ self.to_frame[:3, :3].T + self.to_frame[:3, 3])

    def to_voxels(self, points_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """Take points of the common frame (n, 3) to voxel coordinates (n, 3) in z, y, x."""
        inverse = np.linalg.inv(self.to_frame)
        return self.geometry.to_index(points_mm @ inverse[:3, :3].T + inverse[:3, 3])

    def bounds(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the smallest and largest voxel index of each lesion, (m, 3) each in z, y, x."""
        low = np.full((len(self.numbers), 3), np.iinfo(np.int64).max)
        high = np.full((len(self.numbers), 3), -1)
        for axis, index in enumerate(np.unravel_index(self.linear, self.geometry.shape)):
            np.minimum.at(low[:, axis], self.owner, index)
            np.maximum.at(high[:, axis], self.owner, index)
        return low, high

    def inside(self, points_mm: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Tell which points of the common frame this session's scan covers."""
        return self._holds(self.index_of(points_mm))

    def at(self, points_mm: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the position in `numbers` of the lesion at each point, -1 for none."""
        return self.at_voxels(self.index_of(points_mm))

    def at_voxels(self, index: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the position in `numbers` of the lesion at each voxel (n, 3), -1 for none."""
        result = np.full(len(index), -1, dtype=np.int64)
        if len(self.linear) == 0:
            return result
        covered = self._holds(index)
        wanted = _linear(index[covered], self.geometry)
        slot = np.minimum(np.searchsorted(self.linear, wanted), len(self.linear) - 1)
        result[covered] = np.where(self.linear[slot] == wanted, self.owner[slot], -1)
        return result

    def _holds(self, index: NDArray[np.int64]) -> NDArray[np.bool_]:
        return np.asarray(((index >= 0) & (index < np.array(self.geometry.shape))).all(axis=1))

    def in_scanner(self) -> "PlacedLesions":
        """Return the same lesions where the session's own scanner saw them."""
        if np.array_equal(self.to_frame, np.eye(4)):
            return self
        inverse = np.linalg.inv(self.to_frame)
        return replace(
            self,
            to_frame=np.eye(4),
            registered=False,
            points_mm=self.points_mm @ inverse[:3, :3].T + inverse[:3, 3],
            centroid_mm=self.centroid_mm @ inverse[:3, :3].T + inverse[:3, 3],
        )

    def only(self, kept: NDArray[np.bool_]) -> "PlacedLesions":
        """Return some of the lesions alone; `kept` runs over `numbers`."""
        if kept.all():
            return self
        voxels = kept[self.owner]
        position = np.cumsum(kept) - 1
        return replace(
            self,
            numbers=self.numbers[kept],
            volume_mm3=self.volume_mm3[kept],
            centroid_mm=self.centroid_mm[kept],
            points_mm=self.points_mm[voxels],
            linear=self.linear[voxels],
            owner=position[self.owner[voxels]],
        )

    def share_inside(self, scan: "PlacedLesions") -> NDArray[np.float64]:
        """Return, per lesion, the share of its voxels that another session's scan covers, (m,)."""
        covered = scan.inside(self.points_mm).astype(np.float64)
        size = len(self.numbers)
        met = np.bincount(self.owner, weights=covered, minlength=size)
        return np.asarray(met / np.maximum(np.bincount(self.owner, minlength=size), 1))


def _linear(index: NDArray[np.integer], geometry: Geometry) -> NDArray[np.int64]:
    _, rows, columns = geometry.shape
    wide = index.astype(np.int64)
    return np.asarray((wide[:, 0] * rows + wide[:, 1]) * columns + wide[:, 2])


def place_lesions(found: SessionLesions, to_frame: NDArray[np.float64] | None) -> PlacedLesions:
    """Bring one session's lesions to the common frame.

    Args:
        found: the session's instances.
        to_frame: (4, 4) LPS mm, session to common frame; None where registration was refused, which
            leaves scanner coordinates and `registered` False.

    Raises:
        ShapeError: if the transform is not a finite, invertible 4×4 matrix.
    """
    matrix = np.eye(4) if to_frame is None else np.asarray(to_frame, dtype=np.float64)
    if matrix.shape != (4, 4) or not np.isfinite(matrix).all() or np.linalg.det(matrix) <= 0:
        raise ShapeError(f"transform of session {found.session!r} must be 4×4 with determinant > 0")
    linear = _linear(found.index, found.geometry)
    order = np.argsort(linear, kind="stable")
    linear, instance = linear[order], found.instance[order].astype(np.int64)
    if (np.diff(linear) == 0).any():
        raise ShapeError(f"session {found.session!r}: a voxel is listed twice")
    numbers, owner = np.unique(instance, return_inverse=True)
    world = found.geometry.to_world(found.index[order].astype(np.float64))
    points = world @ matrix[:3, :3].T + matrix[:3, 3]
    count = np.bincount(owner, minlength=len(numbers))
    sums = [np.bincount(owner, weights=points[:, k], minlength=len(numbers)) for k in range(3)]
    centroid = np.stack(sums, axis=1) / np.maximum(count, 1)[:, None]
    return PlacedLesions(
        session=found.session,
        geometry=found.geometry,
        to_frame=np.asarray(matrix, dtype=np.float64),
        registered=to_frame is not None,
        numbers=numbers,
        volume_mm3=np.asarray(count * found.geometry.voxel_mm3, dtype=np.float64),
        centroid_mm=np.asarray(centroid, dtype=np.float64),
        points_mm=np.asarray(points, dtype=np.float64),
        linear=linear,
        owner=owner.astype(np.int64),
    )
