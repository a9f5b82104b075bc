"""Voxels that lie one after another in a file, plain or compressed, read slab by slab.

Shared by NIfTI, NRRD, MetaImage and contiguous TIFF. A compressed stream is read forwards; going back
starts it again, so readers ask in order of t and z. A stream that ends early is an error, never zeros:
SimpleITK, for one, reads such files without a word.
"""

import bz2
import gzip
import io
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from somray.domain.scan import ScanHeader
from somray.errors import DataError
from somray.io.readers.source import Source

__all__ = ["RawLayout", "RawSource", "volume_shape"]

SKIP_BYTES = 1 << 20  # read size while a compressed stream is skipped forwards
ENCODINGS = ("raw", "gzip", "zlib", "bzip2")


@dataclass(frozen=True)
class RawLayout:
    """Where and how the voxels lie, x fastest, then y, z, t.

    Args:
        files: data files, in the order of the slices; each holds an equal share of them.
        offset: bytes to skip in each file, before decompression; -1 counts from the end of a plain file.
        inner_offset: bytes to skip after decompression.
        dtype: numpy type with byte order.
        encoding: one of `ENCODINGS`.
        slope: physical value = slope × stored + intercept.
        intercept: see slope.
    """

    files: tuple[str, ...]
    dtype: str
    offset: int = 0
    inner_offset: int = 0
    encoding: str = "raw"
    slope: float = 1.0
    intercept: float = 0.0


class _ZlibFile(io.RawIOBase):
    """A zlib stream inside a file, readable forwards."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__()
        self._file = file
        self._inflate = zlib.decompressobj()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(cast("bytearray", buffer)).cast("B")
        while not self._inflate.eof:
            packed = self._inflate.unconsumed_tail or self._file.read(SKIP_BYTES)
            data = self._inflate.decompress(packed, len(view))
            if data:
                view[: len(data)] = data
                return len(data)
            if not packed:
                raise EOFError("compressed stream ends early")
        return 0

    def close(self) -> None:
        self._file.close()
        super().close()


class _Stream:
    """One data file at a byte position, whatever its compression."""

    def __init__(self, path: str, layout: RawLayout, total_bytes: int) -> None:
        self.path, self._layout, self._total = path, layout, total_bytes
        self._file: BinaryIO | None = None
        self._position = 0
        if layout.encoding == "raw":
            size = Path(path).stat().st_size
            self._start = size - total_bytes if layout.offset < 0 else layout.offset
            if self._start < 0 or size - self._start < total_bytes + layout.inner_offset:
                raise DataError(
                    "truncated",
                    f"{path}: holds {size} bytes, its header promises {max(self._start, 0) + total_bytes}; "
                    "copy the file again",
                )
        else:
            self._start = max(layout.offset, 0)

    def _rewind(self) -> BinaryIO:
        self.close()
        plain = open(self.path, "rb")  # noqa: SIM115 - kept open between slabs, closed by close()
        plain.seek(self._start)
        kind = self._layout.encoding
        opened: BinaryIO
        if kind == "gzip":
            opened = cast("BinaryIO", gzip.GzipFile(fileobj=plain, mode="rb"))
        elif kind == "bzip2":
            opened = cast("BinaryIO", bz2.BZ2File(plain))
        elif kind == "zlib":
            opened = cast("BinaryIO", io.BufferedReader(_ZlibFile(plain), SKIP_BYTES))
        else:
            opened = plain
        self._plain, self._file, self._position = plain, opened, 0
        return opened

    def read(self, at: int, count: int) -> bytes:
        """Read count bytes at a position of the decompressed data; check the end of the stream there."""
        try:
            file = self._seek(at + self._layout.inner_offset)
            data = file.read(count) if file is not None else b""
            self._position += len(data)
            if self._position == self._total + self._layout.inner_offset and file is not None:
                file.read(1)  # makes gzip and bzip2 check their sums
        except EOFError:
            data = b""
        except (OSError, zlib.error) as error:
            raise DataError(
                "unreadable",
                f"{self.path}: compressed data are damaged ({error}); copy the file again",
            ) from error
        if len(data) < count:
            raise DataError(
                "truncated",
                f"{self.path}: the stream ends before its pixels do; copy the file again",
            )
        return data

    def _seek(self, at: int) -> BinaryIO | None:
        """Go to a position, forwards; None where the stream ends before it."""
        file = self._file
        is_plain = self._layout.encoding == "raw"
        if file is None or (at < self._position and not is_plain):
            file = self._rewind()
        if is_plain:
            file.seek(self._start + at)
            self._position = at
        while self._position < at:
            skipped = len(file.read(min(SKIP_BYTES, at - self._position)))
            if not skipped:
                return None
            self._position += skipped
        return file

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._plain.close()
            self._file = None


class RawSource(Source):
    """A scan whose voxels lie one after another.

    Args:
        path: the file the manifest names.
        header: what it says of itself.
        layout: where the voxels lie.

    Raises:
        DataError: `missing` data file, `truncated` plain file.
    """

    def __init__(self, path: str, header: ScanHeader, layout: RawLayout) -> None:
        super().__init__(path, header)
        self._layout = layout
        self._dtype = np.dtype(layout.dtype)
        times, size_z, rows, columns = header.shape
        self._slice_bytes = rows * columns * self._dtype.itemsize
        if times * size_z % len(layout.files):
            raise DataError(
                "unreadable", f"{path}: {len(layout.files)} data files for {size_z} slices"
            )
        self._per_file = times * size_z // len(layout.files)
        for name in layout.files:
            if not Path(name).is_file():
                raise DataError("missing", f"{path}: its data file {name} does not exist")
        total = self._per_file * self._slice_bytes
        self._streams = [_Stream(name, layout, total) for name in layout.files]

    def _read(self, t: int, z0: int, z1: int) -> NDArray[np.float32]:
        rows, columns = self.header.shape[2:]
        block = np.empty((z1 - z0, rows, columns), dtype=np.float32)
        for z in range(z0, z1):
            file, place = divmod(t * self.header.shape[1] + z, self._per_file)
            data = self._streams[file].read(place * self._slice_bytes, self._slice_bytes)
            stored = np.frombuffer(data, dtype=self._dtype).reshape(rows, columns)
            block[z - z0] = self._physical(stored)
        return block

    def _physical(self, stored: NDArray[np.generic]) -> NDArray[np.generic]:
        if self._layout.slope == 1.0 and self._layout.intercept == 0.0:
            return stored
        return np.asarray(
            stored.astype(np.float64) * self._layout.slope + self._layout.intercept,
            dtype=np.float32,
        )

    def close(self) -> None:
        """Let go of open files."""
        for stream in self._streams:
            stream.close()


def volume_shape(path: str, sizes: Sequence[int]) -> tuple[int, int, int, int]:
    """Make (t, z, y, x) of sizes given x first, with 2 to 4 axes; longer ones must have size 1.

    Raises:
        DataError: `unreadable`: other axes.
    """
    given = [int(n) for n in sizes]
    while len(given) > 4 and given[-1] == 1:
        given.pop()
    if not 2 <= len(given) <= 4 or min(given) < 1:
        raise DataError("unreadable", f"{path}: has axes {list(sizes)}; x, y, z and t are read")
    x, y, z, t = [*given, 1, 1][:4]
    return t, z, y, x
