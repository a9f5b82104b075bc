"""What registration leaves inside the target and outside, once the masks exist.

Slice pairs show anatomy, session pairs change: they are rows of different kinds and never summed. Both are
read a few slices at a time; slices that no task can hold on the first level of the pyramid that fits, so that their
rows count pixels of that level.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from somray.domain.geometry import Geometry
from somray.domain.run import ScanPlace
from somray.domain.tables import ResidualRow, values_for
from somray.domain.work import WORKER_BYTES, Needs, Result
from somray.io.ome.image import read_meta
from somray.io.storage import Storage
from somray.kernels.grids.blocks import MOST_SLICES, slice_pieces
from somray.kernels.grids.index_map import index_map
from somray.kernels.grids.resample import warp_label_slice, warp_slice
from somray.kernels.registration.plane.motions import on_finer_pixels
from somray.kernels.registration.residual import ResidualSums
from somray.stages.reading.planes import (
    MOST_PIXELS,
    PlaneReader,
    level_geometry,
    needed_bytes,
    plane_level,
    plane_pixels,
)
from somray.stages.registration.rows import RegisteredPair, matrix_of

__all__ = [
    "Masks",
    "SessionResidualItem",
    "SliceResidualItem",
    "needs_sessions",
    "needs_slices",
    "plane_bytes",
    "run_sessions",
    "run_slices",
]

Matrix = NDArray[np.float64]

LEAST_SLICES = 4
SOURCE_BYTES = 256 * 1024 * 1024
"""Slices of the moving session that are held at once, together; at least four of them."""
MOST_PIECE_PIXELS = 1024 * 1024
"""Pixels that are brought over at once: their places take some 100 bytes each."""


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


def needs_slices(plane_bytes: int) -> Needs:
    """Declare what a comparison of slices takes: some planes (one channel), however deep the scan."""
    held = 24 * plane_bytes + 2 * needed_bytes(plane_bytes)
    return Needs(cpus=1, memory_bytes=WORKER_BYTES + held)


def needs_sessions(plane_bytes: int) -> Needs:
    """Declare what a comparison of sessions takes: some planes of either, the source's slices, one piece."""
    source = most_slices(plane_bytes) * plane_bytes
    small = min(plane_bytes, 4 * MOST_PIECE_PIXELS)
    held = 14 * plane_bytes + 5 * source + 60 * small + 2 * needed_bytes(plane_bytes)
    return Needs(cpus=1, memory_bytes=WORKER_BYTES + held)


def plane_bytes(shape: tuple[int, int, int, int, int]) -> int:
    """Return the bytes of a slice as it is compared (one channel) for a scan of (t, c, z, y, x)."""
    return 4 * plane_pixels(shape, MOST_PIXELS)


def most_slices(plane_bytes: int) -> int:
    """Return how many slices of the moving session are held at once."""
    return max(LEAST_SLICES, min(MOST_SLICES, SOURCE_BYTES // max(plane_bytes, 1)))


def run_slices(item: SliceResidualItem, shared: object = None) -> Result:
    """Compare neighbouring slices on the first channel; rows of `residuals`."""
    planes = _Planes(Storage.at(item.place.root), item.place, item.masks, item.t)
    rows = []
    for row in item.rows:
        z, matrix = row["fixed_z"], matrix_of(row["matrix"])
        fixed, moving = planes.some(range(z, z + 2))
        after, target = None, moving.target
        if matrix is not None:
            motion = on_finer_pixels(matrix, 1.0 / planes.factor)
            sampling, (high, wide) = np.asarray(np.linalg.inv(motion)), fixed.image.shape
            after = warp_slice(moving.image, sampling, (high, wide))
            target = warp_label_slice(moving.target, sampling, (high, wide))
        sums = ResidualSums(matrix is not None)
        sums.add(fixed.image, moving.image, after, (fixed.target > 0) | (target > 0))
        rows += _rows(RegisteredPair("slices", item.place, item.place, item.t, z, z + 1), sums)
    return Result(rows={"residuals": rows})


def run_sessions(item: SessionResidualItem, shared: object = None) -> Result:
    """Compare two sessions at t 0 on the fixed one's grid, first channel; rows of `residuals`."""
    storage = Storage.at(item.fixed.root)
    matrix = matrix_of(item.matrix)
    sums = ResidualSums(matrix is not None)
    planes = _Planes(storage, item.fixed, item.masks)
    moving = _Planes(storage, item.moving, item.masks)
    as_they_lie = _Warp(moving, planes.geometry, np.eye(4))
    aligned = None if matrix is None else _Warp(moving, planes.geometry, matrix)
    for z in range(planes.geometry.shape[0]):
        (fixed,) = planes.some(range(z, z + 1))
        before = as_they_lie.slice(z)
        after = before if aligned is None else aligned.slice(z)
        target = (fixed.target > 0) | (after.target > 0)
        sums.add(fixed.image, before.image, None if aligned is None else after.image, target)
    return Result(
        rows={"residuals": _rows(RegisteredPair("sessions", item.fixed, item.moving), sums)}
    )


@dataclass(frozen=True, eq=False)
class _Plane:
    """One slice: image float32, NaN where it shows nothing, and target uint8, 1 inside."""

    image: NDArray[np.float32]
    target: NDArray[np.integer[Any]]


class _Planes:
    """Slices of a scan with the target's mask, in order of z; those asked for last are held.

    Where slices are cut both come from one level of the pyramid; `factor` is how many pixels of the scan lie along
    one of it.
    """

    def __init__(self, storage: Storage, place: ScanPlace, masks: Masks, t: int = 0) -> None:
        meta = read_meta(storage, place.name)
        level = plane_level(meta.shape, MOST_PIXELS)
        self.factor = 2.0**level
        self.geometry = level_geometry(meta.geometry, level)
        self._value = masks.value
        self._images = PlaneReader(storage, place.name, t, level)
        self._labels = PlaneReader(storage, place.name, t, level, masks.method)

    def some(self, wanted: range) -> list[_Plane]:
        """Return neighbouring slices."""
        read = zip(self._images.some(wanted), self._labels.some(wanted), strict=True)
        return [
            _Plane(image.astype(np.float32, copy=False), (labels == self._value).astype(np.uint8))
            for image, labels in read
        ]


class _Warp:
    """The moving session on the fixed one's slices under one motion, read as it is needed."""

    def __init__(self, planes: _Planes, fixed: Geometry, matrix: Matrix) -> None:
        self._planes = planes
        moving = planes.geometry
        self._map = index_map(moving, fixed, np.asarray(np.linalg.inv(matrix)))
        self._shape, self._depth = fixed.shape[1:], moving.shape[0]
        self._most = most_slices(4 * moving.shape[1] * moving.shape[2])

    def slice(self, z: int) -> _Plane:
        """Return what moving shows on fixed slice z."""
        image = np.full(self._shape, np.nan, dtype=np.float32)
        target = np.zeros(self._shape, dtype=np.uint8)
        size = (z, *self._shape)
        for piece in slice_pieces(self._map, size, self._depth, self._most, MOST_PIECE_PIXELS):
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
