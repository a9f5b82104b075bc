"""One data file's voxels as bytes, at any place, whatever their encoding.

A plain file's size is checked at once, a compressed one's as far as that goes without unpacking it: deflate
makes nothing smaller than a thousandth. A stream that ends early is an error, never zeros.
"""

import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from somray.errors import DataError
from somray.io.readers.voxels.inflate import CHUNK_BYTES, compression_of, open_stream

__all__ = ["RawLayout", "VoxelStream"]

_MOST_DEFLATED = 1032  # bytes that deflate makes of one, see zlib's technical details
_LINE_BYTES = 1 << 16  # longest line that `line_skip` skips
_TRAILER_BYTES = 4  # at the end of gzip: the unpacked size of the last member, modulo 2^32


@dataclass(frozen=True)
class RawLayout:
    """Where and how the voxels lie, x fastest, then y, z, t.

    Args:
        files: data files, in the order of the slices; each holds an equal share of them.
        dtype: numpy type with byte order.
        offset: bytes to skip in each file, before decoding; -1 counts from the end of a plain file.
        inner_offset: bytes to skip after decoding; -1 counts from the end.
        encoding: one of `inflate.ENCODINGS`.
        slope: physical value = slope × stored + intercept.
        intercept: see slope.
        line_skip: lines of text to skip in each file, after `offset`.
        values_per_voxel: time points that lie together, faster than x; 1 where time is slowest.
        packed_bytes: size of the compressed data as the header has it, where it has.
        surplus: what it means that a file holds more than its voxels: ignore, tell or refuse.
    """

    files: tuple[str, ...]
    dtype: str
    offset: int = 0
    inner_offset: int = 0
    encoding: str = "raw"
    slope: float = 1.0
    intercept: float = 0.0
    line_skip: int = 0
    values_per_voxel: int = 1
    packed_bytes: int | None = None
    surplus: str = "ignore"


class VoxelStream:
    """One data file at a byte position.

    Raises:
        DataError: `truncated`: too small for what it must hold.
    """

    def __init__(self, path: str, layout: RawLayout, total_bytes: int) -> None:
        self.path, self._layout, self._total = path, layout, total_bytes
        self._dtype = np.dtype(layout.dtype)
        self._file: BinaryIO | None = None
        self._position = 0
        self._size = Path(path).stat().st_size
        self._inner = layout.inner_offset
        if layout.encoding == "raw" and layout.offset < 0:
            self._start = self._size - total_bytes
        else:
            self._start = max(layout.offset, 0)
        if layout.line_skip:
            self._skip_lines()
        if self._start < 0 or self._size - self._start < self._least_bytes():
            promised = max(self._start, 0) + max(self._inner, 0) + total_bytes
            if not self._start and layout.encoding == "raw" and compression_of(Path(path)) != "raw":
                raise DataError(
                    "unreadable",
                    f"{path}: is compressed, which its header does not say; unpack it, or correct the header",
                )
            raise DataError(
                "truncated",
                f"{path}: holds {self._size} bytes, its header promises {promised}"
                f"{'' if layout.encoding == 'raw' else ' unpacked'}; copy the file again",
            )

    def _skip_lines(self) -> None:
        with open(self.path, "rb") as file:
            file.seek(max(self._start, 0))
            for _ in range(self._layout.line_skip):
                if not file.readline(_LINE_BYTES).endswith(b"\n"):
                    raise DataError(
                        "truncated", f"{self.path}: ends within the lines to be skipped"
                    )
                self._start = file.tell()

    def _least_bytes(self) -> int:
        """Return the fewest bytes of the file that can hold the voxels."""
        promised = max(self._inner, 0) + self._total
        if self._layout.encoding == "raw":
            return promised
        if self._layout.encoding in ("gzip", "zlib"):
            return promised // _MOST_DEFLATED
        if self._layout.encoding == "text":  # a digit and a blank for each
            return 2 * (self._total // self._dtype.itemsize) - 1
        return 2 * promised if self._layout.encoding == "hex" else 0

    def surplus_bytes(self) -> int:
        """Return how many bytes the file holds after its voxels, as far as that is known without unpacking."""
        if self._layout.encoding == "raw":
            return self._size - self._start - self._inner - self._total
        promised = self._inner + self._total
        if self._layout.encoding == "gzip" and promised < 1 << 32:
            unpacked = self._trailer()
            if unpacked <= _MOST_DEFLATED * self._size:
                return max(unpacked - promised, 0)
        return 0

    def _trailer(self) -> int:
        with open(self.path, "rb") as file:
            file.seek(-min(_TRAILER_BYTES, self._size), 2)
            return int.from_bytes(file.read(_TRAILER_BYTES), "little")

    def verify(self) -> None:
        """Find a file cut short; it is unpacked only where its end does not tell.

        Raises:
            DataError: `truncated`, `unreadable`.
        """
        encoding = self._layout.encoding
        if encoding == "raw":
            return
        if encoding == "gzip" and self._trailer() == (self._inner + self._total) % (1 << 32):
            return
        if encoding == "zlib" and self._layout.packed_bytes == self._size - self._start:
            return
        for at in range(0, self._total, CHUNK_BYTES):
            self.read(at, min(CHUNK_BYTES, self._total - at))
        self.close()

    def read(self, at: int, count: int) -> bytes:
        """Read count bytes at a position of the voxels; at their end the stream's sums are checked.

        Raises:
            DataError: `truncated`, `unreadable`.
        """
        try:
            file = self._seek(at + self._inner_offset())
            data = file.read(count) if file is not None else b""
            self._position += len(data)
            is_end = self._position == self._total + self._inner
            if is_end and file is not None and self._layout.encoding != "raw":
                while file.read(CHUNK_BYTES):  # sums stand at the end, also where more follows
                    self._position = self._total + self._inner + 1
        except EOFError:
            data = b""
        except (OSError, zlib.error) as error:
            raise DataError(
                "unreadable",
                f"{self.path}: compressed data are damaged ({error}); copy the file again",
            ) from error
        except (ValueError, OverflowError) as error:  # their words would quote the file
            raise DataError(
                "unreadable", f"{self.path}: what is written out in it are no {self._dtype} numbers"
            ) from error
        if len(data) < count:
            raise DataError(
                "truncated",
                f"{self.path}: the stream ends before its pixels do; copy the file again",
            )
        return data

    def _inner_offset(self) -> int:
        """Return the decoded bytes before the voxels; those that are last are found by decoding once."""
        if self._inner < 0:
            held, file = 0, self._rewind()
            while chunk := file.read(CHUNK_BYTES):
                held += len(chunk)
            self.close()
            if held < self._total:
                raise EOFError
            self._inner = held - self._total
        return self._inner

    def _rewind(self) -> BinaryIO:
        self.close()
        plain = open(self.path, "rb")  # noqa: SIM115 - kept open between slabs, closed by close()
        plain.seek(self._start)
        self._file = open_stream(plain, self._layout.encoding, self._dtype)
        self._plain, self._position = plain, 0
        return self._file

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
            skipped = len(file.read(min(CHUNK_BYTES, at - self._position)))
            if not skipped:
                return None
            self._position += skipped
        return file

    def close(self) -> None:
        """Let go of the file; harmless when repeated."""
        if self._file is not None:
            self._file.close()
            self._plain.close()
            self._file = None
