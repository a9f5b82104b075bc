"""One DICOM file's header, read so that no file can hurt: without preamble, deflated, cut short, lying.

What pydicom says of a value it cannot read may quote the value, and a value may name a person. So its words
never leave this module: complaints name the field, and nothing of what it holds.
"""

import io
import logging
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pydicom
from pydicom.datadict import tag_for_keyword
from pydicom.multival import MultiValue
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian

from somray.errors import DataError
from somray.io.readers.standins import stand_in

__all__ = ["Tags", "is_dicom_file", "is_dicom_head", "open_tags", "quiet", "unwrapped"]

MAGIC_AT = 128
META_BYTES = 4096  # the file meta information, which names the transfer syntax, is among them
INFLATED_BYTES = 256 << 20  # most that a deflated file may grow to; all of it is held at once
_FIRST_GROUPS = (b"\x02\x00", b"\x08\x00", b"\x00\x02", b"\x00\x08")
_LATE_ELEMENT = 0x0100  # data sets begin with elements below it: character set, image type, class


class _Bounded(io.RawIOBase):
    """A file whose reads never ask for more than is left: a length of 4 GB in a small file allocates nothing."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file, self._size = file, size

    def read(self, size: int = -1, /) -> bytes:
        left = max(self._size - self._file.tell(), 0)
        return self._file.read(left if size is None or size < 0 else min(size, left))

    def seek(self, offset: int, whence: int = 0, /) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()


@contextmanager
def quiet() -> Iterator[None]:
    """Keep pydicom from warning and logging, which quotes values of the header."""
    logger = logging.getLogger("pydicom")
    was = logger.disabled
    logger.disabled = True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.disabled = was


def is_dicom_file(file: Path) -> bool:
    """Tell DICOM by its first bytes: the magic number, or a data set without preamble."""
    try:
        if not file.is_file():  # of a pipe nothing may ever come
            return False
        with file.open("rb") as opened:
            return is_dicom_head(opened.read(MAGIC_AT + 4))
    except OSError:
        return False


def is_dicom_head(head: bytes) -> bool:
    """Tell DICOM by what a file begins with, 132 bytes or more."""
    return head[MAGIC_AT : MAGIC_AT + 4] == b"DICM" or _is_bare(head[: MAGIC_AT + 4])


def _is_bare(head: bytes) -> bool:
    """Whether bytes look like the first element of a data set: low group, known VR or a small even length."""
    if len(head) < 12 or head[:2] not in _FIRST_GROUPS:
        return False
    order = "<" if head[0] else ">"
    element, length = struct.unpack(f"{order}HI", head[2:8])
    if element >= _LATE_ELEMENT:
        return False
    is_explicit = head[4:6] in (b"UL", b"CS", b"UI", b"SH", b"LO", b"OB", b"DA", b"TM", b"DT")
    return is_explicit or (order == "<" and length % 2 == 0 and length <= MAGIC_AT)


@dataclass(frozen=True)
class Tags:
    """The elements of a data set or of a sequence's item; every complaint names file and field.

    Args:
        file: for messages.
        data: pydicom's data set.
        syntax: transfer syntax, by its UID.
        pixels_at: byte of the pixel element in the file (in the inflated data set where deflated), its end
            where there are none.
        size: bytes of the file, or of the inflated data set.
        is_deflated: places count in the inflated data set.
    """

    file: Path
    data: Any  # pydicom's datasets are dynamic
    syntax: str = ""
    pixels_at: int = 0
    size: int = 0
    is_deflated: bool = False

    def value(self, name: str) -> Any:  # Any: as above
        """Return an element's value, None where it is absent or empty.

        Raises:
            DataError: `unreadable`: it is damaged.
        """
        tag = tag_for_keyword(name)
        if tag is None or tag not in self.data:
            return None
        try:
            found = self.data[tag].value
        except Exception as error:  # pydicom raises anything from a damaged value
            raise self.wrong(name, f"cannot be read ({type(error).__name__})") from None
        if found is None or (isinstance(found, str | bytes | MultiValue) and len(found) == 0):
            return None
        return found

    def wrong(self, name: str, what: str) -> DataError:
        """Make the complaint about one field; `what` must not quote a value."""
        tag = tag_for_keyword(name) or 0
        return DataError(
            "unreadable",
            f"{self.file}: {name} ({tag >> 16:04x},{tag & 0xFFFF:04x}) {what}; correct the header",
        )

    def text(self, name: str) -> str:
        """Return the first value as text without its padding, "" where it is absent."""
        found = self.value(name)
        first = found[0] if isinstance(found, MultiValue) else found
        return "" if first is None else str(first).strip(" \0")

    def word(self, name: str) -> str:
        """Return a code in capitals, "" where it is absent."""
        return self.text(name).upper()

    def words(self, name: str) -> tuple[str, ...]:
        """Return all codes of an element in capitals."""
        found = self.value(name)
        values = [] if found is None else found if isinstance(found, MultiValue) else [found]
        return tuple(str(v).strip(" \0").upper() for v in values)

    def numbers(self, name: str, count: int | None = None) -> tuple[float, ...] | None:
        """Return all numbers of an element, None where it is absent or empty.

        Raises:
            DataError: `unreadable`: not numbers, not finite, or another count.
        """
        found = self.value(name)
        if found is None:
            return None
        listed = found if isinstance(found, MultiValue | list | tuple) else [found]
        try:
            values = tuple(float(v) for v in listed)
        except (TypeError, ValueError):
            has_comma = any("," in v for v in listed if isinstance(v, str))
            what = "is written with a decimal comma" if has_comma else "is not a number"
            raise self.wrong(name, what) from None
        if not np.isfinite(values).all():
            raise self.wrong(name, "is not finite")
        if count is not None and len(values) != count:
            raise self.wrong(name, f"holds {len(values)} numbers where {count} belong")
        return values

    def number(self, name: str) -> float | None:
        """Return the first number of an element, None where it is absent."""
        found = self.numbers(name)
        return None if found is None else found[0]

    def whole(self, name: str, default: int) -> int:
        """Return a whole number, the default where it is absent."""
        found = self.number(name)
        if found is not None and found != int(found):
            raise self.wrong(name, "is not a whole number")
        return default if found is None else int(found)

    def private(self, group: int, creator: str, element: int) -> str:
        """Return the first value of a vendor's element as text, "" where it is absent or damaged."""
        try:
            found = self.data.private_block(group, creator)[element].value
        except Exception:  # as above
            return ""
        text = found.decode("ascii", "replace") if isinstance(found, bytes) else found
        listed = text.split("\\") if isinstance(text, str) else text
        first = next(iter(listed), "") if isinstance(listed, MultiValue | list) else listed
        return "" if first is None else str(first).strip(" \0")

    def items(self, name: str) -> list["Tags"]:
        """Return the items of a sequence."""
        found = self.value(name)
        if found is None:
            return []
        if not isinstance(found, pydicom.Sequence):
            raise self.wrong(name, "is not a sequence")
        return [Tags(self.file, item, self.syntax) for item in found]

    def first(self, *names: str) -> "Tags | None":
        """Follow sequences by their first items, None where one is absent."""
        here: Tags | None = self
        for name in names:
            here = next(iter(here.items(name)), None) if here else None
        return here


def open_tags(file: Path) -> Tags:
    """Read all elements before the pixels.

    Raises:
        DataError: `unreadable`, `truncated`, `missing`.
    """
    try:
        size = file.stat().st_size
    except FileNotFoundError:
        raise DataError("missing", f"{file}: {stand_in(file) or 'is gone'}") from None
    if size == 0:
        raise DataError("truncated", f"{file}: is empty; copy it again")
    if not is_dicom_file(file):
        if what := stand_in(file):
            raise DataError("missing", f"{file}: {what}")
        if size < MAGIC_AT + 4:
            raise DataError("truncated", f"{file}: ends within its header; copy it again")
        raise DataError("unreadable", f"{file}: is not DICOM")
    try:
        with quiet(), file.open("rb") as opened:
            return _parsed(file, opened, size)
    except DataError:
        raise
    except (EOFError, struct.error):
        raise DataError("truncated", f"{file}: ends within its header; copy it again") from None
    except PermissionError:
        raise DataError("unreadable", f"{file}: no permission to read it") from None
    except Exception as error:  # pydicom raises anything from a damaged file
        raise DataError(
            "unreadable", f"{file}: its header is damaged ({type(error).__name__}); copy it again"
        ) from None


def _parsed(file: Path, opened: BinaryIO, size: int) -> Tags:
    """Read the elements, of the inflated data set where the file is deflated."""
    place: BinaryIO = opened
    is_deflated = _is_deflated(file, opened.read(META_BYTES))
    opened.seek(0)
    if is_deflated:
        place = io.BytesIO(unwrapped(file))
        size = len(place.getvalue())
    bounded = _Bounded(place, size)
    data = pydicom.dcmread(bounded, stop_before_pixels=True, force=True)
    syntax = UID(str(data.file_meta.get("TransferSyntaxUID", "")).strip(" \0"))
    if not syntax or is_deflated:
        implicit, little = data.original_encoding
        syntax = UID("1.2.840.10008.1.2" + ("" if implicit else ".1" if little else ".2"))
    if not syntax.is_transfer_syntax:
        raise DataError(
            "unreadable",
            f"{file}: TransferSyntaxUID (0002,0010) names none that is known; export it uncompressed",
        )
    return Tags(file, data, str(syntax), bounded.tell(), size, is_deflated)


def _is_deflated(file: Path, head: bytes) -> bool:
    if DeflatedExplicitVRLittleEndian.encode() not in head or head[MAGIC_AT:][:4] != b"DICM":
        return False
    meta = pydicom.filereader.read_file_meta_info(file)
    return bool(meta.get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian)


def unwrapped(file: Path) -> bytes:
    """Inflate the data set of a deflated file.

    Raises:
        DataError: `unreadable`, `truncated`.
    """
    meta = pydicom.filereader.read_file_meta_info(file)
    length = int(meta.get("FileMetaInformationGroupLength") or 0)
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        data = stream.decompress(file.read_bytes()[MAGIC_AT + 16 + length :], INFLATED_BYTES)
    except zlib.error:
        raise DataError("unreadable", f"{file}: its deflated data are damaged; copy it") from None
    if stream.unconsumed_tail:
        raise DataError(
            "unreadable", f"{file}: inflates to more than {INFLATED_BYTES >> 20} MiB; inflate it"
        )
    if not stream.eof:
        raise DataError("truncated", f"{file}: ends before its deflated data do; copy it again")
    return data
