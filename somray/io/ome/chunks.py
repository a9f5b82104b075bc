"""Boxes of a stored array read without zarr's machinery: what zarr gives, at a fraction of its time.

zarr hands every opening, index and chunk from task to thread and back, some milliseconds a read: a third of what a
run of small scans took. Here one file is opened and its chunks are unpacked one after another. What is not as this
package writes it (another codec, a URL, a damaged file, a link that leads to nothing) is left to zarr, which reads
it or says what is wrong. Source: Zarr v3, "sharding-indexed" codec, version 1.0.
"""

import itertools
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import google_crc32c
import numpy as np
from numcodecs.blosc import decompress  # type: ignore[import-untyped]
from numpy.typing import NDArray

from somray.errors import StoreError
from somray.io.ome.arrays import open_level
from somray.io.ome.shards import ABSENT, Shape, ShardLayout, layout_of
from somray.io.storage import Storage

__all__ = ["StoredLevel"]

_CHECKSUM_BYTES = 4  # after the index
Spans = tuple[tuple[int, int], ...]  # first and last (excluded) along each axis


class _LeftToZarrError(Exception):
    """What this module does not read."""


class StoredLevel:
    """One array of a scan, to be read by boxes.

    Args:
        storage: where the run lies.
        scan_name: the scan's group.
        path: of the array in it, e.g. "0" or "labels/som/0".

    Raises:
        StoreError: there is none, or it cannot be read.
    """

    def __init__(self, storage: Storage, scan_name: str, path: str) -> None:
        self._named = storage, scan_name, path
        self._place = storage.uri(f"{scan_name}/{path}")
        self._layout = None
        if storage.is_local:
            try:
                self._layout = layout_of(storage.read_bytes(f"{scan_name}/{path}/zarr.json"))
            except (OSError, StoreError):
                self._layout = None
        self._array = open_level(*self._named) if self._layout is None else None
        told: Any = self._array if self._layout is None else self._layout  # Any: has both
        self.shape: Shape = tuple(told.shape)
        self.dtype: np.dtype[Any] = np.dtype(told.dtype)

    def __getitem__(self, key: int | slice | tuple[int | slice, ...]) -> NDArray[Any]:
        """Read a box: a number or a slice for each of the first axes, all of the rest.

        Raises:
            StoreError, OSError, KeyError, ValueError, IndexError: as zarr does.
        """
        asked = key if isinstance(key, tuple) else (key,)
        try:
            return self._read(asked)
        except (_LeftToZarrError, OSError, ValueError, RuntimeError):
            array = open_level(*self._named) if self._array is None else self._array
            return np.asarray(array[key])

    def _read(self, asked: tuple[int | slice, ...]) -> NDArray[Any]:
        layout = self._layout
        if layout is None or len(asked) > len(layout.shape):
            raise _LeftToZarrError
        rest = (slice(None),) * (len(layout.shape) - len(asked))
        box = tuple(_span(k, n) for k, n in zip((*asked, *rest), layout.shape, strict=True))
        found = np.empty([b - a for a, b in box], layout.dtype)
        for number in _touched(box, layout.shard):
            for corner, chunk in self._chunks(layout, number, box):
                ends = zip(corner, layout.chunk, box, strict=True)
                shared = [(max(c, a), min(c + n, b)) for c, n, (a, b) in ends]
                here = (slice(a - c, b - c) for (a, b), (c, _) in zip(shared, box, strict=True))
                there = (slice(a - c, b - c) for (a, b), c in zip(shared, corner, strict=True))
                whole = layout.fill if chunk is None else chunk[tuple(there)]
                found[tuple(here)] = whole
        return np.asarray(found[tuple(slice(None) if isinstance(k, slice) else 0 for k in asked)])

    def _chunks(
        self, layout: ShardLayout, number: Shape, box: Spans
    ) -> Iterator[tuple[Shape, NDArray[Any] | None]]:
        """Unpack the chunks of a shard that a box touches, each with its corner; None for fill value alone."""
        start = tuple(n * s for n, s in zip(number, layout.shard, strict=True))
        ends = zip(box, start, layout.shard, strict=True)
        within = tuple((max(a - c, 0), min(b - c, n)) for (a, b), c, n in ends)
        with self._opened(number) as file:
            index = None if file is None else _index(file, layout)
            for place in _touched(within, layout.chunk):
                chunk = None
                if file is not None and index is not None and index[place][0] != ABSENT:
                    offset, length = map(int, index[place])
                    data = decompress(os.pread(file, length, offset))
                    chunk = np.frombuffer(data, layout.dtype).reshape(layout.chunk)
                corner = zip(start, place, layout.chunk, strict=True)
                yield tuple(c + p * n for c, p, n in corner), chunk

    @contextmanager
    def _opened(self, number: Shape) -> Iterator[int | None]:
        """Open a shard's file; None where there is none, as for one of nothing but fill value."""
        path = f"{self._place}/c/{'/'.join(map(str, number))}"
        try:
            file = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            if os.path.islink(path):
                raise
            yield None
            return
        try:
            yield file
        finally:
            os.close(file)


def _index(file: int, layout: ShardLayout) -> NDArray[np.uint64]:
    """Read where the chunks of a shard lie in its file: offset and length, by the chunk's place."""
    size = 16 * math.prod(layout.counts)
    told = os.pread(file, size + _CHECKSUM_BYTES, os.fstat(file).st_size - size - _CHECKSUM_BYTES)
    if google_crc32c.value(told[:size]) != int.from_bytes(told[size:], "little"):
        raise _LeftToZarrError
    return np.frombuffer(told[:size], "<u8").reshape(*layout.counts, 2)


def _span(key: int | slice, size: int) -> tuple[int, int]:
    """Return first and last (excluded) of what is asked along an axis."""
    if isinstance(key, slice):
        first, stop, step = key.indices(size)
        if step == 1:
            return first, max(first, stop)
    elif 0 <= key < size:
        return int(key), int(key) + 1
    raise _LeftToZarrError


def _touched(box: Spans, parts: Shape) -> Iterator[Shape]:
    """Number the parts of a grid that a box touches."""
    ends = zip(box, parts, strict=True)
    return itertools.product(*(range(a // n, -(-b // n)) for (a, b), n in ends))
