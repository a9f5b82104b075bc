import dataclasses

import pandas as pd
import pyarrow.parquet as pq
import pytest

from somray.domain.tables import TABLES, FailureRow, SliceRow, field_specs
from somray.errors import SchemaError
from somray.io.storage import Storage
from somray.io.tables import (
    arrow_schema,
    read_table,
    row_to_plain,
    write_part,
)
from tests.compacted import compact

SLICE = SliceRow("s1", "t0", "som", 0, 3, 12.5, 0.25, None)


def _sample(table):
    """Make a row of any table, nulls wherever they may stand."""
    values = {
        "str": "x",
        "int": 1,
        "float": 0.5,
        "bool": True,
        "list[float]": [1.0],
        "list[int]": [2],
    }
    row = TABLES[table]
    return row(**{s.name: None if s.nullable else values[s.kind] for s in field_specs(row)})


@pytest.mark.parametrize("table", TABLES)
def test_every_row_type_survives_parquet_with_its_schema(table, tmp_path):
    storage = Storage.at(tmp_path)
    row = row_to_plain(_sample(table))
    compact(storage, table, "p", [row])
    compact(storage, table, "q", [])
    frame = pd.read_parquet(tmp_path / "tables" / table)
    names = [s.name for s in field_specs(TABLES[table])]
    assert list(frame.columns) == [*names, "protocol"]
    assert len(frame) == 1
    schema = pq.read_schema(tmp_path / f"tables/{table}/protocol=p/compacted.parquet")
    assert schema.equals(arrow_schema(table))
    assert schema.metadata[b"somray.schema_version"] == b"1"


def test_nan_becomes_null_and_is_refused_where_null_may_not_stand():
    assert row_to_plain(dataclasses.replace(SLICE, confidence=float("nan")))["confidence"] is None
    with pytest.raises(SchemaError, match=r"slices\.target_area_mm2 must not be null"):
        row_to_plain(dataclasses.replace(SLICE, target_area_mm2=float("nan")))


@pytest.mark.parametrize(("field", "value"), [("z", 1.5), ("z", True), ("method", 3)])
def test_a_value_of_the_wrong_type_is_refused(field, value):
    with pytest.raises(SchemaError, match=f"slices.{field}"):
        row_to_plain(dataclasses.replace(SLICE, **{field: value}))


def test_a_part_is_replaced_by_a_retry(tmp_path):
    storage = Storage.at(tmp_path)
    write_part(storage, "slices", "p", "u", [row_to_plain(SLICE)] * 2)
    write_part(storage, "slices", "p", "u", [row_to_plain(SLICE)])
    assert len(read_table(storage, "slices")) == 1
    write_part(storage, "slices", "p", "u", [])
    assert len(read_table(storage, "slices")) == 0


def test_compaction_sorts_and_its_bytes_do_not_depend_on_the_order_of_units(tmp_path):
    rows = [row_to_plain(dataclasses.replace(SLICE, z=z)) for z in range(5)]
    for name, order in (("a", rows), ("b", rows[::-1])):
        compact(Storage.at(tmp_path / name), "slices", "p", order)
    parts = [tmp_path / n / "tables/slices/protocol=p/compacted.parquet" for n in "ab"]
    assert parts[0].read_bytes() == parts[1].read_bytes()
    assert list(pd.read_parquet(parts[0])["z"]) == [0, 1, 2, 3, 4]


def test_compaction_removes_the_parts(tmp_path):
    storage = Storage.at(tmp_path)
    write_part(storage, "slices", "p", "u", [row_to_plain(SLICE)])
    compact(storage, "slices", "p", [row_to_plain(SLICE)])
    assert storage.names("tables/slices/protocol=p") == ["compacted.parquet"]


def test_filters_by_protocol_work(tmp_path):
    storage = Storage.at(tmp_path)
    for protocol, count in (("p", 1), ("q", 2)):
        compact(storage, "slices", protocol, [row_to_plain(SLICE)] * count)
    frame = pd.read_parquet(tmp_path / "tables/slices", filters=[("protocol", "=", "q")])
    assert len(frame) == 2


def test_nulls_sort_last_and_never_break_the_order(tmp_path):
    rows = [FailureRow(s, None, "ingest", "missing", "m", 1) for s in ("b", None, "a")]
    compact(Storage.at(tmp_path), "failures", "p", [row_to_plain(r) for r in rows])
    found = read_table(Storage.at(tmp_path), "failures")["subject"]
    assert list(found.iloc[:2]) == ["a", "b"]
    assert pd.isna(found.iloc[2])


def test_an_unknown_table_is_named(tmp_path):
    with pytest.raises(KeyError, match="no table 'slice'"):
        read_table(Storage.at(tmp_path), "slice")
