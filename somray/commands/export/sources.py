"""The grid that a mask goes back to: its source's own, where the source is still what the run read."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from somray.commands.export.scans import StoredScan
from somray.domain.brick import Brick
from somray.domain.geometry import Geometry
from somray.errors import DataError
from somray.io.ome.image import ScanMeta
from somray.io.readers import Source, open_source
from somray.io.readers.source import SliceFile
from somray.io.writers.voxels import LabelMap, Voxels
from somray.kernels.grids.slabs import nearest_box

__all__ = ["SourceGrid", "on_grid", "on_slices", "source_grid"]

WHOLE_PIXELS = 1 << 22  # of the largest slice whose voxels' places are held at once
CLOSE = 0.01  # voxels; headers are rounded
EVEN = 0.02  # share by which gaps of one series differ at most, as in the DICOM reader

_RESAMPLED = {"resampled_z", "untilted"}


@dataclass(frozen=True)
class SourceGrid:
    """Where a mask goes.

    `geometry` is for formats that hold one volume; `files` are per time point the slices of a DICOM source, () where
    it is none, or gone; `why` tells why it is not the source's own grid.
    """

    geometry: Geometry
    files: tuple[tuple[SliceFile, ...], ...] = ()
    why: str = ""

    @property
    def note(self) -> str:
        """What a person is told of it."""
        return f"{self.why}; on the run's grid" if self.why else ""


def source_grid(stored: StoredScan, channel: int) -> SourceGrid:
    """Look at the source of one channel of a scan."""
    meta = stored.meta
    paths = stored.scan.paths
    path = paths[channel] if channel < len(paths) else None
    if path is None:
        return SourceGrid(
            meta.geometry,
            why="the manifest no longer tells where its source lies",
        )
    try:
        with contextlib.closing(open_source(path, stored.irregular)) as source:
            return _looked_at(source, meta, channel)
    except DataError as error:
        return SourceGrid(
            meta.geometry,
            why=f"its source cannot be read any more ({error.code})",
        )


def _looked_at(source: Source, meta: ScanMeta, channel: int) -> SourceGrid:
    header = source.header
    if header.shape[0] != meta.shape[0] or (
        channel == 0 and not _is_same(header.geometry, meta.geometry)
    ):
        return SourceGrid(meta.geometry, why="its source is no longer what the run read")
    files = tuple(source.slice_files(t) for t in range(header.shape[0]))
    if not all(files):
        return SourceGrid(header.geometry)
    if not _RESAMPLED & set(header.repairs):
        return SourceGrid(header.geometry, files)
    own = _stacked([file.plane for file in files[0]])
    if own is None:
        return SourceGrid(
            header.geometry,
            files,
            "its slices are uneven, which one volume cannot say",
        )
    return SourceGrid(own, files)


def _is_same(one: Geometry, other: Geometry) -> bool:
    """Tell whether two grids are the same up to the rounding of headers, in voxels."""
    if one.shape != other.shape:
        return False
    far = np.array([[0, 0, 0], one.shape, [one.shape[0], 0, 0], [0, one.shape[1], 0]], dtype=float)
    return bool(np.abs(other.to_index(one.to_world(far)) - far).max() < CLOSE)


def _stacked(planes: list[Geometry]) -> Geometry | None:
    """Return the grid of slices that lie one step apart, upright or not; None where the steps differ."""
    places = np.array([plane.matrix[:3, 3] for plane in planes])
    matrix = planes[0].matrix.copy()
    if len(planes) > 1:
        steps = np.diff(places, axis=0)
        usual = np.median(steps, axis=0)
        if np.abs(steps - usual).max() > EVEN * np.linalg.norm(usual):
            return None
        matrix[:3, 2] = (places[-1] - places[0]) / (len(places) - 1)
    return Geometry.from_matrix((len(planes), *planes[0].shape[1:]), matrix)


def _reader(labels: LabelMap) -> Callable[[Brick], NDArray[np.int32]]:
    def read(box: Brick) -> NDArray[np.int32]:
        return np.asarray(labels.voxels.read(box), dtype=np.int32)

    return read


def _nearest(labels: LabelMap, geometry: Geometry, box: Brick) -> NDArray[np.int32]:
    """Return a box of another grid, a few rows of large slices at a time: their places take much more than they."""
    crops = max(_pixels(geometry), _pixels(labels.geometry)) > WHOLE_PIXELS
    step = max(1, WHOLE_PIXELS // box.shape[2]) if crops else box.shape[1]
    parts = [
        nearest_box(
            _reader(labels), labels.geometry, geometry, replace(box, y0=y, y1=min(box.y1, y + step)), crops=crops
        )
        for y in range(box.y0, box.y1, step)
    ]  # fmt: skip
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)


def _pixels(geometry: Geometry) -> int:
    return geometry.shape[1] * geometry.shape[2]


def on_grid(labels: LabelMap, geometry: Geometry) -> LabelMap:
    """Return a mask on another grid, by the nearest voxel in the patient; itself where the grid is its own."""
    if geometry == labels.geometry:
        return labels

    def read(box: Brick) -> Any:  # Any: numpy integers
        return _nearest(labels, geometry, box)

    old = labels.voxels
    return LabelMap(Voxels(geometry, old.times, old.dtype, read), labels.segments)


def on_slices(
    labels: LabelMap, t: int, files: tuple[SliceFile, ...]
) -> NDArray[np.unsignedinteger[Any]]:
    """Return a mask on slices that lie as they like, (slices, y, x) uint8 or uint16, by the nearest voxel."""
    kind = np.uint8 if labels.voxels.dtype == "uint8" else np.uint16
    found = np.zeros((len(files), *files[0].plane.shape[1:]), dtype=kind)
    read = _reader(labels)
    for shown, file in zip(found, files, strict=True):
        z = _slice_of(labels.geometry, file.plane)
        if z is None:
            plane = Brick.of_slices(t, 0, 1, file.plane.shape[1:])
            shown[:] = _nearest(labels, file.plane, plane)[0]
        else:
            shown[:] = read(Brick.of_slices(t, z, z + 1, file.plane.shape[1:]))[0]
    return found


def _slice_of(grid: Geometry, plane: Geometry) -> int | None:
    """Return the slice of a grid that a plane is, None where it lies between or askew: most are, and cost nothing."""
    _, rows, columns = plane.shape
    if (rows, columns) != grid.shape[1:]:
        return None
    corners = np.array([[0, 0, 0], [0, rows, 0], [0, 0, columns]], dtype=np.float64)
    found = grid.to_index(plane.to_world(corners)) - corners
    z = round(float(found[0, 0]))
    is_slice = 0 <= z < grid.shape[0] and np.abs(found - [z, 0, 0]).max() < CLOSE
    return z if is_slice else None
