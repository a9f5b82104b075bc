"""A few rows as a Parquet file, byte by byte: a unit leaves a row or two, and a library takes six times as long.

One row group, one page a column, plain values. Pages are zstd frames that hold their bytes as they are: a context
of the compressor costs more than the few hundred bytes of a page could gain. Readers see a file like any other.

Sources: parquet.apache.org/docs/file-format (parquet.thrift, encodings), Thrift's compact protocol, RFC 8878 (zstd).
"""

import base64
import functools
import itertools
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

__all__ = ["SmallParquet"]

_MAGIC = b"PAR1"
_BOOLEAN, _INT64, _DOUBLE, _BYTES = 0, 2, 5, 6  # Type
_REQUIRED, _OPTIONAL, _REPEATED = 0, 1, 2  # FieldRepetitionType
_UTF8, _LIST = 0, 3  # ConvertedType
_PLAIN, _RLE = 0, 3  # Encoding
_ZSTD = 6  # CompressionCodec
_ONE_BYTE, _TWO_BYTES = (
    256,
    65792,
)  # contents that a zstd frame counts in so many bytes, the latter from 256 on
_MOST_RAW = 2**17  # bytes of one block of zstd

Values = Sequence[Any]  # Any: cells of a column, checked by `tables.row_to_plain`


@functools.lru_cache(4096)
def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)


# -- Thrift's compact protocol: a field is its distance to the last one and its type, then its value ----------------


def _whole(number: int) -> tuple[int, bytes]:
    return 5, _varint(
        number << 1
    )  # i32 and i64 look alike but for their type; readers of Parquet take either


def _long(number: int) -> tuple[int, bytes]:
    return 6, _varint(number << 1)


def _text(data: bytes) -> tuple[int, bytes]:
    return 8, _varint(len(data)) + data


def _many(items: Sequence[tuple[int, bytes]]) -> tuple[int, bytes]:
    count, kind = len(items), items[0][0]
    head = bytes([count << 4 | kind]) if count < 15 else bytes([0xF0 | kind]) + _varint(count)
    return 9, head + b"".join(data for _, data in items)


def _record(fields: Mapping[int, tuple[int, bytes]]) -> tuple[int, bytes]:
    last, found = 0, []
    for number, (kind, data) in fields.items():
        found.append(bytes([(number - last) << 4 | kind]) + data)
        last = number
    return 12, b"".join(found) + b"\0"


# -- pages ------------------------------------------------------------------------------------------------------------


def _packed(values: Sequence[int], width: int) -> bytes:
    """Pack small numbers, the first into the lowest bits, eights of them filled up."""
    digits = "".join(format(value, f"0{width}b") for value in reversed(values))
    return int(digits or "0", 2).to_bytes(-(-len(values) // 8) * width, "little")


def _levels(values: Sequence[int], width: int) -> bytes:
    """Encode definition or repetition levels: one run where they are all the same, else packed bits."""
    if len(set(values)) == 1:
        run = _varint(len(values) << 1) + bytes([values[0]])
    else:
        run = _varint(-(-len(values) // 8) << 1 | 1) + _packed(values, width)
    return struct.pack("<I", len(run)) + run


def _texts(values: Values) -> bytes:
    coded = [value.encode() for value in values]
    return b"".join(itertools.chain.from_iterable((struct.pack("<I", len(c)), c) for c in coded))


_ENCODED: Mapping[int, Callable[[Values], bytes]] = {
    _BOOLEAN: lambda values: _packed([int(value) for value in values], 1),
    _INT64: lambda values: struct.pack(f"<{len(values)}q", *values),
    _DOUBLE: lambda values: struct.pack(f"<{len(values)}d", *values),
    _BYTES: _texts,
}


def _frame(data: bytes) -> bytes:
    """Wrap bytes into a frame of zstd, as they are."""
    size = len(data)
    if size < _ONE_BYTE:
        head = bytes([0x20, size])
    elif size < _TWO_BYTES:
        head = b"\x60" + struct.pack("<H", size - _ONE_BYTE)
    else:
        head = b"\xa0" + struct.pack("<I", size)
    blocks = []
    for start in range(0, max(size, 1), _MOST_RAW):
        block = data[start : start + _MOST_RAW]
        is_last = start + _MOST_RAW >= size
        blocks.append(struct.pack("<I", len(block) << 3 | is_last)[:3] + block)
    return b"\x28\xb5\x2f\xfd" + head + b"".join(blocks)


@dataclass(frozen=True)
class _Column:
    """How one column is written."""

    name: str
    kind: int
    nullable: bool
    is_list: bool

    @classmethod
    def of(cls, field: pa.Field) -> "_Column":
        is_list = pa.types.is_list(field.type)
        kinds = {
            pa.bool_(): _BOOLEAN,
            pa.int64(): _INT64,
            pa.float64(): _DOUBLE,
            pa.string(): _BYTES,
        }
        kind = kinds[field.type.value_type if is_list else field.type]
        return cls(field.name, kind, field.nullable, is_list)

    @property
    def path(self) -> tuple[bytes, ...]:
        own = self.name.encode()
        return (own, b"list", b"element") if self.is_list else (own,)

    def elements(self) -> list[tuple[int, bytes]]:
        """Return the column's part of the schema, as Arrow writes it."""
        repetition = _whole(_OPTIONAL if self.nullable else _REQUIRED)
        own = _text(self.name.encode())
        if not self.is_list:
            return [_record({1: _whole(self.kind), 3: repetition, 4: own, **self._text()})]
        return [
            _record({3: repetition, 4: own, 5: _whole(1), 6: _whole(_LIST), 10: _record({3: _record({})})}),
            _record({3: _whole(_REPEATED), 4: _text(b"list"), 5: _whole(1)}),
            _record({1: _whole(self.kind), 3: _whole(_OPTIONAL), 4: _text(b"element"), **self._text()}),
        ]  # fmt: skip

    def _text(self) -> dict[int, tuple[int, bytes]]:
        is_text = self.kind == _BYTES
        return {6: _whole(_UTF8), 10: _record({1: _record({})})} if is_text else {}

    def page(self, cells: Values) -> tuple[int, bytes]:
        """Return how many values a page holds, nulls among them, and its bytes."""
        if self.is_list:
            return self._lists(cells)
        if not self.nullable:
            return len(cells), _ENCODED[self.kind](cells)
        there = [cell for cell in cells if cell is not None]
        levels = _levels([int(cell is not None) for cell in cells], 1)
        return len(cells), levels + _ENCODED[self.kind](there)

    @staticmethod
    def page_head(count: int, raw: int, packed: int) -> bytes:
        """Say of a page how many values it holds, and its bytes as they are and in the file."""
        sizes = _varint(raw << 1), _varint(packed << 1), _varint(count << 1)
        return b"\x15\0\x15%b\x15%b\x2c\x15%b\x15\0\x15\6\x15\6\0\0" % sizes

    @functools.cached_property
    def _described(self) -> bytes:
        coding = _many([_whole(_PLAIN), _whole(_RLE)])
        path = _many([_text(name) for name in self.path])
        return _record({1: _whole(self.kind), 2: coding, 3: path, 4: _whole(_ZSTD)})[1][:-1]

    def chunk(self, place: int, sizes: tuple[int, int, int]) -> bytes:
        """Say where the column's page lies, how many values it holds, and its bytes as they are and in the file."""
        where = _varint(place << 1)
        told = *(_varint(size << 1) for size in sizes), where
        return b"\x26%b\x1c%b\x16%b\x16%b\x16%b\x26%b\0\0" % (where, self._described, *told)

    def _lists(self, cells: Values) -> tuple[int, bytes]:
        """Encode lists: how deep each value is defined (null, empty, an empty place, there), and where lists begin."""
        depth = int(self.nullable)
        repeated: list[int] = []
        defined: list[int] = []
        there: list[Any] = []  # Any: see Values
        for cell in cells:
            repeated += [0, *[1] * (len(cell or ()) - 1)]
            if not cell:
                defined.append(0 if cell is None else depth)
                continue
            defined += [depth + (1 if value is None else 2) for value in cell]
            there += [value for value in cell if value is not None]
        levels = _levels(repeated, 1) + _levels(defined, 2)
        return len(defined), levels + _ENCODED[self.kind](there)


class SmallParquet:
    """Writes rows of one schema of texts, whole numbers, floats, booleans and lists of them.

    Args:
        schema: with what is told of it.
    """

    def __init__(self, schema: pa.Schema) -> None:
        self._columns = [_Column.of(field) for field in schema]
        root = _record({4: _text(b"schema"), 5: _whole(len(self._columns))})
        elements = [root, *(e for column in self._columns for e in column.elements())]
        told = dict(schema.metadata or {})
        told[b"ARROW:schema"] = base64.b64encode(schema.serialize().to_pybytes())
        pairs = [_record({1: _text(key), 2: _text(value)}) for key, value in told.items()]
        self._schema, self._told = _many(elements), _many(pairs)

    def pack(self, rows: Iterable[Mapping[str, object]]) -> bytes:
        """Return a file with at least one row.

        Raises:
            struct.error: a value does not fit its column.
        """
        held = list(rows)
        parts, chunks, place = [_MAGIC], [], len(_MAGIC)
        for column in self._columns:
            count, raw = column.page([row.get(column.name) for row in held])
            data = _frame(raw)
            head = column.page_head(count, len(raw), len(data))
            parts += (head, data)
            sizes = count, len(head) + len(raw), len(head) + len(data)
            chunks.append((12, column.chunk(place, sizes)))
            place += sizes[2]
        group = _record({1: _many(chunks), 2: _long(place - len(_MAGIC)), 3: _long(len(held))})
        facts = {1: _whole(2), 2: self._schema, 3: _long(len(held)), 4: _many([group])}
        _, footer = _record({**facts, 5: self._told, 6: _text(b"somray")})
        return b"".join((*parts, footer, struct.pack("<I", len(footer)), _MAGIC))
