"""DICOM Segmentation objects as label masks: the voxels of segment n are label n.

Frames stand where their own headers put them; slices without a frame are empty. Where segments overlap, the
first holds the voxel, as with a folder of masks. Binary segments, fractional ones from one half on, and label maps,
whose values are the segments' numbers. Only what places a frame, and the segments' names, leave this module.
"""

from collections.abc import Callable, Iterator, Set
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from somray.domain.scan import ScanHeader
from somray.errors import DataError
from somray.io.masks.dicom_objects import unquoted
from somray.io.masks.name_tables import MaskRegion, chosen
from somray.io.readers.dicom.dataset import open_tags
from somray.io.readers.dicom.pixels import PixelPlace, place_of, stored_plane
from somray.io.readers.source import Source, coded, grid_of

__all__ = ["dicom_segments", "open_seg"]

_ON_GRID = 0.1  # voxels; a frame farther from the others' grid belongs to another
_GROUPS = (
    "PlanePositionSequence",
    "PlaneOrientationSequence",
    "PixelMeasuresSequence",
    "SegmentIdentificationSequence",
)
_MOST_SLICES = 8192  # between the first and the last frame
_PIXEL_HEAD = {ExplicitVRLittleEndian: 12, ImplicitVRLittleEndian: 8}  # bytes: tag, VR, length

Vector = NDArray[np.float64]
Labels = NDArray[np.int32]


@dataclass(frozen=True)
class _SegFrame:
    """One slice of one segment."""

    index: int
    segment: int
    position: Vector
    orientation: Vector
    spacing: tuple[float, float, float]  # z (0 where not said), y, x


def open_seg(path: Path, name: str | None = None) -> Source:
    """Open a segmentation; all of it, or the only segment of a name or number, as it was drawn.

    Raises:
        DataError: `unreadable`, `truncated`, `irregular`, `no_space`.
    """
    with unquoted(path):
        return _open_seg(path, name)


def dicom_segments(path: Path) -> list[MaskRegion]:
    """Return the segments of a file; a label is a segment's number."""
    with coded(path), unquoted(path):
        return _segments(_header(path)[0])


def _segments(data: Any) -> list[MaskRegion]:  # Any: pydicom's datasets are dynamic
    named = (
        MaskRegion(int(s.SegmentNumber), str(s.get("SegmentLabel", "")))
        for s in data.SegmentSequence
    )
    return [one for one in named if one.label > 0]  # 0 is the background of a label map


def _header(path: Path) -> tuple[Any, int]:  # Any: pydicom's datasets are dynamic
    """Read all but the pixels, and the byte where those begin, 0 where they are compressed."""
    with path.open("rb") as file:
        data = pydicom.dcmread(file, stop_before_pixels=True)
        head = _PIXEL_HEAD.get(data.file_meta.TransferSyntaxUID, 0)
        return data, file.tell() + head if head else 0


def _open_seg(path: Path, name: str | None) -> Source:
    data, begin = _header(path)
    wanted = (
        None if name is None else {one.label for one in chosen(str(path), _segments(data), name)}
    )
    frames = list(_frames(path, data))
    size = (int(data.Rows), int(data.Columns))
    labels = _labels_of(path, data, begin, len(frames))
    matrix, places = _grid(path, frames)
    geometry = grid_of(str(path), (int(places.max()) + 1, *size), matrix)
    header = ScanHeader((1, *geometry.shape), geometry, "dicom")
    ordered: dict[int, list[_SegFrame]] = {}
    for frame, place in sorted(zip(frames, places, strict=True), key=lambda f: -f[0].segment):
        if wanted is None or frame.segment in (0, *wanted):  # 0: a label map's, of all segments
            ordered.setdefault(int(place), []).append(frame)
    return _SegSource(str(path), header, ordered, _only(labels, wanted))


def _labels_of(
    path: Path,
    data: Any,
    begin: int,
    count: int,  # Any: pydicom
) -> Callable[[_SegFrame], Labels]:
    """Return what reads the labels of a frame."""
    kind, bits = str(data.get("SegmentationType", "")), int(data.BitsAllocated)
    if bits == 1 and kind == "BINARY":
        if not begin:
            syntax = data.file_meta.TransferSyntaxUID
            what = "compressed" if syntax.is_compressed else syntax.name
            raise DataError(
                "unreadable",
                f"{path}: is a {what} segmentation; write it as Explicit VR Little Endian",
            )
        size = (int(data.Rows), int(data.Columns))
        if not count or path.stat().st_size - begin < -(-count * size[0] * size[1] // 8):
            raise DataError("truncated", f"{path}: ends before its frames do; copy the file again")
        return partial(_of_bits, path, begin, size)
    if bits not in (8, 16) or kind not in ("BINARY", "FRACTIONAL", "LABELMAP"):
        what = f"is a segmentation of type {kind[:16]} with {bits} bits a voxel"
        raise DataError("unreadable", f"{path}: {what}; export it as BINARY")
    place = place_of(open_tags(path), count)
    if kind == "LABELMAP":
        return partial(_of_values, place, int(data.get("PixelPaddingValue") or 0))
    most = int(data.get("MaximumFractionalValue") or 255) if kind == "FRACTIONAL" else 1
    return partial(_of_shares, place, -(-most // 2))


def _of_bits(path: Path, begin: int, size: tuple[int, int], frame: _SegFrame) -> Labels:
    """Read a frame of bits; frames follow each other without a gap, bit by bit."""
    count = size[0] * size[1]
    start, end = frame.index * count, (frame.index + 1) * count
    with path.open("rb") as file:
        file.seek(begin + start // 8)
        packed = np.frombuffer(file.read(-(-end // 8) - start // 8), dtype=np.uint8)
    bits = np.unpackbits(packed, bitorder="little")[start % 8 : start % 8 + count]
    return bits.reshape(size).astype(np.int32) * frame.segment


def _of_shares(place: PixelPlace, half: int, frame: _SegFrame) -> Labels:
    return np.where(stored_plane(place, frame.index) >= half, np.int32(frame.segment), np.int32(0))


def _of_values(place: PixelPlace, background: int, frame: _SegFrame) -> Labels:
    found = np.asarray(stored_plane(place, frame.index), dtype=np.int32)
    return np.where(found == background, np.int32(0), found)


def _only(
    labels: Callable[[_SegFrame], Labels], wanted: Set[int] | None
) -> Callable[[_SegFrame], Labels]:
    """Keep of a frame's labels those that are wanted."""
    if wanted is None:
        return labels

    def kept(frame: _SegFrame) -> Labels:
        found = labels(frame)
        return np.where(np.isin(found, list(wanted)), found, np.int32(0))

    return kept


def _frames(path: Path, data: Any) -> Iterator[_SegFrame]:  # Any: pydicom
    shared: Any = next(iter(data.get("SharedFunctionalGroupsSequence") or ()), {})  # Any: pydicom
    for index, own in enumerate(data.PerFrameFunctionalGroupsSequence):
        group = {name: found[0] for name in _GROUPS if (found := own.get(name) or shared.get(name))}
        lacking = [name for name in _GROUPS[:3] if name not in group]
        if lacking:
            raise DataError(
                "no_space",
                f"{path}: frame {index + 1} has no {lacking[0]}; export the segmentation again",
            )
        measures = group["PixelMeasuresSequence"]
        rows, columns = (float(v) for v in measures.PixelSpacing)
        whose = group.get("SegmentIdentificationSequence")
        yield _SegFrame(
            index,
            0 if whose is None else int(whose.ReferencedSegmentNumber),
            np.array(group["PlanePositionSequence"].ImagePositionPatient, dtype=np.float64),
            np.array(group["PlaneOrientationSequence"].ImageOrientationPatient, dtype=np.float64),
            (float(measures.get("SpacingBetweenSlices") or 0.0), rows, columns),
        )


def _grid(path: Path, frames: list[_SegFrame]) -> tuple[Vector, NDArray[np.int64]]:
    """Return voxel index to LPS mm, and the slice of every frame."""
    first = frames[0]
    across, down = first.orientation[:3], first.orientation[3:]
    normal = np.cross(across, down)
    if any(not np.allclose(f.orientation, first.orientation, atol=1e-4) for f in frames):
        raise DataError("unreadable", f"{path}: its frames are turned against each other")
    positions = np.array([f.position for f in frames])
    heights = positions @ normal
    gaps = np.diff(np.unique(heights))
    gaps = gaps[gaps > _ON_GRID * min(first.spacing[1:])]
    least = float(min(gaps, default=min(first.spacing[1:])))
    # Some writers give the thickness as the spacing.
    steps = (abs(first.spacing[0]) or least, least)
    step = next((mm for mm in steps if not _is_uneven(heights, mm)), 0.0)
    places = (heights - heights.min()) / (step or least)
    origin, top = positions[int(np.argmin(heights))], positions[int(np.argmax(heights))]
    # upright, or slid evenly as of a tilted gantry
    ways = (normal, (top - origin) / (np.ptp(heights) or 1.0))
    drifts = [positions - origin - np.outer(heights - heights.min(), way) for way in ways]
    is_near = [np.abs(drift).max() <= _ON_GRID * min(first.spacing[1:]) for drift in drifts]
    if not step or not any(is_near):
        raise DataError("irregular", f"{path}: its frames lie on no even grid; export it again")
    if places.max() > _MOST_SLICES:
        raise DataError("unreadable", f"{path}: its frames lie {places.max():.0f} slices apart")
    matrix = np.eye(4)
    matrix[:3, :3] = np.stack(
        [across * first.spacing[2], down * first.spacing[1], ways[is_near.index(True)] * step], 1
    )
    matrix[:3, 3] = origin
    return matrix, np.rint(places).astype(np.int64)


def _is_uneven(heights: Vector, step: float) -> bool:
    places = (heights - heights.min()) / step
    return bool(np.abs(places - np.rint(places)).max() > _ON_GRID)


class _SegSource(Source):
    """An open segmentation; slices are read frame by frame."""

    def __init__(
        self,
        path: str,
        header: ScanHeader,
        frames: dict[int, list[_SegFrame]],
        labels: Callable[[_SegFrame], Labels],
    ) -> None:
        super().__init__(path, header)
        self._frames, self._labels = frames, labels

    def _plane(self, t: int, z: int) -> NDArray[np.float32]:
        plane = np.zeros(self.header.shape[2:], dtype=np.float32)
        for frame in self._frames.get(z, ()):  # the first segment last, so that it holds
            found = self._labels(frame)
            np.copyto(plane, found, where=found > 0, casting="unsafe")
        return plane
