"""Tables from a mask's values to names, as tools write them: JSON, CSV, ITK-SNAP, FreeSurfer, 3D Slicer.

Text from files is untrusted: names keep letters, digits and a few signs, and are cut; sizes are bounded. A file
that is no such table gives nothing; one that gives a value two names is refused, never resolved by a guess.
"""

import csv
import json
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeVar

from somray.errors import DataError

__all__ = [
    "LONGEST_NAME",
    "MaskRegion",
    "chosen",
    "clean_name",
    "names_of_json",
    "names_of_text",
    "table_of",
]

LONGEST_NAME = 64
_MOST_BYTES = 1 << 20
_MOST_NAMES = 4096
_MOST_VALUE = 2**24 - 1  # see label_masks.MOST_LABEL

_SIGNS = frozenset(" _-.+()/,")
_NOTHING = frozenset({"background", "unknown", "clear label"})
_ITKSNAP = re.compile(r'\s*(\d{1,9})\s+\d+\s+\d+\s+\d+\s+[\d.]+\s+\d\s+\d\s+"(.*)"\s*')
_LUT = re.compile(r"\s*(\d{1,9})\s+(\S+)\s+\d+\s+\d+\s+\d+(?:\s+\d+)?\s*")
_PLAIN = re.compile(r"\s*(\d{1,9})(?:\s*[:=]\s*|\s+)([^\W\d].*)")
_VALUE_COLUMNS = frozenset(  # MOOSE's statistics leave the title of their first column empty
    ("", "value", "labelvalue", "voxelvalue", "labelid", "id", "index", "idx", "number", "no", "key",
     "label")
)  # fmt: skip
_NAME_COLUMNS = frozenset(
    ("name", "labelname", "organ", "organname", "structure", "structurename", "region", "regionname",
     "regionspresent", "roi", "roiname", "segment", "segmentname", "totalsegmentatorname", "anatomy",
     "label", "description")
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class MaskRegion:
    """A region of a mask: the label that it becomes, and its name as written; untrusted."""

    label: int
    name: str


_Some = TypeVar("_Some", bound=MaskRegion)


def clean_name(text: object) -> str:
    """Keep of a name what a table, a page and a terminal can show safely; at most 64 characters."""
    plain = unicodedata.normalize("NFKC", str(text)[: 16 * LONGEST_NAME])
    kept = "".join(c if c.isalnum() or c in _SIGNS else " " for c in plain)
    return " ".join(kept.split())[:LONGEST_NAME].strip(" _-.+/,")


def chosen(where: str, regions: Sequence[_Some], name: str | None) -> Sequence[_Some]:
    """Choose what has a name or a label; everything where None is given.

    Raises:
        DataError: `unreadable`: nothing is called so.
    """
    if name is None:
        return regions
    wanted = clean_name(name).casefold()
    found = [one for one in regions if clean_name(one.name).casefold() == wanted]
    found = found or [one for one in regions if str(one.label) == name]
    if not found:
        raise DataError("unreadable", f"{where}: has no region of that name; correct `#channel=`")
    return found


def table_of(pairs: Iterable[tuple[object, object]], where: str) -> dict[int, str]:
    """Make a table of (value, name) pairs; the background, 0 and empty names are left out.

    Raises:
        DataError: `unreadable`: a value has two names, or there are too many.
    """
    table: dict[int, str] = {}
    for value, name in islice(pairs, _MOST_NAMES + 1):
        number, text = _whole(value), clean_name(name)
        if number is None or not 0 < number <= _MOST_VALUE or text.casefold() in _NOTHING:
            continue
        if text and table.setdefault(number, text).casefold() != text.casefold():
            raise DataError(
                "unreadable",
                f"{where}: names value {number} twice, {table[number]!r} and {text!r}; keep one of them",
            )
    if len(table) >= _MOST_NAMES:
        raise DataError("unreadable", f"{where}: holds {_MOST_NAMES} names or more; shorten it")
    return dict(sorted(table.items()))


def _whole(value: object) -> int | None:
    """Return a whole number that a table writes as number or text."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    text = str(value).strip()
    return int(text) if re.fullmatch(r"[0-9]{1,9}", text) else None


def names_of_json(path: Path, is_dataset: bool = False) -> dict[int, str]:
    """Read `{"1": "spleen"}`, `{"spleen": 1}`, or either under `labels`; of an nnU-Net data set these alone.

    A side file of something else (an acquisition's, for one) has other values too and gives nothing.

    Raises:
        DataError: `unreadable`: it is no JSON, or contradicts itself.
    """
    try:
        data = json.loads(_text(path))
    except (ValueError, RecursionError) as error:
        what = "its JSON is damaged or nested too deep"
        raise DataError("unreadable", f"{path}: {what}; correct or remove it") from error
    if not isinstance(data, dict):
        return {}
    labels = data.get("labels")
    if isinstance(labels, dict):
        return table_of(_json_pairs(labels), str(path))
    return {} if is_dataset else table_of(_json_pairs(data), str(path))


def _json_pairs(data: Mapping[str, object]) -> list[tuple[object, object]]:
    """Return (value, name) pairs where all entries are such; nnU-Net's regions of several values are skipped."""
    entries = {k: v for k, v in data.items() if not isinstance(v, list)}
    if all(_whole(k) is not None and isinstance(v, str) for k, v in entries.items()):
        return list(entries.items())
    if all(_whole(k) is None and _whole(v) is not None for k, v in entries.items()):
        return [(v, k) for k, v in entries.items()]
    return []


def names_of_text(path: Path) -> dict[int, str]:
    """Read a CSV or TSV with or without a header, ITK-SNAP's label descriptions, a colour table, or plain lines.

    Raises:
        DataError: `unreadable`: it contradicts itself.
    """
    lines = [
        line
        for line in _text(path).splitlines()
        if line.strip() and not line.lstrip().startswith(("#", "//"))
    ][: 2 * _MOST_NAMES]
    for pattern in (_ITKSNAP, _LUT):
        found = [pattern.fullmatch(line) for line in lines]
        if lines and all(found):
            return table_of(((m[1], m[2]) for m in found if m), str(path))
    pairs = _column_pairs(lines) or _plain_pairs(lines)
    return table_of(pairs, str(path))


def _plain_pairs(lines: Sequence[str]) -> list[tuple[object, object]]:
    """Read lines such as `5 spleen` or `5: spleen`; nothing where one line is not."""
    found = [_PLAIN.fullmatch(line) for line in lines]
    return [(m[1], m[2]) for m in found if m] if all(found) else []


def _column_pairs(lines: Sequence[str]) -> list[tuple[object, object]]:
    """Read separated columns, by their titles where the first line holds some."""
    if not lines:
        return []
    sign = max(("\t", ";", ","), key=lines[0].count)
    try:
        rows = [row for row in csv.reader(lines, delimiter=sign) if len(row) > 1]
    except csv.Error:
        return []
    if not rows:
        return []
    has_title = all(_whole(cell) is None for cell in rows[0])
    body = rows[1:] if has_title else rows
    width = min((len(row) for row in body), default=0)
    titles = [re.sub(r"[\W_]+", "", cell).casefold() for cell in rows[0]][:width]
    values = [n for n in range(width) if all(_whole(row[n]) is not None for row in body)]
    if has_title:
        values = [n for n in values if titles[n] in _VALUE_COLUMNS]
        names = [n for n in range(width) if titles[n] in _NAME_COLUMNS and n not in values]
    else:
        names = [n for n in range(min(width, 2)) if n not in values]
    if not values or not names:
        return []
    return [(row[values[0]], row[names[0]]) for row in body]


def _text(path: Path) -> str:
    """Read a small text file."""
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise DataError("unreadable", f"{path}: {error.strerror or error}") from error
    if len(data) > _MOST_BYTES:
        raise DataError(
            "unreadable", f"{path}: too large for a table of names; remove or rename it"
        )
    return data.decode("utf-8-sig", errors="replace")
