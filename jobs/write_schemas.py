"""Write schemas/ from the code; a test fails when they differ."""

import json
import sys
from pathlib import Path
from typing import Any

from somray.config import CohortConfig
from somray.domain.repairs import REPAIRS
from somray.errors import QUARANTINE_CODES, REMEDIES
from somray.io.cohort.manifest import COLUMNS
from somray.io.tables import data_dictionary

__all__ = ["main", "schemas"]


def schemas() -> dict[str, dict[str, Any]]:
    """Return every file of schemas/ by name."""
    return {
        "cohort.v1.json": {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "$id": "cohort.v1.json",
            **CohortConfig.model_json_schema(),
        },
        "scans.v1.json": {"columns": COLUMNS},
        "tables.v1.json": {**data_dictionary(), "codes": QUARANTINE_CODES, "repairs": REPAIRS},
    }


def quality_gate() -> str:
    """Return docs/quality-gate.md: every code with what it means and what to do."""
    codes = [f"| `{code}` | {what} | {REMEDIES[code]} |" for code, what in QUARANTINE_CODES.items()]
    repairs = [f"| `{code}` | {what} |" for code, what in REPAIRS.items()]
    return "\n".join(
        [
            "# The quality gate",
            "",
            "Written by `make schemas` from the code. A scan with one of these codes is quarantined, or a unit failed; "
            "`failures.message` says what, where and what to do. The rest of the cohort goes on.",
            "",
            "| code | means | do |",
            "| --- | --- | --- |",
            *codes,
            "",
            "## Repairs",
            "",
            "These stand in `scans.repairs`; the scan is used.",
            "",
            "| code | means |",
            "| --- | --- |",
            *repairs,
            "",
        ]
    )


def data_dictionary_page() -> str:
    """Return docs/data-dictionary.md: every table and column of a run, in the contract's order."""
    tables = data_dictionary()["tables"]
    return "\n".join(
        [
            "# The data dictionary",
            "",
            "Written by `make schemas` from the code; `schemas/tables.v1.json` says the same to programs, and every "
            "Parquet file carries unit and meaning as metadata of its columns. Questions and answers: "
            "[QUERIES.md](QUERIES.md).",
            "",
            "A table lies in `RUN/tables/TABLE/protocol=P/*.parquet`. `protocol` is a column of every table for "
            "readers that know Hive partitions; it does not stand in the files. `int` and `float` are of 64 bits. "
            "**null** says that a column may be null: a figure that does not exist is null, never 0. Whole numbers "
            "that may be null come to pandas as floats. Unit 1 is a bare ratio, no unit a name or a count.",
            "",
            "| table | holds |",
            "| --- | --- |",
            *(f"| [`{name}`](#{name}) | {_first_line(table)} |" for name, table in tables.items()),
            "",
            *(line for name, table in tables.items() for line in _table_lines(name, table)),
        ]
    )


def _first_line(table: dict[str, Any]) -> str:
    return str(table["description"]).splitlines()[0]


def _table_lines(name: str, table: dict[str, Any]) -> list[str]:
    """Return one table's part of the page."""
    paragraphs = " ".join(str(table["description"]).split("\n\n", 1)[1:])
    rows = [
        f"| `{column['name']}` | {column['type']} | {column['unit'] or ''} "
        f"| {'null' if column['nullable'] else ''} | {_cell(column['meaning'])} |"
        for column in table["columns"]
    ]
    return [
        f"## {name}",
        "",
        _first_line(table),
        *(["", " ".join(paragraphs.split())] if paragraphs else []),
        "",
        f"Sorted by {', '.join(f'`{column}`' for column in table['sorted_by'])}.",
        "",
        "| column | type | unit | null | meaning |",
        "| --- | --- | --- | --- | --- |",
        *rows,
        "",
    ]


def _cell(text: str) -> str:
    """Return a text as it may stand in a cell: a bar would end it."""
    return text.replace("|", "\\|")


def main(argv: list[str]) -> int:
    """Write them into a folder, `schemas` where none is named."""
    folder = Path(argv[0] if argv else "schemas")
    if not argv:
        Path("docs/quality-gate.md").write_text(quality_gate(), encoding="utf-8")
        page = data_dictionary_page()
        Path("docs/data-dictionary.md").write_text(page, encoding="utf-8")
    for name, schema in schemas().items():
        text = json.dumps(schema, indent=1, ensure_ascii=False)
        (folder / name).write_text(text + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
