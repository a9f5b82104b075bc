"""Planes that are pages of TIFF files; of a box only the strips or tiles that it meets are decoded.

A page that is one compressed strip, or that holds its samples or slices apart, is decoded whole.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np
import tifffile
from numpy.typing import NDArray

from somray.domain.brick import Brick
from somray.domain.scan import ScanHeader
from somray.io.readers.source import Source, Windows
from somray.io.readers.tiff.pages import measured, planes_of, strict
from somray.io.readers.voxels.rows import StoredPlane

__all__ = ["FilesSource", "PagesSource", "least", "windows_of"]

WIDEST_TILE = 2048  # pixels; reading tile by tile decodes wider ones several times
MOST_SEGMENT_BYTES = 32 * 2**20  # of one decoded strip or tile
_JPEG = (6, 7, 34892, 33007)  # compressions whose tables stand apart


def windows_of(pages: Iterable[Any]) -> Windows:  # Any: tifffile
    """Tell how little can be decoded of every one of some pages; see `Source`."""
    return least(_windows(key) for key in {id(p.keyframe): p.keyframe for p in pages}.values())


def least(windows: Iterable[Windows]) -> Windows:
    """Return what can be decoded of all of several."""
    order: tuple[Windows, ...] = get_args(Windows)
    return min(windows, key=order.index, default="slices")


def _windows(key: Any) -> Windows:  # Any: tifffile
    if key.imagedepth > 1 or (key.samplesperpixel > 1 and key.planarconfig != 1):
        return "slices"
    if _is_plain(key):
        return "boxes"
    tall, wide = _segment(key)
    if tall * wide * key.samplesperpixel * np.dtype(key.dtype).itemsize > MOST_SEGMENT_BYTES:
        return "slices"
    if wide <= min(WIDEST_TILE, key.imagewidth - 1):
        return "boxes"
    return "rows" if tall < key.imagelength else "slices"


def _is_plain(key: Any) -> bool:  # Any: tifffile
    """Whether a page's rows lie one after another as they are."""
    is_plain = key.is_contiguous and key.fillorder == 1 and key.predictor == 1
    return bool(is_plain and key.imagedepth == 1 and key.planarconfig == 1)


def _segment(key: Any) -> tuple[int, int]:  # Any: tifffile
    """Return rows and columns of a strip or tile."""
    if key.is_tiled:
        return int(key.tilelength), int(key.tilewidth)
    return min(int(key.rowsperstrip), int(key.imagelength)), int(key.imagewidth)


class PagesSource(Source):
    """A scan whose planes are pages; the last strip or tile is kept decoded."""

    splits = True

    def __init__(self, path: str, header: ScanHeader, windows: Windows) -> None:
        super().__init__(path, header)
        self.windows = windows
        self._kept: tuple[tuple[Path, int, int], NDArray[Any]] | None = None

    def _page(self, t: int, z: int) -> tuple[Path, Any]:  # Any: tifffile
        """Return the file and the page of a plane."""
        raise NotImplementedError

    def _plane(self, t: int, z: int) -> NDArray[Any]:  # Any: any number
        return np.asarray(planes_of(*self._page(t, z))[0])

    def _read_box(self, box: Brick) -> NDArray[np.float32]:
        if self.windows == "slices":
            return super()._read_box(box)
        found = np.empty(box.shape, dtype=np.float32)
        for z in range(box.z0, box.z1):
            found[z - box.z0] = self._box_of(*self._page(box.t, z), box)
        return found

    def _box_of(
        self, path: Path, page: Any, box: Brick
    ) -> NDArray[Any]:  # Any: tifffile, any number
        """Read (y, x) of one page in the values that were measured; see `planes_of`."""
        key = page.keyframe
        with strict(path):
            if _is_plain(key):
                stored = np.concatenate([rows for _, rows in _plane(page).rows(box)])
                native = stored.dtype.newbyteorder("=")  # as tifffile gives it
                return measured(path, key, stored.astype(native, copy=False))
            return measured(path, key, self._decoded(path, page, box))

    def _decoded(
        self, path: Path, page: Any, box: Brick
    ) -> NDArray[Any]:  # Any: tifffile, any number
        """Put a box (y, x, samples) together from its strips or tiles."""
        key = page.keyframe
        tall, wide = _segment(key)
        across = -(-key.imagewidth // wide)
        found = np.empty((*box.shape[1:], key.samplesperpixel), dtype=key.dtype)
        for row in range(box.y0 // tall, -(-box.y1 // tall)):
            for column in range(box.x0 // wide, -(-box.x1 // wide)):
                y, x = row * tall, column * wide
                part = self._part(path, page, row * across + column)[:, : key.imagewidth - x]
                low, left = max(box.y0, y), max(box.x0, x)
                high, right = min(box.y1, y + tall), min(box.x1, x + wide)
                found[low - box.y0 : high - box.y0, left - box.x0 : right - box.x0] = part[
                    low - y : high - y, left - x : right - x
                ]
        return found

    def _part(self, path: Path, page: Any, number: int) -> NDArray[Any]:  # Any: tifffile
        """Decode one strip or tile as (y, x, samples)."""
        place = path, int(page.dataoffsets[number]), number
        if self._kept is None or self._kept[0] != place:
            key, file = page.keyframe, page.parent.filehandle
            file.seek(page.dataoffsets[number])
            data = file.read(page.databytecounts[number])
            tables = {"jpegtables": page.jpegtables, "jpegheader": key.jpegheader}
            extra = tables if int(key.compression) in _JPEG else {}
            decoded = key.decode(data, number, **extra, _fullsize=key.is_tiled)[0]
            if decoded is None:
                raise ValueError(f"part {number} is empty")
            self._kept = place, decoded[0]
        return self._kept[1]


class FilesSource(PagesSource):
    """Pages in several files, one of which is open at a time; planes are told by file and page, (t, z).

    Attributes:
        members: of a set: all its files, those of other channels too.
    """

    members: frozenset[Path] = frozenset()

    def __init__(
        self,
        path: str,
        header: ScanHeader,
        windows: Windows,
        planes: Sequence[Sequence[tuple[Path, int]]],
    ) -> None:
        super().__init__(path, header, windows)
        self._planes = planes
        self._open: tuple[Path, Any] | None = None  # Any: tifffile

    def _page(self, t: int, z: int) -> tuple[Path, Any]:  # Any: tifffile
        file, number = self._planes[t][z]
        with strict(file):
            if self._open is None or self._open[0] != file:
                self.close()
                self._open = file, tifffile.TiffFile(file)
            return file, self._open[1].pages[number]

    def close(self) -> None:
        """Let go of the open file."""
        if self._open is not None:
            self._open[1].close()
        self._open = None


def _plane(page: Any) -> StoredPlane:  # Any: tifffile
    """Return a page whose rows lie one after another."""
    key, file = page.keyframe, page.parent.filehandle

    def read(at: int, count: int) -> bytes:
        file.seek(at)
        return bytes(file.read(count))

    dtype = np.dtype(key.dtype).newbyteorder(page.parent.byteorder)
    start, columns = int(page.dataoffsets[0]), int(key.imagewidth)
    return StoredPlane(start, columns, dtype, int(key.samplesperpixel), read)
