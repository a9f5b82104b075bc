"""TIFF files, read plane by plane.

TIFF says little of space: see `spacing`. Where nothing vouches for a voxel size it is 1 mm and the scan says
`spacing_assumed`. Frames that no time tells apart are slices, and the scan says `frames_as_slices`.
"""

import contextlib
import math
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from somray.domain.scan import ScanHeader
from somray.errors import DataError
from somray.io.readers.raw import RawLayout, RawSource
from somray.io.readers.sidecars import sidecar_spacing
from somray.io.readers.source import Source
from somray.io.readers.tiff.boxes import PagesSource, windows_of
from somray.io.readers.tiff.omeset import is_ome_set, open_ome_set
from somray.io.readers.tiff.omexml import channel_names, is_timed, parsed
from somray.io.readers.tiff.pages import check_whole, facts_of, planes_of, strict, value_line
from somray.io.readers.tiff.spacing import spacing_zyx_mm, stack_header
from somray.io.readers.tiff.stack import series_of, stack_of, untold_pages

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
    """Open one channel of a stack in one file, or of an OME-TIFF set by any of its files.

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
    planes, assumed = stack_of(path, axes, sizes, (channel, names), timed=timed)
    facts = facts_of(path, key)
    shape = (*planes.shape, facts.rows, facts.columns)
    notes = (*assumed, *facts.notes, *untold_pages(file, pages))
    spacing = spacing_zyx_mm(file) or sidecar_spacing(path, shape[1:])
    header = stack_header(path, shape, spacing, notes)
    contiguous = len(file.series) == 1 and file.series[0].dataoffset is not None
    if contiguous and key.samplesperpixel == 1 and "white_inverted" not in notes:
        file.close()
        return _plain_source(str(path), header, file, planes)
    return _PagedSource(str(path), header, file, pages, planes)


def _plain_source(path: str, header: ScanHeader, file: Any, planes: NDArray[np.int64]) -> Source:
    """Open the planes of a file that lie as they are."""
    series = file.series[0]
    start, kind = int(series.dataoffset), np.dtype(series.dtype).newbyteorder(file.byteorder)
    if Path(path).stat().st_size < start + series.size * kind.itemsize:
        raise DataError("truncated", f"{path}: ends before its pixels do; copy the file again")
    intercept, slope = value_line(series.keyframe) or (0.0, 1.0)
    layout = RawLayout((path,), kind.str, start, slope=slope, intercept=intercept)
    return _PlainSource(path, header, layout, planes)


def _told(file: Any) -> tuple[bool, list[str]]:  # Any: tifffile
    """Return whether the file names the time between its frames, and the names of its channels."""
    if file.is_imagej:
        return float((file.imagej_metadata or {}).get("finterval") or 0) > 0, []
    root = parsed(str(file.ome_metadata)) if file.is_ome else None
    return (False, []) if root is None else (is_timed(root), channel_names(root))


class _PlainSource(RawSource):
    """One file whose planes lie one after another as they are; ImageJ writes no other pages beyond 4 GB."""

    def __init__(
        self, path: str, header: ScanHeader, layout: RawLayout, planes: NDArray[np.int64]
    ) -> None:
        super().__init__(path, header, layout)
        self._planes = planes

    def _place(self, t: int, z: int) -> tuple[int, int]:
        return 0, int(self._planes[t, z]) * self._slice_bytes


class _PagedSource(PagesSource):
    """One file, decoded page by page."""

    def __init__(
        self, path: str, header: ScanHeader, file: Any, pages: list[Any], planes: NDArray[np.int64]
    ) -> None:  # Any: tifffile
        self._file, self._pages, self._planes = file, pages, planes
        inside = int(planes.max()) + 1
        key = pages[0].keyframe
        self._each = math.prod(
            n for a, n in zip(key.axes, key.shape, strict=True) if a not in "SYX"
        )
        if inside > len(pages) * self._each:
            raise DataError("truncated", f"{path}: has {len(pages)} pages for {inside} planes")
        self.splits = self._each == 1
        super().__init__(path, header, windows_of(pages) if self.splits else "slices")
        self.slice_bytes = 8 + 3 * int(np.dtype(key.dtype).itemsize) * int(key.samplesperpixel)
        self._last: tuple[int, NDArray[Any]] | None = None  # a page of many planes, decoded

    def _page(self, t: int, z: int) -> tuple[Path, Any]:  # Any: tifffile
        return Path(self.path), self._pages[int(self._planes[t, z]) // self._each]

    def _plane(self, t: int, z: int) -> NDArray[Any]:  # Any: any number
        page, inside = divmod(int(self._planes[t, z]), self._each)
        if self._last is None or self._last[0] != page:
            self._last = page, planes_of(*self._page(t, z))
        return np.asarray(self._last[1][inside])

    def verify(self) -> None:
        """Decode the first slice, and one page of every other codec."""
        super().verify()
        others = {int(page.keyframe.compression): page for page in self._pages}
        for page in others.values():
            if page.keyframe is self._pages[0].keyframe:
                continue
            if self.windows == "slices":
                planes_of(Path(self.path), page)
            else:
                self._box_of(Path(self.path), page, self._first)

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()
