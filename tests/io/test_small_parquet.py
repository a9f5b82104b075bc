"""Parts written by hand against what pyarrow writes and reads."""

import io
import struct

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from somray.domain.tables import TABLES
from somray.io.small_parquet import SmallParquet, _frame
from somray.io.tables import arrow_schema

TEXTS = ("", "a", "ü–x", "a" * 300)
FLOATS = (0.0, -1.5, np.inf, 1e-300, 3.0)


def _cell(kind, nullable, rng):
    if nullable and rng.random() < 0.3:
        return None
    if pa.types.is_list(kind):
        wanted = rng.integers(0, 17)
        return [_cell(kind.value_type, rng.random() < 0.2, rng) for _ in range(wanted)]
    if kind == pa.string():
        return TEXTS[rng.integers(len(TEXTS))]
    if kind == pa.int64():
        return int(rng.integers(-(2**63), 2**63 - 1))
    return FLOATS[rng.integers(len(FLOATS))] if kind == pa.float64() else bool(rng.integers(2))


def _by_pyarrow(schema, rows):
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema), buffer, compression="zstd")
    return pq.read_table(buffer)


@pytest.mark.parametrize("table", TABLES)
def test_every_table_reads_as_pyarrow_would_have_written_it(table):
    schema, rng = arrow_schema(table), np.random.default_rng(3)
    for count in (1, 2, 7, 8, 9, 200):
        rows = [{f.name: _cell(f.type, f.nullable, rng) for f in schema} for _ in range(count)]
        found, wanted = SmallParquet(schema).pack(rows), _by_pyarrow(schema, rows)
        read = pq.read_table(io.BytesIO(found))
        assert read.schema.equals(wanted.schema, check_metadata=True)
        assert read.equals(wanted)
        pd.testing.assert_frame_equal(pd.read_parquet(io.BytesIO(found)), wanted.to_pandas())


def test_columns_without_any_value_and_long_texts_come_back():
    schema = pa.schema(
        [("none", pa.float64()), ("lists", pa.list_(pa.int64())), ("t", pa.string())]
    )
    rows = [{"none": None, "lists": None, "t": "x" * 300_000}, {"lists": [], "t": None}]
    read = pq.read_table(io.BytesIO(SmallParquet(schema).pack(rows)))
    assert read.to_pylist() == [{"none": None, **rows[0]}, {"none": None, **rows[1]}]


def test_parts_say_that_they_are_zstd():
    schema = pa.schema([("a", pa.int64()), ("b", pa.bool_())])
    group = pq.ParquetFile(io.BytesIO(SmallParquet(schema).pack([{"a": 1}]))).metadata.row_group(0)
    assert {group.column(n).compression for n in range(2)} == {"ZSTD"}


@pytest.mark.parametrize("size", [0, 1, 255, 256, 65791, 65792, 2**17, 2**17 + 1, 2**18])
def test_frames_are_zstd_for_any_reader(size):
    data = np.random.default_rng(0).bytes(size)
    found = pa.Codec("zstd").decompress(_frame(data), size)
    assert found.to_pybytes() == data


def test_a_value_that_does_not_fit_its_column_is_refused():
    schema = pa.schema([pa.field("a", pa.int64(), nullable=False)])
    for value in (None, "1", 1.5):
        with pytest.raises(struct.error):
            SmallParquet(schema).pack([{"a": value}])
