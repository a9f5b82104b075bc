"""What registration leaves inside the target and outside, once the masks exist.

Slice pairs show anatomy, session pairs change: they are rows of different kinds and never summed. Both are
read a few slices at a time.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from somray.domain.run import ScanPlace
from somray.domain.tables import ResidualRow, values_for
from somray.domain.work import WORKER_BYTES, Needs, Result
from somray.io.ome.image import read_channel, read_label_slab, read_meta
from somray.io.storage import Storage
from somray.kernels.grids.blocks import MOST_SLICES, slice_pieces
from somray.kernels.grids.index_map import index_map
from somray.kernels.grids.resample import warp_label_slice, warp_slice
from somray.kernels.registration.residual import ResidualSums, regions_of
from somray.stages.registration.rows import RegisteredPair, matrix_of

__all__ = [
    "Masks",
    "SessionResidualItem",
    "SliceResidualItem",
    "needs",
    "run_sessions",
    "run_slices",
]

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Masks:
    """Where the target is: the method that lesions follow, and the target's label value there."""

    method: str
    value: int


@dataclass(frozen=True)
class SliceResidualItem:
    """Some registered slice pairs of a scan.

    Args:
        place: the scan.
        t: time index.
        rows: theirs of `registration`, by z.
        masks: the target.
    """

    place: ScanPlace
    t: int
    rows: tuple[Mapping[str, Any], ...]  # Any: JSON
    masks: Masks


@dataclass(frozen=True)
class SessionResidualItem:
    """Two sessions of a subject; `matrix` (16 numbers, LPS mm) takes moving to fixed, None if refused."""

    fixed: ScanPlace
    moving: ScanPlace
    matrix: tuple[float, ...] | None
    masks: Masks

    @property
    def place(self) -> ScanPlace:
        """The later session's."""
        return self.moving


def needs(plane_bytes: int) -> Needs:
    """Declare what a comparison takes: some planes (one channel) of either image, however deep."""
    return Needs(cpus=1, memory_bytes=WORKER_BYTES + (60 + 6 * MOST_SLICES) * plane_bytes)


def run_slices(item: SliceResidualItem, shared: object = None) -> Result:
    """Compare neighbouring slices on the first channel; rows of `residuals`."""
    planes = _Planes(Storage.at(item.place.root), item.place, item.masks, item.t)
    rows = []
    for row in item.rows:
        z, matrix = row["fixed_z"], matrix_of(row["matrix"])
        fixed, moving = planes.some(range(z, z + 2))
        after, target = None, moving.target
        if matrix is not None:
            sampling, (high, wide) = np.asarray(np.linalg.inv(matrix)), fixed.image.shape
            after = warp_slice(moving.image, sampling, (high, wide))
            target = warp_label_slice(moving.target, sampling, (high, wide))
        sums = ResidualSums(matrix is not None)
        sums.add(fixed.image, moving.image, after, regions_of(fixed.target > 0, target > 0))
        rows += _rows(RegisteredPair("slices", item.place, item.place, item.t, z, z + 1), sums)
    return Result(rows={"residuals": rows})


def run_sessions(item: SessionResidualItem, shared: object = None) -> Result:
    """Compare two sessions at t 0 on the fixed one's grid, first channel; rows of `residuals`."""
    storage = Storage.at(item.fixed.root)
    matrix = matrix_of(item.matrix)
    sums = ResidualSums(matrix is not None)
    as_they_lie = _Warp(storage, item, np.eye(4))
    aligned = None if matrix is None else _Warp(storage, item, matrix)
    planes = _Planes(storage, item.fixed, item.masks)
    for z in range(read_meta(storage, item.fixed.name).shape[2]):
        (fixed,) = planes.some(range(z, z + 1))
        before = as_they_lie.slice(z)
        after = before if aligned is None else aligned.slice(z)
        regions = regions_of(fixed.target > 0, after.target > 0)
        sums.add(fixed.image, before.image, None if aligned is None else after.image, regions)
    return Result(
        rows={"residuals": _rows(RegisteredPair("sessions", item.fixed, item.moving), sums)}
    )


@dataclass(frozen=True, eq=False)
class _Plane:
    """One slice: image float32, NaN where it shows nothing, and target uint8, 1 inside."""

    image: NDArray[np.float32]
    target: NDArray[np.integer[Any]]


class _Planes:
    """Slices of a scan with the target's mask, read when asked for; those asked for last are held."""

    def __init__(self, storage: Storage, place: ScanPlace, masks: Masks, t: int = 0) -> None:
        self._storage, self._place, self._masks, self._t = storage, place, masks, t
        self._held: dict[int, _Plane] = {}

    def some(self, wanted: range) -> list[_Plane]:
        """Return neighbouring slices."""
        self._held = {z: self._held.get(z) or self._read(z) for z in wanted}
        return list(self._held.values())

    def _read(self, z: int) -> _Plane:
        where = (self._t, z, z + 1)
        labels = read_label_slab(self._storage, self._place.name, self._masks.method, *where)
        image = read_channel(self._storage, self._place.name, *where)[0]
        return _Plane(image, (labels[0] == self._masks.value).astype(np.uint8))


class _Warp:
    """The moving session on the fixed one's slices under one motion, read as it is needed."""

    def __init__(self, storage: Storage, item: SessionResidualItem, matrix: Matrix) -> None:
        self._planes = _Planes(storage, item.moving, item.masks)
        fixed = read_meta(storage, item.fixed.name).geometry
        moving = read_meta(storage, item.moving.name).geometry
        self._map = index_map(moving, fixed, np.asarray(np.linalg.inv(matrix)))
        self._shape, self._depth = fixed.shape[1:], moving.shape[0]

    def slice(self, z: int) -> _Plane:
        """Return what moving shows on fixed slice z."""
        image = np.full(self._shape, np.nan, dtype=np.float32)
        target = np.zeros(self._shape, dtype=np.uint8)
        for piece in slice_pieces(self._map, (z, *self._shape), self._depth, MOST_SLICES):
            planes = self._planes.some(range(piece.source.start, piece.source.stop))
            where = piece.rows, piece.columns
            image[where] = piece.sampled(np.stack([plane.image for plane in planes]))
            target[where] = piece.sampled(np.stack([plane.target for plane in planes]))
        return _Plane(image, target)


def _rows(pair: RegisteredPair, sums: ResidualSums) -> list[ResidualRow]:
    """Make a row per region."""
    return [
        ResidualRow(**pair.columns(), region=region, **values_for(ResidualRow, residual))
        for region, residual in sums.residuals().items()
    ]
