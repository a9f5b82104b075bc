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


def main(argv: list[str]) -> int:
    """Write them into a folder, `schemas` where none is named."""
    folder = Path(argv[0] if argv else "schemas")
    if not argv:
        Path("docs/quality-gate.md").write_text(quality_gate(), encoding="utf-8")
    for name, schema in schemas().items():
        text = json.dumps(schema, indent=1, ensure_ascii=False)
        (folder / name).write_text(text + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
