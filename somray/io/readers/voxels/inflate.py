"""Forward-only streams of voxels out of a file that is compressed or written out as text.

Each is an ordinary readable file of the bytes that a plain file would hold. Deflate is read by zlib itself,
which checks a stream's sum at its end, for zlib and for gzip's one or many members alike; zeros and other
bytes after the last member are no part of it (block stores pad, tools append).
"""

import bz2
import io
import lzma
import zlib
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np

from somray.errors import DataError

__all__ = ["CHUNK_BYTES", "ENCODINGS", "compression_of", "first_bytes", "open_stream"]

ENCODINGS = ("raw", "gzip", "zlib", "bzip2", "xz", "text", "hex")
CHUNK_BYTES = 1 << 20  # read from the file at once
_TEXT_BYTES = (
    1 << 16
)  # the same of written-out numbers, each of which takes some 40 bytes in between
_LONGEST_NUMBER = 64  # characters
_ANY_DEFLATE = 47  # zlib: window of 32 kB, gzip or zlib by the first bytes
_GZIP = b"\x1f\x8b"
_MAGIC = {
    _GZIP: "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"PK\x03\x04": "zip",
}
_COMMAS = bytes.maketrans(b",;", b"  ")


def first_bytes(path: Path, count: int) -> bytes:
    """Return how a file begins, to tell what it is; nothing where it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(count)
    except OSError:
        return b""


def compression_of(path: Path) -> str:
    """Tell how a file is compressed by its first bytes, whatever its name: gzip, bzip2, xz or raw.

    Raises:
        DataError: `unreadable`: compressed in a way that is not read.
    """
    with path.open("rb") as file:
        head = file.read(6)
    kind = next((kind for magic, kind in _MAGIC.items() if head.startswith(magic)), "raw")
    if kind not in ENCODINGS:
        raise DataError("unreadable", f"{path}: is compressed by {kind}; unpack it")
    return kind


def open_stream(plain: BinaryIO, encoding: str, dtype: np.dtype[np.generic]) -> BinaryIO:
    """Open the decoded bytes of a file from where it stands, which stays open; only text needs the type."""
    if encoding in ("gzip", "zlib"):
        return cast("BinaryIO", io.BufferedReader(_InflatedFile(plain), CHUNK_BYTES))
    if encoding == "bzip2":
        return cast("BinaryIO", bz2.BZ2File(plain))
    if encoding == "xz":
        return cast("BinaryIO", lzma.LZMAFile(plain))
    if encoding == "text":
        return cast("BinaryIO", io.BufferedReader(_TextFile(plain, dtype)))
    if encoding == "hex":
        return cast("BinaryIO", io.BufferedReader(_HexFile(plain)))
    return plain


class _InflatedFile(io.RawIOBase):
    """A deflate stream inside a file, of one or several members."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__()
        self._file = file
        self._packed = file.read(CHUNK_BYTES)
        self._is_gzip = self._packed.startswith(_GZIP)
        self._inflate = zlib.decompressobj(_ANY_DEFLATE)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(cast("bytearray", buffer)).cast("B")
        while not self._inflate.eof or self._begin_member():
            self._packed = self._packed or self._file.read(CHUNK_BYTES)
            is_spent = not self._packed
            data = self._inflate.decompress(self._packed, len(view))
            ended = self._inflate.eof
            self._packed = self._inflate.unused_data if ended else self._inflate.unconsumed_tail
            if data:
                view[: len(data)] = data
                return len(data)
            if is_spent and not ended:
                raise EOFError("compressed stream ends early")
        return 0

    def _begin_member(self) -> bool:
        """Go to the member after the one that ended; False where none follows."""
        while self._is_gzip:
            self._packed = self._packed.lstrip(b"\0")
            more = b"" if len(self._packed) >= len(_GZIP) else self._file.read(CHUNK_BYTES)
            self._packed += more
            if not more:
                break
        if not self._is_gzip or not self._packed.startswith(_GZIP):
            return False
        self._inflate = zlib.decompressobj(_ANY_DEFLATE)
        return True


class _WrittenFile(io.RawIOBase):
    """Voxels written out as characters."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__()
        self._file = file
        self._rest = self._ready = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(cast("bytearray", buffer)).cast("B")
        while not self._ready:
            text = self._file.read(_TEXT_BYTES)
            if not text and not self._rest:
                return 0
            whole, self._rest = self._cut(self._rest + text, is_last=not text)
            self._ready = self._decode(whole)
        count = min(len(view), len(self._ready))
        view[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        return count

    def _cut(self, text: bytes, *, is_last: bool) -> tuple[bytes, bytes]:
        """Part what can be decoded now from what waits for more."""
        raise NotImplementedError

    def _decode(self, text: bytes) -> bytes:
        raise NotImplementedError


class _TextFile(_WrittenFile):
    """Numbers with blanks, line ends or commas between them."""

    def __init__(self, file: BinaryIO, dtype: np.dtype[np.generic]) -> None:
        super().__init__(file)
        self._dtype = dtype

    def _cut(self, text: bytes, *, is_last: bool) -> tuple[bytes, bytes]:
        text = text.translate(_COMMAS)
        if is_last:
            return text, b""
        whole = text[: 1 + max(text.rfind(blank) for blank in (b" ", b"\n", b"\r", b"\t"))]
        if len(text) - len(whole) > _LONGEST_NUMBER:
            raise ValueError("no numbers")
        return whole, text[len(whole) :]

    def _decode(self, text: bytes) -> bytes:
        read = int if self._dtype.kind in "iu" else float
        return np.array([read(word) for word in text.split()], dtype=self._dtype).tobytes()


class _HexFile(_WrittenFile):
    """Two hexadecimal digits per byte, blanks anywhere."""

    def _cut(self, text: bytes, *, is_last: bool) -> tuple[bytes, bytes]:
        digits = b"".join(text.split())
        even = len(digits) // 2 * 2
        return digits[:even], b"" if is_last else digits[even:]

    def _decode(self, text: bytes) -> bytes:
        return bytes.fromhex(text.decode("ascii"))
