"""The header of an NRRD file as fields, keys and values, and what follows it.

Fields are parsed by pynrrd, but only those that are needed, so that a comment, a name or a damaged line that
nobody needs neither breaks a scan nor leaves its file; keys are read in any case and both micro signs survive.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nrrd

from somray.errors import DataError
from somray.io.readers.voxels.data_files import text_of
from somray.io.readers.voxels.inflate import compression_of

__all__ = ["NrrdFields", "read_fields"]

_MOST_BYTES = 1 << 24  # longest header that is read; segmentations name every segment in it
_OLD_MAGIC = "NRRD00.01"
_ALIASES = {
    "axismins": "axis mins", "axismaxs": "axis maxs", "datafile": "data file", "lineskip": "line skip",
    "byteskip": "byte skip", "centers": "centerings",
}  # fmt: skip
_NEEDED = frozenset(
    ("dimension", "type", "encoding", "sizes", "endian", "space", "space dimension", "space directions",
     "space origin", "space units", "spacings", "thicknesses", "units", "kinds", "centerings", "axis mins",
     "axis maxs", "data file", "line skip", "byte skip")
)  # fmt: skip
_REQUIRED = ("dimension", "type", "encoding", "sizes")
_VECTOR = re.compile(r"\([^()]*\)")


@dataclass(frozen=True)
class NrrdFields:
    """What an NRRD header says.

    Args:
        fields: pynrrd's values by field, keys in lower case, of the fields that readers need.
        keys: free keys and values, as written; may name a person.
        listed: the lines after `data file: LIST`.
        end: the byte where the header ends.
    """

    fields: dict[str, Any]  # Any: pynrrd's values
    keys: dict[str, str]
    listed: tuple[str, ...]
    end: int


def read_fields(path: Path) -> NrrdFields:
    """Read a header.

    Raises:
        DataError: `unreadable`, `truncated`; the message names the field, never its content.
    """
    lines, end = _lines(path)
    if not lines or not lines[0].startswith("NRRD"):
        packed = compression_of(path) != "raw"
        what = "is compressed as a whole; unpack it" if packed else "is not NRRD, whatever its name"
        raise DataError("unreadable", f"{path}: {what}")
    magic = lines[0].strip().replace(_OLD_MAGIC, "NRRD0001")
    fields: dict[str, str] = {}
    keys: dict[str, str] = {}
    rest = iter(lines[1:])
    listed: tuple[str, ...] = ()
    for line in rest:
        free, field = line.find(":="), line.find(":")
        if line.startswith("#") or field < 0:
            continue
        name = " ".join(line[:field].lower().split())
        name = _ALIASES.get(name, name)
        if free == field or name not in _NEEDED:
            keys[line[:field].strip()] = line[field + 1 :].removeprefix("=").strip()
            continue
        value = line[field + 1 :].strip()
        if fields.setdefault(name, value) != value:
            raise DataError(
                "unreadable", f"{path}: its header gives {name} twice; keep one of them"
            )
        if name == "data file" and fields[name].upper().startswith("LIST"):
            listed = tuple(rest)
    if missing := [name for name in _REQUIRED if name not in fields]:
        raise DataError("unreadable", f"{path}: its header lacks {', '.join(missing)}")
    return NrrdFields(_parsed(path, magic, fields), keys, listed, end)


def _lines(path: Path) -> tuple[list[str], int]:
    """Read the lines before the first empty one, and the byte after it."""
    lines = []
    with path.open("rb") as file:
        while line := file.readline(_MOST_BYTES):
            text = text_of(line).rstrip()
            if not text:
                break
            lines.append(text)
            if file.tell() > _MOST_BYTES or (len(lines) == 1 and not text.startswith("NRRD")):
                break
        return lines, file.tell()


def _parsed(path: Path, magic: str, fields: dict[str, str]) -> dict[str, Any]:  # Any: pynrrd
    """Let pynrrd parse the fields."""
    current = "version"

    def written() -> Iterator[str]:
        nonlocal current
        yield magic
        for current, value in fields.items():
            if current == "space origin" and "none" in value.lower():
                continue
            plain = value.lower() if current in ("type", "encoding", "endian", "kinds") else value
            # Teem allows blanks in a vector, pynrrd takes them for its end
            plain = _VECTOR.sub(lambda vector: "".join(vector[0].split()), plain)
            yield f"{current}: {_quoted(plain) if 'units' in current else plain}"

    try:
        header = dict(nrrd.read_header(written()))
    except (nrrd.NRRDError, ValueError, TypeError, KeyError, IndexError) as error:
        what = f"its {current} cannot be read" if fields else "its header is empty"
        raise DataError("unreadable", f"{path}: {what}; correct the header") from error
    if len(header["sizes"]) != header["dimension"]:
        raise DataError("unreadable", f"{path}: its dimension and its sizes contradict each other")
    return header


def _quoted(units: str) -> str:
    """Put units in quotes that stand without, so that inches and blanks are no trouble."""
    words = re.findall(r'"([^"]*)"', units) or units.replace(",", " ").split()
    return " ".join(f'"{word}"' for word in words)
