"""The full level of an image that lies in its source: described in our group, its chunks symbolic links.

zarr has no links, but a zarr v3 array is a description and files of chunks: axes of length one that the source
lacks are leading ones of every chunk, so a source's chunks are our image's as they stand, those of zarr v2 too.
Whoever opens the group sees the image; no bytes are copied. Which files there were, how large and how old, is noted
with the scan: where one is gone or another now, the scan says so instead of being read.
"""

import contextlib
import hashlib
import itertools
import json
import os
import secrets
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from somray.errors import StoreError
from somray.io.ome.metadata import TILE_PIXELS, ScanMeta
from somray.io.storage import Storage

__all__ = ["StoredArray", "check_links", "is_readable_in_place", "link_level"]

Links = dict[str, Any]  # JSON: how many files, and a digest of their names, sizes and times

FULL = "0"  # path of the level
MOST_DEPTH = 8  # slices of a chunk: one slice is often read alone
LEAST_VOXELS = 2**14
"""Of a chunk that is no whole slice: smaller ones take longer to find than to unpack."""
MOST_VOXELS = 2**24  # of a chunk, as of a brick
CODECS = {"bytes", "blosc", "zstd", "gzip", "crc32c", "sharding_indexed"}  # what viewers unpack too


@dataclass(frozen=True)
class StoredArray:
    """One channel of a zarr array on a disk of this machine, seen as an image of one channel.

    Args:
        document: its zarr v3 metadata with axes (t, c, z, y, x); c is 1.
        file: path of the file that holds a chunk, by its number along (t, z, y, x).
    """

    document: Mapping[str, Any]  # Any: JSON
    file: Callable[[tuple[int, int, int, int]], Path]


def is_readable_in_place(meta: ScanMeta, stored: Sequence[StoredArray]) -> bool:
    """Tell whether a scan's channels suit the way in which slabs, tiles and single slices are read.

    They do where all have one description, of float32 (the type of every other level: viewers refuse pyramids of
    several types, and a pyramid of rounded means would change results), one time point and channel in a file, and
    chunks of at most `MOST_DEPTH` slices and a brick that no border of slabs or tiles cuts.
    """
    document = stored[0].document
    if any(other.document != document for other in stored[1:]):
        return False
    grid = document["chunk_grid"]["configuration"]["chunk_shape"]
    chunk = _unpacked(document["codecs"], grid)
    if document["data_type"] != "float32" or grid[:2] != [1, 1] or chunk is None:
        return False
    depth, rows, columns = chunk[2:]
    plane = meta.shape[3:]
    is_wide = rows >= plane[0] and columns >= plane[1]
    is_deep = depth >= meta.shape[2] or meta.slab_depth % depth == 0
    voxels = depth * rows * columns
    cuts_well = not meta.is_cut or not (TILE_PIXELS % rows or TILE_PIXELS % columns)
    return (
        depth <= MOST_DEPTH
        and is_deep
        and cuts_well
        and (is_wide or voxels >= LEAST_VOXELS)
        and voxels <= MOST_VOXELS
    )


def _unpacked(codecs: Sequence[Mapping[str, Any]], grid: list[int]) -> list[int] | None:
    """Return the shape of what is decoded at once; None where a codec is not for everybody."""
    if not {codec["name"] for codec in codecs} <= CODECS:
        return None
    if codecs[0]["name"] != "sharding_indexed":
        return grid
    inner = codecs[0]["configuration"]
    return _unpacked(inner["codecs"], inner["chunk_shape"])


def link_level(storage: Storage, name: str, meta: ScanMeta, stored: Sequence[StoredArray]) -> Links:
    """Make the full level of a scan's group from what its source stores, in place of one that is there.

    Raises:
        StoreError: the storage has no symbolic links, or cannot be written.
    """
    group = Path(storage.uri(name))
    made = group / f".{FULL}.{secrets.token_hex(4)}.partial"
    document = {**stored[0].document, "shape": list(meta.shape)}
    parts = document["chunk_grid"]["configuration"]["chunk_shape"]
    counts = [-(-n // part) for n, part in zip(meta.shape, parts, strict=True)]
    try:
        made.mkdir(parents=True)
        (made / "zarr.json").write_text(json.dumps(document))
        for t, c, z, y, x in itertools.product(*map(range, counts)):
            file = stored[c].file((t, z, y, x))
            if file.is_file():  # what is not there holds the fill value alone
                link = made / "c" / f"{t}/{c}/{z}/{y}/{x}"
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to(file.absolute())
        links = _links(made)
        _swap(made, group / FULL)
    except OSError as error:
        raise StoreError(
            f"{group}: its image cannot be linked to its source: {error.strerror or error}; "
            "set in_place: never in its protocol and run again"
        ) from error
    if links is None:
        raise _gone(storage, name)
    return links


def _swap(made: Path, place: Path) -> None:
    old = made.with_suffix(".old.partial")
    with contextlib.suppress(FileNotFoundError):
        place.rename(old)
    made.rename(place)
    shutil.rmtree(old, ignore_errors=True)  # links alone


def check_links(storage: Storage, name: str, noted: Links) -> None:
    """Refuse a scan whose source is not what it was.

    Raises:
        StoreError: files are gone, or were changed.
    """
    if not storage.is_local:
        return
    found = _links(Path(storage.uri(name)) / FULL)
    if found is None:
        raise _gone(storage, name)
    if found["files"] and found != noted:  # without links, files were copied along
        raise StoreError(
            f"{storage.uri(name)}: lies in its source, which was changed since; run again to take it in anew"
        )


def _gone(storage: Storage, name: str) -> StoreError:
    return StoreError(
        f"{storage.uri(name)}: lies in its source, files of which are gone; put the source back where it was, "
        "or correct its path in the manifest and run again"
    )


def _links(level: Path) -> Links | None:
    """Note what links lead to; None where one leads to nothing."""
    facts: list[str] = []
    for folder, _, names in os.walk(level):
        for file in (Path(folder, name) for name in names):
            if file.is_symlink():
                try:
                    found = file.stat()
                except OSError:
                    return None
                own = file.relative_to(level).as_posix()
                facts.append(f"{own} {found.st_size} {found.st_mtime_ns}")
    digest = hashlib.sha256("\n".join(sorted(facts)).encode()).hexdigest()[:32]
    return {"files": len(facts), "digest": digest}
