"""A table as spreadsheets leave it (CSV, or Parquet) to rows of text.

Separator, encoding, line ends, empty rows and columns, spaces and the case of titles are what Excel makes of
them in one country or another; none of these changes what is read. What could be read in two ways is refused
with what to do.
"""

import csv
import io
import math
import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from somray.errors import ConfigError

__all__ = ["Sheet", "read_sheet"]

_SEPARATORS = (",", ";", "\t", "|")
_UNSEEN = "\ufeff\u200b\u200e\u200f\u2060\0\x1a"  # marks that cells carry over from web pages; DOS's end of a file
_WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")
_FORMULA = re.compile(r'="(.*)"')  # how a number is kept as text in Excel
_NO_TEXT = re.compile(r"[\x01-\x08\x0e-\x19\x1b-\x1f]")
_NUMBERED = ("", "unnamed: 0")  # titles under which pandas and R number the rows
_UNREAD: dict[type[OSError], str] = {
    FileNotFoundError: "does not exist; correct `scans` in the configuration",
    IsADirectoryError: "is a folder; `scans` names a table, such as scans.csv",
}
_SAVE = "save it as 'CSV UTF-8 (comma delimited)'"


@dataclass(frozen=True)
class Sheet:
    """What stands in a table.

    Args:
        columns: titles, lower case.
        rows: number of the row in the file (the titles' row counts) and its cells, empty where nothing stands.
        is_guessed: the text is not UTF-8 and was read as Windows' Western encoding, which may be wrong.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[int, dict[str, str]], ...]
    is_guessed: bool = False


def read_sheet(path: Path, known: Collection[str]) -> Sheet:
    """Read a table of text, or Parquet by its first bytes; the titles that are known tell the separator.

    Raises:
        ConfigError: it does not exist, is no table, or its cells do not fit its titles.
    """
    try:
        if path.exists() and not (path.is_file() or path.is_dir()):  # would be waited for
            raise ConfigError(
                f"{path}: the manifest is a pipe or a device, and is read more than once; save it as a file"
            )
        content = path.read_bytes()
    except OSError as error:
        what = _UNREAD.get(type(error), f"cannot be read: {error.strerror or error}")
        raise ConfigError(f"{path}: the manifest {what}") from None
    if content[:4] == b"PAR1":
        return _parquet(path, known)
    if path.suffix.lower() == ".parquet":
        raise ConfigError(f"{path}: the manifest cannot be read: it is not Parquet")
    if content.startswith(_WORKBOOKS):
        raise ConfigError(f"{path}: the manifest is an Excel workbook; {_SAVE}")
    text, is_guessed = _decoded(content, path)
    records = _records(text, known, path)
    filled = [row for row in records if any(row)]
    if all(len(row) == 1 for row in filled) and filled and filled[0][0].lower() not in known:
        # each row as a whole in quotation marks
        records = _records("\n".join("".join(row) for row in records), known, path)
    return _sheet(path, records, known, is_guessed)


def _decoded(content: bytes, path: Path) -> tuple[str, bool]:
    """Decode by the byte order mark, else as UTF-8, else as Windows' Western encoding."""
    encodings = ["utf-8-sig", "cp1252"]
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        encodings = ["utf-16"]
    elif b"\0" in content[:2]:  # UTF-16 of letters, without its mark
        encodings = ["utf-16-be" if content[0] == 0 else "utf-16-le"]
    for encoding in encodings:
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if _NO_TEXT.search(text):
            break
        return text, encoding == "cp1252"
    if content[:2] == b"\x1f\x8b":
        raise ConfigError(f"{path}: the manifest is compressed; unpack it (gunzip)")
    raise ConfigError(f"{path}: the manifest cannot be read: its text is not UTF-8; {_SAVE}")


def _records(text: str, known: Collection[str], path: Path) -> list[list[str]]:
    """Cut text into rows of cells, by the separator that gives most known titles."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    first, _, rest = text.partition("\n")
    separators: Sequence[str] = _SEPARATORS
    if first.lower().startswith("sep=") and len(first.rstrip()) <= 5:  # Excel's own hint
        separators, text = [first[4:5] or "\t"], "\n" + rest

    def titles(sign: str) -> tuple[int, int]:
        header = next((line for line in text.split("\n") if line.strip(f"{sign} ")), "")
        cells = {_clean(cell).strip('" ').lower() for cell in header.split(sign)}
        return len(cells & {*known}), len(cells)

    sign = max(separators, key=titles)
    reader = csv.reader(io.StringIO(text), delimiter=sign, strict=True, skipinitialspace=True)
    try:
        return [[_clean(cell) for cell in row] for row in reader]
    except csv.Error as error:
        raise ConfigError(
            f"{path}: the manifest cannot be read: line {reader.line_num}: {error}; look for a quotation mark "
            "without its partner"
        ) from None


def _clean(cell: str) -> str:
    text = cell.strip(_UNSEEN).strip().strip(_UNSEEN)
    formula = _FORMULA.fullmatch(text)
    return formula[1].strip() if formula else text


def _sheet(path: Path, records: list[list[str]], known: Collection[str], is_guessed: bool) -> Sheet:
    """Put cells under their titles; refuse titles that stand twice and cells without one."""
    filled = [(number, row) for number, row in enumerate(records, start=1) if any(row)]
    if not filled:
        raise ConfigError(
            f"{path}: the manifest cannot be read: it is empty; its first row holds titles"
        )
    if _is_numbered(filled):
        filled = [(number, row[1:]) for number, row in filled]
    titles = [title.lower() for title in filled[0][1]]
    if not {*titles} & {*known}:  # no row of titles: nothing can be said of what stands below it
        below = next((n for n, r in filled if len({c.lower() for c in r} & {*known}) > 1), None)
        if below is not None:
            raise ConfigError(
                f"{path}: the titles stand in row {below}; take out what stands above them ({filled[0][1][0]!r} …)"
            )
        return Sheet(tuple(title for title in titles if title), ())
    twice = [title for title, count in Counter(titles).items() if title and count > 1]
    if twice:
        raise ConfigError(f"{path}: the column {', '.join(twice)} stands twice; keep one of them")
    rows, homeless = [], []
    for number, row in filled[1:]:
        cells = dict(zip(titles, row, strict=False))
        beyond = cells.pop("", "") or "".join(row[len(titles) :])
        beyond = beyond or "".join(c for t, c in zip(titles, row, strict=False) if not t)
        if beyond:
            homeless.append(f"row {number}: {beyond!r} stands under no title")
        rows.append((number, {title: cells.get(title, "") for title in titles if title}))
    if homeless:
        raise ConfigError(
            f"{path}: quote a cell that holds the separator, or give the column a title:\n"
            + "\n".join(homeless[:20])
        )
    return Sheet(tuple(title for title in titles if title), tuple(rows), is_guessed)


def _is_numbered(filled: list[tuple[int, list[str]]]) -> bool:
    """Whether the first column numbers the rows, as pandas and R write it beside a table unless told not to."""
    if len(filled) < 2 or filled[0][1][0].lower() not in _NUMBERED:
        return False
    numbers = [row[0] for _, row in filled[1:]]
    return any(numbers == [str(n + first) for n in range(len(numbers))] for first in (0, 1))


def _parquet(path: Path, known: Collection[str]) -> Sheet:
    try:
        frame = pd.read_parquet(path)
    except Exception as error:
        raise ConfigError(f"{path}: the manifest cannot be read: {error}") from error
    if any(frame.index.names):
        frame = frame.reset_index()
    records = [[str(c) for c in frame.columns]]
    records += [[_text(v) for v in row] for row in frame.itertuples(index=False, name=None)]
    cleaned = [[_clean(cell) for cell in row] for row in records]
    return _sheet(path, cleaned, known, is_guessed=False)


def _text(value: object) -> str:
    """Write a Parquet value as a person would: whole numbers without a point, durations in days."""
    if value is None or value is pd.NA or value is pd.NaT:
        return ""
    if isinstance(value, pd.Timedelta):
        value = value.total_seconds() / 86400
    if isinstance(value, float):
        if math.isnan(value):
            return ""
        return str(int(value)) if value.is_integer() else repr(float(value))
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
