"""Chunks of a zarr array as they lie in its store: whole, and named as its metadata says.

zarr takes a chunk that it does not find for one of nothing but the fill value, and Blosc unpacks what it stored
plain without asking how many bytes there are. So an array whose chunks are named in another way would be read as
zeros, and a chunk that was cut short as whatever lies behind it in memory.
"""

import itertools
import math
import os
import re
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from zarr.abc.store import ByteRequest, RangeByteRequest
from zarr.core.buffer import Buffer, BufferPrototype
from zarr.core.sync import sync
from zarr.storage import FsspecStore, LocalStore, WrapperStore

__all__ = ["CutChunkError", "WholeChunks", "absent_chunks", "foreign_chunk", "is_blosc"]

_HEAD = 16  # bytes of Blosc's header; the last four are the size of the whole
_METADATA = ("zarr.json", ".zarray", ".zgroup", ".zattrs", ".zmetadata")
_MOST_LOOKED_AT = 1000  # names
_MOST_LISTED = 200_000  # chunks of an array that are looked for one by one


class CutChunkError(Exception):
    """A chunk ends before its last byte; the message is its key."""


class WholeChunks(WrapperStore[Any]):  # Any: one of zarr's stores
    """A store that gives chunks whole or not at all.

    Attributes:
        packed: prefix of the keys whose values are packed by Blosc; None where none are.

    Raises:
        CutChunkError: instead of a part.
    """

    packed: str | None = None

    @property
    def inner(self) -> Any:  # Any: one of zarr's stores
        """The store that holds the chunks."""
        return self._store

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """Return a value, or a part of one."""
        found = await super().get(key, prototype, byte_range)
        if found is not None and self._promised(key, found, byte_range) > len(found):
            raise CutChunkError(key)
        return found

    def _promised(self, key: str, found: Buffer, asked: ByteRequest | None) -> int:
        """Return the bytes that a value must have, as far as that is known."""
        if isinstance(asked, RangeByteRequest):
            return asked.end - asked.start
        is_packed = self.packed is not None and key.startswith(self.packed)
        if asked is not None or not is_packed or key.endswith(_METADATA):
            return 0
        head = found[:_HEAD].to_bytes()
        return int(struct.unpack_from("<I", head, 12)[0]) if len(head) == _HEAD else _HEAD


def is_blosc(array: Any) -> bool:  # Any: zarr's arrays
    """Whether what lies under the key of a chunk is packed by Blosc, last of all."""
    if array.metadata.zarr_format == 2:
        return getattr(array.metadata.compressor, "codec_id", "") == "blosc"
    codecs = array.metadata.codecs
    return bool(codecs) and type(codecs[-1]).__name__ == "BloscCodec"


def foreign_chunk(array: Any) -> str | None:  # Any: zarr's arrays
    """Name a chunk on a disk of this machine that zarr would not find; None where it finds one, or there is none."""
    store = array.store.inner
    if not isinstance(store, LocalStore):
        return None
    foreign = None
    for key in itertools.islice(_keys(Path(store.root, str(array.path))), _MOST_LOOKED_AT):
        numbers = [int(n) for n in re.findall(r"\d+", key)]
        if len(numbers) != array.ndim:
            continue
        if array.metadata.encode_chunk_key(tuple(numbers)) == key:
            return None
        foreign = key
    return foreign


def absent_chunks(array: Any, within: Mapping[int, int]) -> tuple[int, int]:  # Any: zarr's arrays
    """Count the chunks, or shards, that an array's metadata promise and that its store does not hold.

    Args:
        array: that is read.
        within: index that is read of an axis, where one is read alone.

    Returns:
        Absent ones, and all; none and none where the store cannot list them, or they are too many.
    """
    size = array.shards or array.chunks
    counts = [-(-n // step) for n, step in zip(array.shape, size, strict=True)]
    ranges = [range(n) for n in counts]
    for axis, index in within.items():
        ranges[axis] = range(index // size[axis], index // size[axis] + 1)
    total = math.prod(map(len, ranges))
    store = array.store.inner
    is_web = isinstance(store, FsspecStore) and not {"http", "https"}.isdisjoint(_protocols(store))
    if math.prod(counts) > _MOST_LISTED or is_web or not store.supports_listing:
        return 0, 0
    prefix = f"{array.path}/" if array.path else ""
    held = sync(_listed(store, prefix))
    asked = (array.metadata.encode_chunk_key(where) for where in itertools.product(*ranges))
    return sum(f"{prefix}{key}" not in held for key in asked), total


async def _listed(store: Any, prefix: str) -> set[str]:  # Any: one of zarr's stores
    return {key async for key in store.list_prefix(prefix)}


def _protocols(store: FsspecStore) -> tuple[str, ...]:
    named = store.fs.protocol
    return (named,) if isinstance(named, str) else tuple(named)


def _keys(folder: Path) -> Iterator[str]:
    """Yield the names of the files of an array but its metadata."""
    for place, _, names in os.walk(folder):
        for name in names:
            if name not in _METADATA:
                yield Path(place, name).relative_to(folder).as_posix()
