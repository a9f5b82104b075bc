"""docs/data-dictionary.md says what the code says."""

import re
from pathlib import Path

import pyarrow.parquet as pq

from jobs.write_schemas import data_dictionary_page
from somray.domain.tables import TABLES, DriftRow, field_specs
from somray.io.storage import Storage
from somray.io.tables import part_name, row_to_plain, write_part

PAGE = Path(__file__).parents[2] / "docs" / "data-dictionary.md"
CONTRACT = (
    "scans", "failures", "clusters", "slices", "areas", "agreement", "convergence", "training", "registration",
    "lesions", "evolution", "burden", "truth", "timings",
)  # fmt: skip


def test_the_page_equals_the_code():
    assert PAGE.read_text("utf-8") == data_dictionary_page(), "run `make schemas`"


def test_every_table_stands_once_with_all_its_columns_in_the_order_of_the_contract():
    parts = re.split(r"^## (\w+)$", PAGE.read_text("utf-8"), flags=re.MULTILINE)[1:]
    told = dict(zip(parts[::2], parts[1::2], strict=True))
    assert list(told) == list(TABLES)
    assert [name for name in told if name in CONTRACT] == list(CONTRACT)
    for name, text in told.items():
        assert re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE) == [
            spec.name for spec in field_specs(TABLES[name])
        ]
        assert text.strip().startswith("One row per ")


def test_no_cell_is_broken_by_a_bar_in_its_text():
    rows = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| `")]
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {6}


def test_a_parquet_file_carries_unit_and_meaning(tmp_path):
    storage = Storage.at(tmp_path)
    row = DriftRow("s01", "t0", "ok", 1.1, 0.02, "CT", "edge", 0.2, 0.98, None)
    write_part(storage, "drift", "chest-ct", "s01_t0", [row_to_plain(row)])
    column = pq.read_schema(tmp_path / part_name("drift", "chest-ct", "s01_t0")).field("shift")
    assert column.metadata[b"unit"] == b"std"
    assert b"standard deviations" in column.metadata[b"meaning"]
