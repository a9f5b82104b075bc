"""3D Slicer's segmentations in layers (`.seg.nrrd`, axis `list` first) as one label map.

Slicer puts segments that overlap into layers of their own, in which values begin anew. A segment keeps its value
where no other has the same; else segments are numbered 1, 2 … in their order. Where they overlap the first holds the
voxel, as in all masks. A segmentation of one layer is a label map already.
Source: 3D Slicer, Segmentation file format; slicerio, SegmentationFileFormat.md.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from somray.domain.scan import ScanHeader
from somray.io.masks.name_tables import MaskRegion, chosen
from somray.io.readers.nrrd import described
from somray.io.readers.raw import RawLayout, RawSource
from somray.io.readers.source import Source
from somray.io.readers.voxels.nrrd_axes import axes_of
from somray.io.readers.voxels.nrrd_fields import read_fields

__all__ = ["SlicerSegment", "open_layers", "segments_of"]

_KEY = re.compile(r"Segment([0-9]+)_(?:ID|Name|LabelValue|Layer)")


@dataclass(frozen=True, eq=False)
class SlicerSegment(MaskRegion):
    """One segment: its layer, from 0, and its value there."""

    layer: int
    value: int


def segments_of(path: Path) -> list[SlicerSegment]:
    """Read the segments of an NRRD header, in their order; [] where it names none.

    Raises:
        DataError: `unreadable`.
    """
    header = read_fields(path)
    keys, axes = header.keys, axes_of(path, header)
    numbers = sorted({int(found[1]) for key in keys if (found := _KEY.fullmatch(key))})
    # Before layers were shared, each segment had one of its own, in which it was 1.
    read = [
        (
            keys.get(f"Segment{n}_Name", ""),
            _whole(keys.get(f"Segment{n}_Layer"), n),
            _whole(keys.get(f"Segment{n}_LabelValue"), 1 if axes.is_serial_first else 0),
        )
        for n in numbers
    ]
    values = [value for _, _, value in read]
    is_clear = len(set(values)) == len(values) and min(values, default=1) > 0
    if is_clear or not axes.is_serial_first:
        return [SlicerSegment(one[2], *one) for one in read]
    return [SlicerSegment(n, *one) for n, one in enumerate(read, start=1)]


def _whole(text: str | None, other: int) -> int:
    return int(text) if text is not None and re.fullmatch(r"[0-9]{1,9}", text) else other


def open_layers(path: Path, name: str | None = None) -> Source | None:
    """Open a segmentation of several layers, or one segment of it; None where an NRRD file is none.

    Raises:
        DataError: as `open_nrrd`; `unreadable`: no segment of that name.
    """
    if not (segments := segments_of(path)):
        return None
    header, layout = described(path)
    if layout.values_per_voxel < 2:
        return None
    return _LayeredSource(str(path), header, layout, chosen(str(path), segments, name))


class _LayeredSource(RawSource):
    """An open segmentation whose layers lie together, voxel by voxel."""

    def __init__(
        self, path: str, header: ScanHeader, layout: RawLayout, segments: Sequence[SlicerSegment]
    ) -> None:
        super().__init__(path, header, layout)
        self._segments = segments
        self.header = replace(self.header, shape=(1, *header.shape[1:]))
        self.windows = "slices"
        self.notes = (
            f"has {layout.values_per_voxel} layers; where segments overlap the first holds the voxel",
        )

    def _plane(self, t: int, z: int) -> NDArray[np.float32]:
        stored = self._stored(t, z)
        labels = np.zeros(stored.shape[:2], dtype=np.float32)
        for one in reversed(self._segments):  # the first last, so that it holds
            if one.layer < stored.shape[2]:
                labels[stored[..., one.layer] == one.value] = one.label
        return labels
