"""DICOM Segmentation objects as label masks: the voxels of segment n are label n.

Frames stand where their own headers put them; slices without a frame are empty. Where segments overlap, the
first holds the voxel, as with a folder of masks. Binary segments, and fractional ones from one half on. Only what
places a frame, and the segments' names, leave this module.
"""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, SegmentationStorage

from somray.domain.scan import ScanHeader
from somray.errors import DataError
from somray.io.readers import open_source
from somray.io.readers.source import Source, coded, grid_of
from somray.io.readers.voxels.inflate import first_bytes

__all__ = ["is_dicom_seg", "open_mask", "segment_names"]

_MAGIC_AT = 128
_ON_GRID = 0.1  # voxels; a frame farther from the others' grid belongs to another
_MOST_SLICES = 8192  # between the first and the last frame
_PIXEL_HEAD = {ExplicitVRLittleEndian: 12, ImplicitVRLittleEndian: 8}  # bytes: tag, VR, length

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class _SegFrame:
    """One slice of one segment."""

    index: int
    segment: int
    position: Vector
    orientation: Vector
    spacing: tuple[float, float, float]  # z (0 where not said), y, x


def is_dicom_seg(path: Path) -> bool:
    """Tell a DICOM Segmentation by its content, also alone in a folder; false for all else."""
    path = _alone_in(path)
    if not path.is_file():
        return False
    if first_bytes(path, _MAGIC_AT + 4)[_MAGIC_AT:] != b"DICM":
        return False
    with warnings.catch_warnings(), coded(path):
        warnings.simplefilter("ignore")
        head = pydicom.dcmread(path, specific_tags=["SOPClassUID"], stop_before_pixels=True)
    return bool(head.get("SOPClassUID") == SegmentationStorage)


def _alone_in(path: Path) -> Path:
    """Return the one file of a folder, as archives store a series of one object; else the path itself."""
    if not path.is_dir():
        return path
    files = [file for file in path.iterdir() if not file.name.startswith(".")]
    return files[0] if len(files) == 1 else path


def open_mask(path: str) -> Source:
    """Open a label mask in any format that a scan may have, or a DICOM Segmentation.

    Raises:
        DataError: as `open_source`.
    """
    place = Path(path)
    with coded(place):
        if is_dicom_seg(place):
            return _open_seg(_alone_in(place))
    return open_source(path)


def segment_names(path: Path) -> list[tuple[int, str]]:
    """Return number and label of each segment."""
    with coded(path):
        data, _ = _header(_alone_in(path))
        return [
            (int(s.SegmentNumber), str(s.get("SegmentLabel", ""))) for s in data.SegmentSequence
        ]


def _header(path: Path) -> tuple[Any, int]:  # Any: pydicom's datasets are dynamic
    """Read all but the pixels, and the byte where those begin."""
    with path.open("rb") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = pydicom.dcmread(file, stop_before_pixels=True)
        syntax = data.file_meta.TransferSyntaxUID
        if syntax not in _PIXEL_HEAD:
            raise DataError("unreadable", f"{path}: is a compressed segmentation; decompress it")
        return data, file.tell() + _PIXEL_HEAD[syntax]


def _open_seg(path: Path) -> Source:
    data, begin = _header(path)
    kind, bits = str(data.get("SegmentationType", "")), int(data.BitsAllocated)
    if (kind, bits) not in (("BINARY", 1), ("FRACTIONAL", 8)):
        raise DataError("unreadable", f"{path}: is a segmentation of type {kind[:16]}, not BINARY")
    frames = list(_frames(data))
    size = (int(data.Rows), int(data.Columns))
    needed = -(-len(frames) * size[0] * size[1] * bits // 8)
    if not frames or path.stat().st_size - begin < needed:
        raise DataError("truncated", f"{path}: ends before its frames do; copy the file again")
    matrix, places = _grid(path, frames)
    geometry = grid_of(str(path), (int(places.max()) + 1, *size), matrix)
    header = ScanHeader((1, *geometry.shape), geometry, "dicom")
    half = 1 if bits == 1 else -(-int(data.get("MaximumFractionalValue", 255)) // 2)
    ordered: dict[int, list[_SegFrame]] = {}
    for frame, place in sorted(zip(frames, places, strict=True), key=lambda f: -f[0].segment):
        ordered.setdefault(int(place), []).append(frame)
    return _SegSource(str(path), header, ordered, begin, (bits, half))


def _frames(data: Any) -> Iterator[_SegFrame]:  # Any: pydicom
    shared = data.SharedFunctionalGroupsSequence[0]
    for index, own in enumerate(data.PerFrameFunctionalGroupsSequence):
        group = {
            name: next(part[name][0] for part in (own, shared) if name in part)
            for name in ("PlanePositionSequence", "PlaneOrientationSequence", "PixelMeasuresSequence",
                         "SegmentIdentificationSequence")
        }  # fmt: skip
        measures = group["PixelMeasuresSequence"]
        rows, columns = (float(v) for v in measures.PixelSpacing)
        yield _SegFrame(
            index,
            int(group["SegmentIdentificationSequence"].ReferencedSegmentNumber),
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
    step = abs(first.spacing[0]) or float(min(gaps, default=min(first.spacing[1:])))
    places = (heights - heights.min()) / step
    origin = positions[int(np.argmin(heights))]
    drift = positions - origin - np.outer(heights - heights.min(), normal)
    uneven = np.abs(places - np.rint(places)).max() > _ON_GRID
    if uneven or np.abs(drift).max() > _ON_GRID * min(first.spacing[1:]):
        raise DataError("irregular", f"{path}: its frames lie on no even grid; export it again")
    if places.max() > _MOST_SLICES:
        raise DataError("unreadable", f"{path}: its frames lie {places.max():.0f} slices apart")
    matrix = np.eye(4)
    matrix[:3, :3] = np.stack(
        [across * first.spacing[2], down * first.spacing[1], normal * step], 1
    )
    matrix[:3, 3] = origin
    return matrix, np.rint(places).astype(np.int64)


class _SegSource(Source):
    """An open segmentation; slices are read frame by frame."""

    def __init__(
        self,
        path: str,
        header: ScanHeader,
        frames: dict[int, list[_SegFrame]],
        begin: int,
        stored: tuple[int, int],
    ) -> None:
        super().__init__(path, header)
        self._frames, self._begin = frames, begin
        self._bits, self._half = stored

    def _read(self, t: int, z0: int, z1: int) -> NDArray[np.float32]:
        rows, columns = self.header.shape[2:]
        block = np.zeros((z1 - z0, rows, columns), dtype=np.float32)
        with open(self.path, "rb") as file:
            for z in range(z0, z1):
                for frame in self._frames.get(z, ()):  # the first segment last, so that it holds
                    start, end = (
                        n * rows * columns * self._bits for n in (frame.index, frame.index + 1)
                    )
                    file.seek(self._begin + start // 8)
                    packed = np.frombuffer(file.read(-(-end // 8) - start // 8), dtype=np.uint8)
                    if self._bits == 1:  # frames follow each other without a gap, bit by bit
                        bits = np.unpackbits(packed, bitorder="little")
                        packed = bits[start % 8 : start % 8 + rows * columns]
                    block[z - z0][packed.reshape(rows, columns) >= self._half] = frame.segment
        return block
