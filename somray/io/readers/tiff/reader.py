"""TIFF files, read plane by plane.

TIFF says little of space: see `spacing`. Where nothing vouches for a voxel size it is 1 mm and the scan says
`spacing_assumed`. Frames that no time tells apart are slices, and the scan says `frames_as_slices`.
"""

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from somray.domain.brick import Brick
from somray.domain.scan import ScanHeader
from somray.errors import DataError
from somray.io.readers.sidecars import sidecar_spacing
from somray.io.readers.source import Source
from somray.io.readers.tiff.boxes import PageBoxes, windows_of
from somray.io.readers.tiff.calibration import value_line
from somray.io.readers.tiff.header import stack_header
from somray.io.readers.tiff.omeset import is_ome_set, open_ome_set
from somray.io.readers.tiff.omexml import channel_names, is_timed, parsed
from somray.io.readers.tiff.pages import check_whole, facts_of, on_line, planes_of, strict
from somray.io.readers.tiff.spacing import spacing_zyx_mm
from somray.io.readers.tiff.stack import PlaneOrder, series_of, stack_of, untold_pages
from somray.io.readers.voxels.rows import StoredPlane

__all__ = ["SUFFIXES", "is_tiff", "open_tiff"]

SUFFIXES = (".tif", ".tiff", ".btf", ".tf2", ".tf8", ".lsm")
_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_COMPANION = ".companion.ome"


def is_tiff(path: Path) -> bool:
    """Tell a TIFF file by its magic number or name."""
    if not path.is_file():
        return False
    name = path.name.lower()
    with path.open("rb") as file:
        return file.read(4) in _MAGIC or name.endswith((*SUFFIXES, _COMPANION))


def open_tiff(path: Path, irregular: str = "refuse", channel: str | None = None) -> Source:
    """Open a stack in one file, or an OME-TIFF set by any of its files.

    Args:
        path: the file.
        irregular: not used; slices of one file have no gaps.
        channel: name or number of the channel to read, where there are several.

    Raises:
        DataError: `unreadable`, `truncated`, `missing` (files of a set), `mixed_series`, `too_large`.
    """
    if path.name.lower().endswith(_COMPANION):
        return open_ome_set(path, path.read_text(encoding="utf-8"), channel)
    with contextlib.ExitStack() as opened:
        with strict(path):
            file = opened.enter_context(tifffile.TiffFile(path))
            if file.is_ome and parsed(str(file.ome_metadata)) is None:
                raise DataError(
                    "unreadable",
                    f"{path}: its OME-XML is damaged; write it again, or save as plain TIFF",
                )
            if file.is_ome and is_ome_set(path, str(file.ome_metadata)):
                return open_ome_set(path, str(file.ome_metadata), channel)
            source = _source_of(path, file, channel)
        opened.pop_all()  # nothing to complain of: the source closes it
    return source


def _source_of(path: Path, file: Any, channel: str | None) -> Source:  # Any: tifffile
    """Look at the images of an open file."""
    try:
        axes, sizes, pages = series_of(path, file)
    except (KeyError, TypeError, ValueError) as error:
        if not file.is_ome:
            raise
        raise DataError(
            "unreadable",
            f"{path}: its OME-XML lacks or garbles a size ({error}); write it again, or save as plain TIFF",
        ) from error
    key = pages[0].keyframe if pages[0] is not None else None
    check_whole(path, pages)
    if key is None or not key.axes.strip("S").endswith("YX"):
        raise DataError("unreadable", f"{path}: its pages hold no rows and columns of pixels")
    inner = [(a, n) for a, n in zip(key.axes, key.shape, strict=True) if a not in "SYX"]
    axes, sizes = axes + "".join(a for a, _ in inner), sizes + tuple(n for _, n in inner)
    timed, names = _told(file)
    stack = stack_of(path, axes, sizes, (channel, names), timed=timed)
    facts = facts_of(path, key)
    shape = (*stack.planes.shape, facts.rows, facts.columns)
    notes = (*stack.notes, *facts.notes, *untold_pages(file, pages))
    spacing = spacing_zyx_mm(file) or sidecar_spacing(path, shape[1:])
    header = stack_header(path, shape, spacing, notes)
    contiguous = len(file.series) == 1 and file.series[0].dataoffset is not None
    if contiguous and key.samplesperpixel == 1 and "white_inverted" not in notes:
        dtype = np.dtype(key.dtype).newbyteorder(file.byteorder)
        offset = int(file.series[0].dataoffset)
        source = _PlainSource(str(path), header, stack, (dtype, offset, int(np.prod(sizes))))
        source.line = value_line(key)
        file.close()
        return source
    return _PagedSource(str(path), header, file, pages, stack)


def _told(file: Any) -> tuple[bool, list[str]]:  # Any: tifffile
    """Return whether the file names the time between its frames, and the names of its channels."""
    if file.is_imagej:
        return float((file.imagej_metadata or {}).get("finterval") or 0) > 0, []
    root = parsed(str(file.ome_metadata)) if file.is_ome else None
    return (False, []) if root is None else (is_timed(root), channel_names(root))


class _PlainSource(Source):
    """One file whose planes lie one after another as they are; ImageJ writes no other pages beyond 4 GB.

    Args:
        path: the file.
        header: what it says of itself.
        stack: which plane is which.
        layout: type, first byte, number of planes.

    Raises:
        DataError: `truncated`.
    """

    windows = "boxes"
    splits = True
    line: tuple[float, float] | None = None  # offset and slope of measured values

    def __init__(
        self,
        path: str,
        header: ScanHeader,
        stack: PlaneOrder,
        layout: tuple[np.dtype[Any], int, int],
    ) -> None:
        super().__init__(path, header)
        self._planes, (self._dtype, self._offset, count) = stack.planes, layout
        self._pixels = header.shape[2] * header.shape[3]
        needed = self._offset + count * self._pixels * self._dtype.itemsize
        if Path(path).stat().st_size < needed:
            raise DataError("truncated", f"{path}: ends before its pixels do; copy the file again")

    def _read(self, t: int, z0: int, z1: int) -> NDArray[np.float32]:
        block = np.empty((z1 - z0, *self.header.shape[2:]), dtype=np.float32)
        with Path(self.path).open("rb") as file:
            for z in range(z0, z1):
                place = int(self._planes[t, z]) * self._pixels * self._dtype.itemsize
                file.seek(self._offset + place)
                found = np.fromfile(file, dtype=self._dtype, count=self._pixels)
                block[z - z0] = self._measured(found.reshape(self.header.shape[2:]))
        return block

    def _measured(self, stored: NDArray[Any]) -> NDArray[Any]:  # Any: any number
        return stored if self.line is None else on_line(stored, self.line)

    def _read_box(self, box: Brick) -> NDArray[np.float32]:
        found = np.empty(box.shape, dtype=np.float32)
        with Path(self.path).open("rb") as file:

            def read(at: int, count: int) -> bytes:
                file.seek(at)
                return file.read(count)

            for z in range(box.z0, box.z1):
                place = int(self._planes[box.t, z]) * self._pixels * self._dtype.itemsize
                plane = StoredPlane(
                    self._offset + place, self.header.shape[3], self._dtype, 1, read
                )
                for rows, stored in plane.rows(box):
                    found[z - box.z0, rows] = self._measured(stored[..., 0])
        return found


class _PagedSource(Source):
    """One file, decoded page by page."""

    def __init__(
        self, path: str, header: ScanHeader, file: Any, pages: list[Any], stack: PlaneOrder
    ) -> None:  # Any: tifffile
        super().__init__(path, header)
        self._file, self._pages, self._planes = file, pages, stack.planes
        inside = int(stack.planes.max()) + 1
        key = pages[0].keyframe
        sizes = dict(zip(key.axes, key.shape, strict=True))
        each = int(np.prod([n for a, n in sizes.items() if a not in "SYX"]))
        if inside > len(pages) * each:
            raise DataError("truncated", f"{path}: has {len(pages)} pages for {inside} planes")
        self._each = each
        self.windows = windows_of(pages) if each == 1 else "slices"
        self.splits = each == 1
        self.slice_bytes = 8 + 3 * int(np.dtype(key.dtype).itemsize) * int(key.samplesperpixel)
        self._boxes = PageBoxes()
        self._last: tuple[int, NDArray[Any]] | None = None  # a page of many planes, decoded

    def _read(self, t: int, z0: int, z1: int) -> NDArray[np.float32]:
        block = np.empty((z1 - z0, *self.header.shape[2:]), dtype=np.float32)
        for z in range(z0, z1):
            page, inside = divmod(int(self._planes[t, z]), self._each)
            if self._last is None or self._last[0] != page:
                self._last = page, planes_of(Path(self.path), self._pages[page])
            block[z - z0] = self._last[1][inside]
        return block

    def _read_box(self, box: Brick) -> NDArray[np.float32]:
        if self.windows == "slices":
            return super()._read_box(box)
        planes = (self._pages[int(n)] for n in self._planes[box.t, box.z0 : box.z1])
        return np.stack(
            [self._boxes.read(Path(self.path), p, box).astype(np.float32) for p in planes]
        )

    def verify(self) -> None:
        """Decode the first slice, and one page of every other codec.

        Raises:
            DataError: as `read`.
        """
        super().verify()
        others = {int(page.keyframe.compression): page for page in self._pages}
        for page in others.values():
            if page.keyframe is not self._pages[0].keyframe and self.windows == "slices":
                planes_of(Path(self.path), page)
            elif page.keyframe is not self._pages[0].keyframe:
                self._boxes.read(Path(self.path), page, self._first)

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()
