"""Write the scans.csv and cohort.yaml that `somray init` proposes."""

import csv
import io
from pathlib import Path
from typing import Any

import yaml

from somray.errors import ConfigError
from somray.io.cohort.discover import propose
from somray.io.storage import Storage

__all__ = ["propose_cohort"]

_COLUMNS = ("subject", "session", "protocol", "channel", "path", "days", "truth")


def propose_cohort(paths: list[Path], out: Path) -> dict[str, Any]:
    """Look at files and folders and write a first manifest and configuration.

    Raises:
        ConfigError: nothing readable was found, or the files to be written exist.
    """
    for path in paths:
        if not path.exists():
            raise ConfigError(f"{path}: does not exist")
    folder = Storage.at(out)
    for name in ("scans.csv", "cohort.yaml"):
        if folder.exists(name):
            raise ConfigError(f"{out / name}: exists already; choose another --out or remove it")
    found = propose(paths)
    if not found.rows:
        raise ConfigError("no scan that somray can read was found in " + ", ".join(map(str, paths)))
    text = io.StringIO()
    writer = csv.DictWriter(text, _COLUMNS, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(found.rows)
    folder.write_text("scans.csv", text.getvalue())
    config = {"scans": "scans.csv", "output": "run", "protocols": found.protocols}
    folder.write_text("cohort.yaml", yaml.safe_dump(config, sort_keys=False, allow_unicode=True))
    return {
        "cohort": str(out / "cohort.yaml"),
        "manifest": str(out / "scans.csv"),
        "rows": len(found.rows),
        "notes": list(found.notes),
    }
