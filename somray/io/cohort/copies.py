"""Sources of a manifest that are copies of others, byte for byte: a run finds them by their pixels, a plan by this."""

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path

__all__ = ["copies"]

_WHOLE_FILES = (".nii", ".nii.gz", ".mha")
"""Endings of files that hold all of their scan; headers of other formats lead to files of other names."""
_ENDS_BYTES = 1 << 16


def copies(paths: Iterable[str]) -> dict[str, str]:
    """Find paths that hold the same bytes as one further up in the manifest; return that for each copy.

    Sizes are compared first, then both ends; only what agrees in these is read whole: of an ordinary cohort nothing.
    URLs, folders within folders, and files that lead to others are left out.
    """
    groups = [list(dict.fromkeys(paths))]
    for told in (_size, _ends, _content):
        groups = [part for group in groups for part in _parted(group, told)]
    return {copy: same[0] for same in groups for copy in same[1:]}


def _parted(paths: list[str], told: Callable[[Path], object]) -> list[list[str]]:
    """Group paths of whose files the same is told; a path without a like is dropped."""
    found: dict[tuple[object, ...], list[str]] = {}
    for path in paths:
        try:
            found.setdefault(tuple(map(told, _files(Path(path)))), []).append(path)
        except OSError:  # whoever reads its pixels says why
            continue
    return [group for facts, group in found.items() if facts and len(group) > 1]


def _files(path: Path) -> list[Path]:
    """List the files of a source by name; none where others may belong to it."""
    if path.is_dir():
        inside = sorted(path.iterdir())
        return inside if all(file.is_file() for file in inside) else []
    return [path] if path.name.lower().endswith(_WHOLE_FILES) and path.is_file() else []


def _size(file: Path) -> int:
    return file.stat().st_size


def _ends(file: Path) -> str:
    with file.open("rb") as stream:
        first = stream.read(_ENDS_BYTES)
        stream.seek(max(0, _size(file) - _ENDS_BYTES))
        return hashlib.sha256(first + stream.read()).hexdigest()


def _content(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
