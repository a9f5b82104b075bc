"""Stored values of one frame: where they lie in a file, how they are packed, and their decoding.

Plain and run-length pixels are pydicom's to unpack, compressed frames imagecodecs'. Values come as they are
stored: MONOCHROME1 is not inverted, for CT numbers and activities do not change with how they are shown.
"""

import io
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from pydicom.encaps import get_frame
from pydicom.pixels import get_decoder
from pydicom.uid import UID

from somray.errors import DataError
from somray.io.readers.dicom.codecs import CODECS, decoded
from somray.io.readers.dicom.dataset import Tags, quiet, unwrapped

__all__ = ["PixelPlace", "check_whole", "place_of", "stored_plane"]

_KEYWORDS = {0x0010: "PixelData", 0x0008: "FloatPixelData", 0x0009: "DoubleFloatPixelData"}
_UNDEFINED = 0xFFFFFFFF
_PIXEL_VRS = (b"OB", b"OW", b"OF", b"OD", b"OL", b"UN")
_FLOAT_BITS = {"FloatPixelData": 32, "DoubleFloatPixelData": 64}


@dataclass(frozen=True)
class PixelPlace:
    """Where the frames of one file lie, and how.

    Args:
        path: file.
        syntax: transfer syntax, by its UID.
        is_deflated: the file must be inflated first.
        start: byte of the first frame, or of the table of frames.
        length: bytes of all frames, `None` where they are encapsulated.
        keyword: PixelData, FloatPixelData or DoubleFloatPixelData.
        vr: OB or OW; bytes of OW are swapped in big-endian files.
        size: rows, columns, frames.
        bits: allocated, stored.
        is_signed: two's complement.
        offsets: extended table of frames, where there is one.
    """

    path: str
    syntax: str
    is_deflated: bool
    start: int
    length: int | None
    keyword: str
    vr: str
    size: tuple[int, int, int]
    bits: tuple[int, int]
    is_signed: bool
    offsets: tuple[bytes, bytes] | None = None

    @property
    def frame_bytes(self) -> int:
        """Bytes of one frame that is not compressed."""
        return self.size[0] * self.size[1] * self.bits[0] // 8


def place_of(tags: Tags, count: int) -> PixelPlace:
    """Find the pixels of a file of so many frames, and check that it is long enough for them.

    Raises:
        DataError: `unreadable` pixels of a kind that is not read, `truncated`.
    """
    rows, columns = tags.whole("Rows", 0), tags.whole("Columns", 0)
    if rows <= 0 or columns <= 0:
        raise tags.wrong("Columns" if rows > 0 else "Rows", "is missing or 0")
    with _opened(tags.file, is_deflated=tags.is_deflated) as file:
        element, length, start, vr = _element(tags, file)
    keyword = _KEYWORDS[element]
    bits = _bits(tags, keyword)
    table = [tags.value(n) for n in ("ExtendedOffsetTable", "ExtendedOffsetTableLengths")]
    place = PixelPlace(
        path=str(tags.file), syntax=tags.syntax, is_deflated=tags.is_deflated, start=start, length=length,
        keyword=keyword, vr=vr, size=(rows, columns, count), bits=bits,
        is_signed=tags.whole("PixelRepresentation", 0) == 1,
        offsets=(table[0], table[1]) if all(isinstance(t, bytes) for t in table) else None,
    )  # fmt: skip
    if length is not None and min(length, tags.size - start) < place.frame_bytes * count:
        raise DataError("truncated", f"{tags.file}: ends before its pixels do; copy it again")
    return place


@contextmanager
def _opened(path: Path, *, is_deflated: bool) -> Iterator[BinaryIO]:
    """Open a file, inflated where it must be."""
    if is_deflated:
        yield io.BytesIO(unwrapped(path))
        return
    with path.open("rb") as file:
        yield file


def _element(tags: Tags, file: BinaryIO) -> tuple[int, int | None, int, str]:
    """Read the pixel element's head; returns element, bytes of its value, where it begins, and its VR."""
    syntax = UID(tags.syntax)
    order = "<" if syntax.is_little_endian else ">"
    file.seek(tags.pixels_at)
    head = file.read(12)
    if len(head) < 12:
        raise DataError("truncated", f"{tags.file}: ends before its pixels do; copy it again")
    group, element = struct.unpack(f"{order}HH", head[:4])
    if group != 0x7FE0 or element not in _KEYWORDS:
        raise DataError("truncated", f"{tags.file}: holds no pixels; copy it again")
    # some writers encode otherwise than they say; no length is odd, and both letters of a VR begin with an odd one
    is_implicit = not syntax.is_encapsulated and head[4:6] not in _PIXEL_VRS
    vr = "OW" if is_implicit else head[4:6].decode("latin-1")
    at = 4 if is_implicit else 8
    (length,), start = struct.unpack(f"{order}I", head[at : at + 4]), tags.pixels_at + at + 4
    if length == _UNDEFINED and not syntax.is_encapsulated:
        what = "its pixels are in items, its TransferSyntaxUID says they are not"
        raise DataError("unreadable", f"{tags.file}: {what}")
    return element, None if syntax.is_encapsulated else length, start, vr


def _bits(tags: Tags, keyword: str) -> tuple[int, int]:
    """Return bits allocated and stored; values that do not sit in the low bits are refused."""
    if keyword in _FLOAT_BITS:
        return _FLOAT_BITS[keyword], _FLOAT_BITS[keyword]
    allocated = tags.whole("BitsAllocated", 16)
    if allocated not in (8, 16, 32):
        raise tags.wrong("BitsAllocated", f"is {allocated}; 8, 16 and 32 are read")
    stored = tags.whole("BitsStored", allocated)
    if not 1 <= stored <= allocated:
        raise tags.wrong("BitsStored", f"is {stored} of {allocated} allocated")
    high = tags.whole("HighBit", stored - 1)
    if high >= stored:
        raise tags.wrong("HighBit", f"is {high} for {stored} bits stored; {stored - 1} is read")
    return allocated, stored


def stored_plane(place: PixelPlace, index: int) -> NDArray[Any]:
    """Decode one frame.

    Returns:
        (rows, columns), stored values.

    Raises:
        DataError: `unreadable` where no codec is here, `truncated` where pixels are missing or damaged.
    """
    try:
        with quiet(), _opened(Path(place.path), is_deflated=place.is_deflated) as file:
            file.seek(place.start)
            plane = _decoded(place, file, index)
    except (NotImplementedError, RuntimeError, ImportError) as error:
        raise DataError(
            "unreadable",
            f"{place.path}: {UID(place.syntax).name} cannot be decoded here ({_short(error)}); "
            "decompress it, or copy it again",
        ) from error
    except (OSError, ValueError, AttributeError, EOFError, KeyError, IndexError) as error:
        raise DataError(
            "truncated",
            f"{place.path}: pixels are missing or damaged ({_short(error)}); copy it again",
        ) from error
    if plane.shape != place.size[:2]:
        raise DataError(
            "unreadable",
            f"{place.path}: its pixels are {plane.shape}, its header says {place.size[:2]}",
        )
    return plane


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def _decoded(place: PixelPlace, file: BinaryIO, index: int) -> NDArray[Any]:
    """Decode by the codec of the transfer syntax, else by pydicom."""
    rows, columns, count = place.size
    options: dict[str, Any] = {
        "rows": rows, "columns": columns, "number_of_frames": count, "samples_per_pixel": 1,
        "photometric_interpretation": "MONOCHROME2", "pixel_keyword": place.keyword,
        "bits_allocated": place.bits[0], "bits_stored": place.bits[1],
        "pixel_representation": int(place.is_signed), "pixel_vr": place.vr,
    }  # fmt: skip
    if place.offsets is not None:
        options["extended_offsets"] = place.offsets
    if place.syntax in CODECS:
        frame = get_frame(file, index, number_of_frames=count, extended_offsets=place.offsets)
        bits, is_signed = place.bits[1], place.is_signed
        return decoded(frame, place.syntax, (rows, columns), bits, is_signed=is_signed)
    decoder = get_decoder(UID(place.syntax))
    plane, _ = decoder.as_array(file, index=index, validate=True, raw=True, **options)
    return np.asarray(plane)


def check_whole(place: PixelPlace) -> None:
    """Walk the items of compressed frames, without decoding, to find a file that was cut.

    Raises:
        DataError: `truncated`.
    """
    if place.length is not None:
        return
    with _opened(Path(place.path), is_deflated=place.is_deflated) as file:
        items, is_cut = _walk_items(file, place.start)
    if is_cut or items <= place.size[2]:  # the first item is the table of frames
        raise DataError("truncated", f"{place.path}: ends before its pixels do; copy it again")


def _walk_items(file: BinaryIO, start: int) -> tuple[int, bool]:
    """Count items, and tell whether the last one is cut."""
    size, at, items = file.seek(0, 2), start, 0
    while at + 8 <= size:
        file.seek(at)
        group, element, length = struct.unpack("<HHI", file.read(8))
        if (group, element) != (0xFFFE, 0xE000):
            break
        items, at = items + 1, at + 8 + length
        if at > size:
            return items, True
    return items, False
