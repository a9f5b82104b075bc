"""What text headers share: how their lines are encoded, and data files: beside them, listed, or numbered.

A name may hold blanks and percent signs of its own; it is a pattern only where it reads as one and no file has
that name. Nothing is ever formatted by a header's own format string.
"""

import os
import re
from collections.abc import Sequence
from pathlib import Path

from somray.errors import DataError

__all__ = ["named_files", "text_of"]

_PATTERN = re.compile(
    r"(?P<before>.*)%(?P<width>0?\d{0,2})[diu](?P<after>.*?)"
    r"\s+(?P<first>-?\d{1,9})\s+(?P<last>-?\d{1,9})(?:\s+(?P<step>-?\d{1,9}))?(?:\s+\d)?\s*"
)


def text_of(line: bytes) -> str:
    """Decode a line: UTF-8, or Latin-1 where it is none."""
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        return line.decode("latin-1")


def named_files(path: Path, name: str, listed: Sequence[str], most: int) -> tuple[str, ...]:
    """Return the files that a header names by one name, by `LIST`, or by a pattern with first, last and step.

    Raises:
        DataError: `unreadable`: there are more files than slices, or none.
    """
    if name.upper().split()[:1] == ["LIST"]:
        names = [line.strip() for line in listed if line.strip()]
        if len(names) > most:
            raise DataError(
                "unreadable", f"{path}: lists {len(names)} data files for {most} slices"
            )
        return tuple(str(_beside(path, name)) for name in names)
    plain = _beside(path, name)
    found = _PATTERN.fullmatch(name)
    if found is None or plain.is_file():
        return (str(plain),)
    step = int(found["step"] or 1)
    first, last = int(found["first"]), int(found["last"])
    numbers = range(first, last + (1 if step > 0 else -1), step) if step else range(0)
    if not 0 < len(numbers) <= most:
        raise DataError(
            "unreadable",
            f"{path}: its pattern of data files counts from {first} to {last} by {step}, for {most} slices",
        )
    zeros = found["width"].startswith("0")
    width = int(found["width"] or 0)
    texts = (f"{n:0{width}d}" if zeros else f"{n:{width}d}" for n in numbers)
    return tuple(str(_beside(path, f"{found['before']}{t}{found['after']}")) for t in texts)


def _beside(path: Path, name: str) -> Path:
    """Take a name as lying beside the header, unless it is absolute; Windows' strokes are turned."""
    file = path.parent / name
    if os.sep == "/" and "\\" in name and not file.exists():
        return path.parent / name.replace("\\", "/")
    return file
