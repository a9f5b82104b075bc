"""A scan's image carried from one run into another, without reading a pixel.

On one file system every file becomes a hard link: a run writes beside and renames, so that neither ever changes
the other's bytes. Across file systems, and on object stores, files are copied. The group's own `zarr.json`, which
holds the mark that the scan is complete, is written last.
"""

import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import fsspec

from somray.io.storage import Storage, is_url

__all__ = ["carry_image", "carry_way"]

MARK = "zarr.json"
LABELS = "labels"


def carry_way(source: str, target: str) -> str:
    """Say how files get from one run to another: "linked" where both are paths, else "copied"."""
    return "copied" if is_url(source) or is_url(target) else "linked"


def carry_image(source: Storage, target: Storage, name: str, labels: Sequence[str] = ()) -> None:
    """Put a complete scan into another run; what stood there under its name is removed, labels too.

    Args:
        source: the run that has it.
        target: the run that gets it.
        name: the scan's group.
        labels: label groups that go along; all others stay behind.

    Raises:
        StoreError: a file cannot be read or written.
    """
    target.remove(name)
    for file in _files(source, name):
        first, _, rest = file.partition("/")
        if file != MARK and (first != LABELS or rest.partition("/")[0] in labels):
            _carry(source, target, f"{name}/{file}")
    target.write_bytes(f"{name}/{MARK}", source.read_bytes(f"{name}/{MARK}"))


def _files(storage: Storage, name: str) -> Iterator[str]:
    """Walk a group's files, named from the group on; half-written ones are left out."""
    if storage.is_local:
        root = Path(storage.uri(name))
        found = (file.relative_to(root).as_posix() for file in root.rglob("*") if file.is_file())
    else:
        filesystem, root_name = fsspec.core.url_to_fs(storage.uri(name))
        found = (str(file)[len(root_name) :].lstrip("/") for file in filesystem.find(root_name))
    yield from (file for file in sorted(found) if not file.rpartition("/")[2].startswith("."))


def _carry(source: Storage, target: Storage, file: str) -> None:
    if not (source.is_local and target.is_local):
        target.write_bytes(file, source.read_bytes(file))
        return
    one, other = Path(source.uri(file)), Path(target.uri(file))
    other.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(one, other)
    except OSError:  # another file system, or one without links
        partial = other.with_name(f".{other.name}.partial")
        shutil.copyfile(one, partial)
        os.replace(partial, other)
