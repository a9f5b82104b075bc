"""The text header of a MetaImage as fields, and where it ends."""

from dataclasses import dataclass
from pathlib import Path

from somray.errors import DataError
from somray.io.readers.voxels.data_files import text_of

__all__ = ["DATA_FILE", "MetaFields", "read_fields"]

HEADER_BYTES = 1 << 20  # longest header that is read
DATA_FILE = "elementdatafile"
"""The last field, which names the file of the voxels."""
_ONCE = frozenset(
    ("ndims", "dimsize", "elementtype", "elementspacing", "elementsize", "offset", "position", "origin",
     "transformmatrix", "rotation", "orientation", "elementnumberofchannels", "headersize")
)  # fmt: skip
_COMMENTS = ("#", "%", ";", "//")


@dataclass(frozen=True)
class MetaFields:
    """What a MetaImage header says.

    Args:
        values: by field in lower case; may name a person.
        listed: the lines after `ElementDataFile = LIST`.
        end: the byte where the header ends.
    """

    values: dict[str, str]
    listed: tuple[str, ...]
    end: int

    def text(self, *names: str) -> str:
        """Return the first of some fields that is there; empty where none is."""
        return next((self.values[n.lower()] for n in names if n.lower() in self.values), "")

    def numbers(self, *names: str) -> list[float]:
        """Return the numbers of the first of some fields that is there.

        Raises:
            ValueError: names the field.
        """
        try:
            return [float(word) for word in self.text(*names).replace(",", " ").split()]
        except ValueError as error:
            raise ValueError(names[0]) from error

    def whole(self, name: str, default: int) -> int:
        """Return one whole number.

        Raises:
            ValueError: names the field.
        """
        numbers = self.numbers(name) or [default]
        if len(numbers) != 1 or not float(numbers[0]).is_integer():
            raise ValueError(name)
        return int(numbers[0])

    def is_true(self, *names: str, default: bool = False) -> bool:
        """Tell a switch."""
        text = self.text(*names).lower()
        return text.startswith(("t", "1", "y")) if text else default


def read_fields(path: Path) -> MetaFields:
    """Read a header.

    Raises:
        DataError: `unreadable`, `truncated`.
    """
    with path.open("rb") as file:
        head = file.read(HEADER_BYTES)
    values: dict[str, str] = {}
    lines = head.split(b"\n")
    end = 0
    for number, line in enumerate(lines):
        end += len(line) + 1
        text = text_of(line).strip()
        sign = "=" if "=" in text else ":"
        key, found, value = text.partition(sign)
        if not text or text.startswith(_COMMENTS):
            continue
        if not found or b"\0" in line:
            break
        key = key.strip().lower()
        if values.setdefault(key, value.strip()) != value.strip() and key in _ONCE:
            raise DataError("unreadable", f"{path}: its header gives {key} twice; keep one of them")
        if key == DATA_FILE:
            is_list = value.split()[:1] in (["LIST"], ["list"], ["List"])
            listed = tuple(text_of(rest).strip() for rest in lines[number + 1 :]) if is_list else ()
            return MetaFields(values, listed, min(end, len(head)))
    if len(head) < HEADER_BYTES and "ndims" in values and "elementtype" not in values:
        raise DataError("truncated", f"{path}: ends within its header; copy the file again")
    raise DataError("unreadable", f"{path}: is not MetaImage (no ElementDataFile in the header)")
