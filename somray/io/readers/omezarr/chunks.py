"""Chunks of a zarr array as they lie in its store: whole, and named as its metadata says.

zarr takes a chunk that it does not find for one of nothing but the fill value, and Blosc unpacks what it stored
plain without asking how many bytes there are. So an array whose chunks are named in another way would be read as
zeros, and a chunk that was cut short as whatever lies behind it in memory.
"""

import itertools
import os
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from zarr.abc.store import ByteRequest, RangeByteRequest
from zarr.core.buffer import Buffer, BufferPrototype
from zarr.storage import LocalStore, WrapperStore

__all__ = ["CutChunkError", "WholeChunks", "foreign_chunk", "is_blosc"]

_HEAD = 16  # bytes of Blosc's header; the last four are the size of the whole
_METADATA = ("zarr.json", ".zarray", ".zgroup", ".zattrs", ".zmetadata")
_MOST_LOOKED_AT = 1000  # names


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


def _keys(folder: Path) -> Iterator[str]:
    """Yield the names of the files of an array but its metadata."""
    for place, _, names in os.walk(folder):
        for name in names:
            if name not in _METADATA:
                yield Path(place, name).relative_to(folder).as_posix()
