"""What registration leaves inside the target and outside, once the masks exist.

Slice pairs show anatomy, session pairs change: they are rows of different kinds and never summed. Both are
read a few slices at a time.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from somray.domain.run import ScanPlace
from somray.domain.tables import ResidualRow
from somray.domain.work import WORKER_BYTES, Needs, Result
from somray.io.ome.image import read_channel, read_label_slab, read_meta
from somray.io.storage import Storage
from somray.kernels.grids.blocks import Piece, index_map, pieces
from somray.kernels.grids.resample import warp_label_slice, warp_slice
from somray.kernels.registration.residual import Residual, ResidualSums, regions_of

__all__ = ["Masks", "SessionItem", "SlicesItem", "needs", "run_sessions", "run_slices"]

MOST_SLICES = 16  # of the moving session that are held at once, whatever way it is turned


@dataclass(frozen=True)
class Masks:
    """Where the target is: the method that lesions follow, and the target's label value there."""

    method: str
    value: int


@dataclass(frozen=True)
class SlicesItem:
    """Some registered slice pairs of a scan.

    Args:
        place: the scan.
        t: time index.
        pairs: fixed z and 9 numbers, moving (z + 1) to fixed; None where refused.
        masks: the target.
    """

    place: ScanPlace
    t: int
    pairs: tuple[tuple[int, tuple[float, ...] | None], ...]
    masks: Masks


@dataclass(frozen=True)
class SessionItem:
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


def run_slices(item: SlicesItem, shared: object = None) -> Result:
    """Compare neighbouring slices on the first channel; rows of `residuals`."""
    storage = Storage.at(item.place.root)
    rows = []
    following: tuple[int, _Plane] | None = None
    for z, numbers in item.pairs:
        kept = following is not None and following[0] == z
        fixed = following[1] if following is not None and kept else _plane(storage, item, z)
        moving = _plane(storage, item, z + 1)
        following = z + 1, moving
        after, target = None, moving.target
        if numbers is not None:
            sampling = np.linalg.inv(np.reshape(numbers, (3, 3)))
            shape = (fixed.image.shape[0], fixed.image.shape[1])
            after = warp_slice(moving.image, sampling, shape)
            target = warp_label_slice(moving.target.astype(np.uint8), sampling, shape) > 0
        sums = ResidualSums(numbers is not None)
        sums.add(fixed.image, moving.image, after, regions_of(fixed.target, target))
        place = item.place.subject, item.place.session, item.place.session
        rows += _rows("slices", place, (item.t, z, z + 1), sums.residuals())
    return Result(rows={"residuals": rows})


def run_sessions(item: SessionItem, shared: object = None) -> Result:
    """Compare two sessions at t 0 on the fixed one's grid, first channel; rows of `residuals`."""
    storage = Storage.at(item.fixed.root)
    sums = ResidualSums(item.matrix is not None)
    as_they_lie = _Warp(storage, item, np.eye(4))
    aligned = as_they_lie
    if item.matrix is not None:
        aligned = _Warp(storage, item, np.reshape(item.matrix, (4, 4)))
    for z, fixed, target in _slices(storage, item):
        before, there = as_they_lie.slice(z)
        after, there = (None, there) if item.matrix is None else aligned.slice(z)
        sums.add(fixed, before, after, regions_of(target, there))
    place = item.fixed.subject, item.fixed.session, item.moving.session
    return Result(
        rows={"residuals": _rows("sessions", place, (None, None, None), sums.residuals())}
    )


@dataclass(frozen=True, eq=False)
class _Plane:
    image: NDArray[np.float32]
    target: NDArray[np.bool_]


def _plane(storage: Storage, item: SlicesItem, z: int) -> _Plane:
    name = item.place.name
    labels = read_label_slab(storage, name, item.masks.method, item.t, z, z + 1)
    return _Plane(read_channel(storage, name, item.t, z, z + 1)[0], labels[0] == item.masks.value)


def _slices(
    storage: Storage, item: SessionItem
) -> Iterator[tuple[int, NDArray[np.float32], NDArray[np.bool_]]]:
    """Read the fixed session slice by slice."""
    name = item.fixed.name
    for z in range(read_meta(storage, name).shape[2]):
        labels = read_label_slab(storage, name, item.masks.method, 0, z, z + 1)
        yield z, read_channel(storage, name, 0, z, z + 1)[0], labels[0] == item.masks.value


class _Warp:
    """The moving session on the fixed one's slices under one motion, read as it is needed."""

    def __init__(self, storage: Storage, item: SessionItem, matrix: NDArray[np.float64]) -> None:
        self._storage, self._item = storage, item
        fixed = read_meta(storage, item.fixed.name).geometry
        moving = read_meta(storage, item.moving.name).geometry
        self._map = index_map(fixed, moving, matrix)
        self._shapes = fixed.shape, moving.shape
        self._held: dict[int, _Plane] = {}

    def slice(self, z: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Return image (NaN where it shows nothing) and target on fixed slice z."""
        _, rows, columns = self._shapes[0]
        image = np.full((rows, columns), np.nan, dtype=np.float32)
        target = np.zeros((rows, columns), dtype=bool)
        for piece in pieces(self._map, (z, rows, columns), self._shapes[1], MOST_SLICES):
            block, mask = self._block(piece)
            image[piece.rows, piece.columns] = piece.sample(block)
            target[piece.rows, piece.columns] = piece.sample_labels(mask) > 0
        return image, target

    def _block(self, piece: Piece) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        wanted = range(piece.source.start, piece.source.stop)
        self._held = {z: plane for z, plane in self._held.items() if z in wanted}
        for z in wanted:
            if z not in self._held:
                self._held[z] = self._read(z)
        planes = [self._held[z] for z in wanted]
        return np.stack([p.image for p in planes]), np.stack([p.target for p in planes]).astype(
            np.uint8
        )

    def _read(self, z: int) -> _Plane:
        name, masks = self._item.moving.name, self._item.masks
        labels = read_label_slab(self._storage, name, masks.method, 0, z, z + 1)
        return _Plane(read_channel(self._storage, name, 0, z, z + 1)[0], labels[0] == masks.value)


def _rows(
    kind: str,
    place: tuple[str, str, str],
    where: tuple[int | None, int | None, int | None],
    found: dict[str, Residual],
) -> list[ResidualRow]:
    """Make a row per region; `place` is subject, fixed and moving session, `where` t and both z."""
    named: dict[str, Any] = {  # Any: fields of different types
        "subject": place[0], "kind": kind, "fixed_session": place[1], "moving_session": place[2],
        "t": where[0], "fixed_z": where[1], "moving_z": where[2],
    }  # fmt: skip
    return [
        ResidualRow(**named, region=region, **vars(residual)) for region, residual in found.items()
    ]
