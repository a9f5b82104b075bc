"""Write schemas/ from the code; a test fails when they differ."""

import json
import sys
from pathlib import Path
from typing import Any

from somray.config import CohortConfig
from somray.errors import QUARANTINE_CODES
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
        "tables.v1.json": {**data_dictionary(), "codes": QUARANTINE_CODES},
    }


def main(argv: list[str]) -> int:
    """Write them into a folder, `schemas` where none is named."""
    folder = Path(argv[0] if argv else "schemas")
    for name, schema in schemas().items():
        text = json.dumps(schema, indent=1, ensure_ascii=False)
        (folder / name).write_text(text + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
