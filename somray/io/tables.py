"""Parquet tables: one part per unit of work while a run goes on, one file per protocol when it is done.

Parts are written with the explicit schema of `domain/tables/`, never with an inferred one: pandas drops
a column that is missing from the first file without a word.

The type of the partition can be told nowhere on disk, and readers take it for a number where every folder's name is
one: protocol 001 would come back as 1. A part without rows in a folder of another name keeps it text.
"""

import math
import threading
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cache
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from somray.domain.run import RunLayout
from somray.domain.tables import SCHEMA_VERSION, TABLES, FieldSpec, Row, field_specs
from somray.errors import SchemaError, StoreError
from somray.io.storage import Storage

__all__ = [
    "COMPACTED",
    "TableRows",
    "arrow_schema",
    "compact",
    "data_dictionary",
    "part_name",
    "read_table",
    "remove_others",
    "row_to_plain",
    "write_part",
]

COMPACTED = "compacted"
_BATCH_ROWS = 20_000
_PACKING = threading.Lock()
"""Rows are packed by one thread at a time: it is the interpreter's work, and threads that fight for it are slower."""
_NOT_A_NUMBER = "_text"  # no protocol's name begins so
_ARROW: dict[str, pa.DataType] = {
    "str": pa.string(),
    "int": pa.int64(),
    "float": pa.float64(),
    "bool": pa.bool_(),
    "list[float]": pa.list_(pa.float64()),
    "list[int]": pa.list_(pa.int64()),
}
_PYTHON: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "float": (float, int),
    "bool": (bool,),
    "list[float]": (list, tuple),
    "list[int]": (list, tuple),
}


@cache
def arrow_schema(table: str) -> pa.Schema:
    """Return a table's Arrow schema, its version in the metadata."""
    specs = field_specs(TABLES[table])
    columns = [
        pa.field(s.name, _ARROW[s.kind], s.nullable, {"unit": s.unit, "meaning": s.meaning})
        for s in specs
    ]
    return pa.schema(columns, metadata={"somray.schema_version": SCHEMA_VERSION})


def data_dictionary() -> dict[str, Any]:
    """Return what `schemas/tables.v1.json` holds: every table and column with unit and meaning."""
    return {
        "schema_version": SCHEMA_VERSION,
        "partitioned_by": "protocol",
        "tables": {
            name: {
                "description": (row.__doc__ or "").strip(),
                "sorted_by": list(row.sort_by),
                "columns": [
                    {
                        "name": s.name,
                        "type": s.kind,
                        "nullable": s.nullable,
                        "unit": s.unit or None,
                        "meaning": s.meaning,
                    }
                    for s in field_specs(row)
                ],
            }
            for name, row in TABLES.items()
        },
    }


def _checked(spec: FieldSpec, value: object, table: str) -> object:
    """Return the value as Arrow takes it; NaN is null; anything else that does not fit is refused."""
    if isinstance(value, float) and math.isnan(value):
        value = None
    if value is None:
        if not spec.nullable:
            raise SchemaError(f"{table}.{spec.name} must not be null")
        return None
    if isinstance(value, bool) and spec.kind != "bool":
        raise SchemaError(f"{table}.{spec.name} must be {spec.kind}, got {value!r}")
    if not isinstance(value, _PYTHON[spec.kind]):
        raise SchemaError(f"{table}.{spec.name} must be {spec.kind}, got {value!r}")
    if spec.kind == "float":
        return float(value)  # type: ignore[arg-type]  # checked above
    return list(value) if isinstance(value, tuple) else value


def row_to_plain(row: Row) -> dict[str, object]:
    """Check a row against its schema and return it as plain JSON-able values.

    Raises:
        SchemaError: a value has the wrong type, or a null stands where none may.
    """
    return {s.name: _checked(s, getattr(row, s.name), row.table) for s in _specs(row.table)}


@cache
def _specs(table: str) -> Sequence[FieldSpec]:
    return field_specs(TABLES[table])


def write_part(
    storage: Storage, table: str, protocol: str, part: str, rows: Iterable[Mapping[str, object]]
) -> None:
    """Write rows as one sorted part, replacing an earlier try's; it exists even without rows."""
    with _PACKING:
        ordered = sorted(rows, key=lambda row: _order(table, row))
        data = pa.Table.from_pylist(ordered, arrow_schema(table))
    _write(storage, table, protocol, part, data)


def _write(storage: Storage, table: str, protocol: str, part: str, data: pa.Table) -> None:
    """Write a file; a part, small and soon replaced, without what only large files gain by."""
    buffer, whole = pa.BufferOutputStream(), part == COMPACTED
    pq.write_table(data, buffer, compression="zstd", use_dictionary=whole, write_statistics=whole)
    if protocol.isdigit() and not storage.exists(part_name(table, _NOT_A_NUMBER, COMPACTED)):
        write_part(storage, table, _NOT_A_NUMBER, COMPACTED, ())
    storage.write_bytes(part_name(table, protocol, part), buffer.getvalue().to_pybytes())


def part_name(table: str, protocol: str, part: str) -> str:
    """Return the file of a part inside the run."""
    return f"{RunLayout.partition(table, protocol)}/{part}.parquet"


def _order(table: str, row: Mapping[str, object]) -> tuple[tuple[bool, object], ...]:
    return tuple(
        (row[c] is None, row[c] if row[c] is not None else 0) for c in TABLES[table].sort_by
    )


class TableRows:
    """Rows of one table on their way into one sorted file, held in columns: a tenth of what they take as rows.

    Args:
        table: whose rows.
    """

    def __init__(self, table: str) -> None:
        self.table = table
        self._rows: list[Mapping[str, object]] = []
        self._batches: list[pa.RecordBatch] = []

    def add(self, rows: Iterable[Mapping[str, object]]) -> None:
        """Take plain rows."""
        self._rows += rows
        if len(self._rows) >= _BATCH_ROWS:
            self._pack()

    def _pack(self) -> None:
        schema = arrow_schema(self.table)
        self._batches.append(pa.RecordBatch.from_pylist(self._rows, schema=schema))
        self._rows = []

    def ordered(self) -> pa.Table:
        """Return all of them in the table's order, nulls last."""
        self._pack()
        data = pa.Table.from_batches(self._batches, schema=arrow_schema(self.table))
        keys = [(column, "ascending", "at_end") for column in TABLES[self.table].sort_by]
        order = pc.sort_indices(data, sort_keys=keys)
        return data.take(order).combine_chunks()


def compact(storage: Storage, protocol: str, rows: TableRows) -> None:
    """Replace all parts of one protocol by one sorted file; it exists even without rows."""
    folder = RunLayout.partition(rows.table, protocol)
    for name in storage.names(folder):
        if name != f"{COMPACTED}.parquet":
            storage.remove(f"{folder}/{name}")
    _write(storage, rows.table, protocol, COMPACTED, rows.ordered())


def remove_others(storage: Storage, table: str, protocols: Collection[str]) -> None:
    """Remove what a table holds of protocols that are not named."""
    kept = {*protocols, *((_NOT_A_NUMBER,) if any(p.isdigit() for p in protocols) else ())}
    for folder in storage.names(RunLayout.table(table)):
        if folder.removeprefix("protocol=") not in kept:
            storage.remove(f"{RunLayout.table(table)}/{folder}")


def read_table(storage: Storage, table: str) -> pd.DataFrame:
    """Read one table of a run; without any row it still has every column and `protocol`.

    Raises:
        KeyError: there is no such table.
        StoreError: a part is damaged.
    """
    if table not in TABLES:
        raise KeyError(f"no table {table!r}; known: {', '.join(TABLES)}")
    folder = RunLayout.table(table)
    if not any(storage.names(f"{folder}/{p}") for p in storage.names(folder)):
        empty = arrow_schema(table).empty_table().to_pandas()
        return pd.DataFrame(empty.assign(protocol=pd.Categorical([])))
    try:
        return pd.DataFrame(pd.read_parquet(storage.uri(folder)))
    except pa.ArrowInvalid as error:
        raise StoreError(
            f"{storage.uri(folder)}: a file in it is damaged; copy it again, or run the cohort anew ({error})"
        ) from error
