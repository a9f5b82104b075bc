"""TIFF stacks, one file of many pages or a folder of pages, read page by page.

TIFF says little of space. Voxel sizes are taken from OME-XML and from ImageJ's own tags when their unit is
a length that microscopes and scanners use; resolution tags alone (72 per inch …) are printers' defaults and
are not believed: then voxels are 1 mm and the scan says `spacing_assumed`.
"""

import contextlib
import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from somray.domain.scan import ScanHeader
from somray.errors import DataError
from somray.io.readers.raw import RawLayout, RawSource
from somray.io.readers.source import Source, grid_of
from somray.io.readers.tiff_spacing import spacing_zyx_mm

__all__ = ["is_tiff", "open_tiff"]

SUFFIXES = (".tif", ".tiff", ".btf")
_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_STACK_AXES = "ZIQ"  # names that tifffile gives to the axis of slices


class _Errors(logging.Handler):
    """Collects what tifffile logs instead of raising: broken page chains."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


@contextmanager
def _strict(path: Path) -> Iterator[None]:
    """Turn what tifffile logs, warns or raises into a coded error."""
    logger, errors = logging.getLogger("tifffile"), _Errors()
    logger.addHandler(errors)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except DataError:
        if not errors.messages:  # else the page chain is broken, and that is the reason
            raise
    except tifffile.TiffFileError as error:
        code = "truncated" if path.stat().st_size < 8 else "unreadable"
        raise DataError(code, f"{path}: is not a whole TIFF file ({error})") from error
    except (OSError, ValueError, IndexError, KeyError, RuntimeError) as error:
        raise DataError("unreadable", f"{path}: cannot be decoded ({error})") from error
    finally:
        logger.removeHandler(errors)
    if errors.messages:
        raise DataError(
            "truncated",
            f"{path}: its pages are incomplete ({errors.messages[0]}); copy the file again",
        )


def _pages_in(folder: Path) -> list[Path]:
    """List a folder's TIFF files by the last number in their names."""

    def order(file: Path) -> tuple[int, str]:
        numbers = re.findall(r"\d+", file.stem)
        return (int(numbers[-1]) if numbers else -1, file.name)

    found = [
        p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and not p.name.startswith(".")
    ]
    return sorted(found, key=order)


def is_tiff(path: Path) -> bool:
    """Tell TIFF by its magic number; a folder by its names."""
    if path.is_dir():
        return bool(_pages_in(path))
    with path.open("rb") as file:
        return file.read(4) in _MAGIC or path.suffix.lower() in SUFFIXES


def open_tiff(path: Path, irregular: str = "refuse") -> Source:
    """Open a stack.

    Raises:
        DataError: `unreadable`, `truncated`, `mixed_series` (pages differ), `irregular` (missing pages).
    """
    return _open_folder(path) if path.is_dir() else _open_file(path)


def _open_file(path: Path) -> Source:
    with contextlib.ExitStack() as opened:
        with _strict(path):
            file = opened.enter_context(tifffile.TiffFile(path))
            source = _source_of(path, file)
        opened.pop_all()  # nothing to complain of: the source closes it
    return source


def _source_of(path: Path, file: Any) -> Source:  # Any: tifffile's types are not followed
    """Look at the first series of an open file."""
    series = file.series[0]
    pages = list(series.pages) if len(file.series) == 1 else _loose_pages(path, file)
    _check_whole(path, pages)
    times, size_z = _stack(path, series)
    if len(file.series) > 1:
        size_z = len(pages)
    rows, columns = series.shape[series.axes.index("Y")], series.shape[series.axes.index("X")]
    header = _header(path, (times, size_z, rows, columns), spacing_zyx_mm(file), series.dtype)
    z_first = "T" in series.axes and series.axes.index("T") > _slices_axis(series.axes)
    if series.dataoffset is not None and len(file.series) == 1 and not z_first:
        dtype = np.dtype(series.dtype).newbyteorder(file.byteorder).str
        file.close()
        return RawSource(str(path), header, RawLayout((str(path),), dtype, series.dataoffset))
    if len(pages) != times * size_z:
        raise DataError("unreadable", f"{path}: {series.axes} in {len(pages)} pages is not read")
    return _PagedSource(str(path), header, file, pages, z_first=z_first)


def _loose_pages(path: Path, file: Any) -> list[Any]:  # Any: tifffile
    """Return the pages of a file that was written one image at a time."""
    kinds = {(series.axes, tuple(series.shape), str(series.dtype)) for series in file.series}
    if len(kinds) > 1 or any(len(series.pages) != 1 for series in file.series):
        raise DataError(
            "mixed_series", f"{path}: holds {len(file.series)} images that differ; split it"
        )
    return [series.pages[0] for series in file.series]


def _slices_axis(axes: str) -> int:
    return next((axes.index(a) for a in _STACK_AXES if a in axes), -1)


def _stack(path: Path, series: Any) -> tuple[int, int]:  # Any: tifffile
    """Return the time points and slices of a series."""
    sizes = dict(zip(series.axes, series.shape, strict=True))
    stack = [a for a in sizes if a in _STACK_AXES]
    others = [a for a, n in sizes.items() if a not in "TYX" + _STACK_AXES and n != 1]
    if others or len(stack) > 1 or not series.axes.endswith("YX"):
        raise DataError(
            "unreadable", f"{path}: has axes {series.axes}; time, z, y, x of one channel are read"
        )
    return sizes.get("T", 1), sizes[stack[0]] if stack else 1


def _check_whole(path: Path, pages: list[Any]) -> None:  # Any: tifffile
    """Refuse a file that ends before the last byte its pages name."""
    size = path.stat().st_size
    for page in pages:
        if page is None:
            raise DataError("truncated", f"{path}: pages are missing; copy the file again")
        ends = [o + n for o, n in zip(page.dataoffsets, page.databytecounts, strict=True)]
        if max(ends, default=0) > size:
            raise DataError("truncated", f"{path}: ends before its pixels do; copy the file again")


def _header(
    path: Path, shape: tuple[int, int, int, int], spacing: tuple[float, ...] | None, dtype: Any
) -> ScanHeader:  # Any: tifffile
    if np.dtype(dtype).kind not in "iufb":
        raise DataError("unreadable", f"{path}: holds {dtype}; one real number per voxel is read")
    z, y, x = spacing or (1.0, 1.0, 1.0)
    geometry = grid_of(str(path), shape[1:], np.diag([x, y, z, 1.0]))
    return ScanHeader(
        shape, geometry, "tiff", unit="raw", repairs=() if spacing else ("spacing_assumed",)
    )


class _PagedSource(Source):
    """One file, decoded page by page."""

    def __init__(
        self, path: str, header: ScanHeader, file: Any, pages: list[Any], *, z_first: bool
    ) -> None:  # Any: tifffile
        super().__init__(path, header)
        self._file, self._pages, self._z_first = file, pages, z_first

    def _read(self, t: int, z0: int, z1: int) -> NDArray[np.float32]:
        times, size_z = self.header.shape[:2]
        numbers = [z * times + t if self._z_first else t * size_z + z for z in range(z0, z1)]
        with _strict(Path(self.path)):
            planes = [np.squeeze(self._pages[n].asarray()).astype(np.float32) for n in numbers]
            return np.stack([plane.reshape(self.header.shape[2:]) for plane in planes])

    def close(self) -> None:
        self._file.close()


def _open_folder(folder: Path) -> Source:
    files = _pages_in(folder)
    _check_numbers(folder, files)
    layouts = set()
    spacing: tuple[float, float, float] | None = None
    for file in files:
        with _strict(file), tifffile.TiffFile(file) as opened:
            series = opened.series[0]
            _check_whole(file, list(series.pages))
            if (
                len(opened.series) != 1
                or len(series.pages) != 1
                or np.squeeze(np.empty(series.shape)).ndim != 2
            ):
                raise DataError(
                    "unreadable", f"{file}: a folder of slices holds one grey page per file"
                )
            layouts.add(
                (tuple(n for n in series.shape if n != 1) or series.shape, str(series.dtype))
            )
            spacing = spacing_zyx_mm(opened)
    if len(layouts) != 1:
        raise DataError(
            "mixed_series", f"{folder}: pages differ in size or type; one stack per folder"
        )
    (rows, columns), dtype = next(iter(layouts))
    header = _header(folder, (1, len(files), rows, columns), spacing, dtype)
    return _FolderSource(str(folder), header, files)


def _check_numbers(folder: Path, files: list[Path]) -> None:
    """Refuse a stack with gaps in its numbering; a constant step is fine."""
    numbers = [re.findall(r"\d+", f.stem) for f in files]
    if len(files) < 3 or not all(numbers):
        return
    steps = np.diff([int(n[-1]) for n in numbers])
    if steps.min() != steps.max():
        worst = int(np.argmax(steps != np.median(steps)))
        raise DataError(
            "irregular",
            f"{folder}: numbering jumps from {files[worst].name} to {files[worst + 1].name}; "
            "complete the stack or renumber it",
        )


class _FolderSource(Source):
    """A folder of single pages."""

    def __init__(self, path: str, header: ScanHeader, files: list[Path]) -> None:
        super().__init__(path, header)
        self._files = files

    def _read(self, t: int, z0: int, z1: int) -> NDArray[np.float32]:
        planes = []
        for file in self._files[z0:z1]:
            with _strict(file):
                planes.append(np.squeeze(tifffile.imread(file)).astype(np.float32))
        return np.stack(planes)
