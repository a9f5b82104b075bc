"""The lesions of a session, brought to a frame that all sessions share.

Everything is compared there, in mm; grids and spacings may differ between sessions. What is held of a lesion are sums
and its box; its voxels are asked for in pieces (`InstanceMap`), wherever they lie.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from somray.domain.geometry import Geometry
from somray.errors import ShapeError
from somray.kernels.lesions.facts import PartFacts
from somray.kernels.lesions.placing import moved, placed_mm, voxels_of

__all__ = ["InstanceMap", "PlacedLesions", "SessionLesions", "place_lesions"]

Index = NDArray[np.int64]  # (n, 3) voxels in z, y, x, on the session's grid


class InstanceMap(Protocol):
    """The instances of one session, voxel by voxel, given in pieces that fit a task."""

    def pieces(self) -> Iterator[tuple[Index, NDArray[np.int32]]]:
        """Yield the voxels of all instances (n, 3) and the instance number of each (n,), every voxel once."""
        ...

    def at(self, index: Index) -> NDArray[np.int32]:
        """Return the instance number at each voxel (n, 3) of the grid, 0 for none."""
        ...

    def near(
        self, index: Index, reach: tuple[int, int, int], counted: NDArray[np.bool_]
    ) -> NDArray[np.bool_]:
        """Tell which voxels (n, 3) lie in an instance or, along one axis, within reach of one.

        Args:
            index: voxels of the grid.
            reach: along z, y, x.
            counted: by instance number, whether it matters.
        """
        ...


@dataclass(frozen=True, eq=False)
class SessionLesions:
    """The lesion instances of one session.

    Args:
        session: name of the session.
        geometry: grid that the voxels lie on.
        facts: of the instances.
        voxels: the instances voxel by voxel.

    Raises:
        ShapeError: if an instance does not lie on the grid.
    """

    session: str
    geometry: Geometry
    facts: PartFacts
    voxels: InstanceMap

    def __post_init__(self) -> None:
        """Refuse voxels that are not on the grid."""
        facts = self.facts
        if len(facts.numbers) == 0:
            return
        if facts.low.min() < 0 or (facts.high >= np.array(self.geometry.shape)).any():
            raise ShapeError(f"session {self.session!r}: voxels outside {self.geometry.shape}")
        if int(facts.numbers.min()) < 1:
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
        count: (m,) voxels.
        low: (m, 3) smallest voxel index, in z, y, x.
        high: (m, 3) largest one.
        centroid_mm: (m, 3) x, y, z in the common frame.
        largest: largest instance number of the session, in `numbers` or not.
        voxels: all instances of the session voxel by voxel, those that are not in `numbers` too.
    """

    session: str
    geometry: Geometry
    to_frame: NDArray[np.float64]
    registered: bool
    numbers: NDArray[np.int64]
    count: NDArray[np.int64]
    low: NDArray[np.int64]
    high: NDArray[np.int64]
    centroid_mm: NDArray[np.float64]
    largest: int
    voxels: InstanceMap

    @property
    def volume_mm3(self) -> NDArray[np.float64]:
        """Volumes (m,)."""
        return np.asarray(self.count * self.geometry.voxel_mm3, dtype=np.float64)

    def index_of(self, points_mm: NDArray[np.float64]) -> Index:
        """Take points of the common frame (n, 3) to the nearest voxel (n, 3) in z, y, x."""
        return np.floor(self.to_voxels(points_mm) + 0.5).astype(np.int64)

    def to_common(self, index: NDArray[np.integer]) -> NDArray[np.float64]:
        """Take voxel indices (n, 3) in z, y, x to points of the common frame (n, 3)."""
        return moved(placed_mm(self.geometry, index), self.to_frame)

    def to_voxels(self, points_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """Take points of the common frame (n, 3) to voxel coordinates (n, 3) in z, y, x."""
        return voxels_of(self.geometry, moved(points_mm, np.linalg.inv(self.to_frame)))

    def holds(self, index: Index) -> NDArray[np.bool_]:
        """Tell which voxels (n, 3) this session's scan covers."""
        return np.asarray(((index >= 0) & (index < np.array(self.geometry.shape))).all(axis=1))

    def counted(self) -> NDArray[np.bool_]:
        """Tell by instance number which are in `numbers`."""
        is_counted = np.zeros(self.largest + 1, dtype=bool)
        is_counted[self.numbers] = True
        return is_counted

    def in_scanner(self) -> "PlacedLesions":
        """Return the same lesions where the session's own scanner saw them."""
        if np.array_equal(self.to_frame, np.eye(4)):
            return self
        centroid = moved(self.centroid_mm, np.linalg.inv(self.to_frame))
        return replace(self, to_frame=np.eye(4), registered=False, centroid_mm=centroid)

    def only(self, kept: NDArray[np.bool_]) -> "PlacedLesions":
        """Return some of the lesions alone; `kept` runs over `numbers`."""
        if kept.all():
            return self
        names = ("numbers", "count", "low", "high", "centroid_mm")
        return replace(self, **{name: getattr(self, name)[kept] for name in names})


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
    facts = found.facts
    return PlacedLesions(
        session=found.session,
        geometry=found.geometry,
        to_frame=matrix,
        registered=to_frame is not None,
        numbers=facts.numbers,
        count=facts.voxels,
        low=facts.low,
        high=facts.high,
        centroid_mm=moved(placed_mm(found.geometry, facts.centre), matrix),
        largest=int(facts.numbers.max(initial=0)),
        voxels=found.voxels,
    )
