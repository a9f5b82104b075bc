"""The phantoms whose answers docs/QUERIES.md shows: the demo's CT, PET/CT and micro-CT, and two broken files.

`python -m tests.docs.phantoms OUT` writes the cohort; `somray run OUT/cohort.yaml` runs it (some minutes). The CT
part is the demo's own, its truth told lesion by lesion.
"""

import csv
import sys
from pathlib import Path

import yaml

from somray.phantom.files.write import write_phantom

__all__ = ["main"]

PARTS = {
    "ct": {"subjects": 2, "sessions": 3, "shape": (24, 128, 128), "format": "dicom"},
    "petct": {"subjects": 3, "sessions": 2, "shape": (32, 96, 96), "format": "dicom"},
    "xct": {"subjects": 1, "sessions": 2, "shape": (48, 96, 96), "format": "nifti"},
}
SUBJECTS = {"ct": "s", "petct": "p", "xct": "x"}
COLUMNS = ("subject", "session", "protocol", "path", "channel", "days", "truth")


def main(argv: list[str]) -> int:
    """Write cohort.yaml and scans.csv over three phantoms into a folder."""
    out = Path(argv[0])
    rows, protocols = [], {}
    for modality, made in PARTS.items():
        config = write_phantom(out / modality, modality=modality, seed=0, **made)
        protocols |= yaml.safe_load(config.read_text())["protocols"]
        rows += _rows(out / modality, modality)
    rows += _broken(out, rows)
    with (out / "scans.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, restval="")
        writer.writeheader()
        writer.writerows(rows)
    cohort = {"scans": "scans.csv", "output": "run", "protocols": protocols}
    (out / "cohort.yaml").write_text(yaml.safe_dump(cohort))
    return 0


def _rows(folder: Path, modality: str) -> list[dict[str, str]]:
    """Return a phantom's rows as they stand in the whole cohort, truth told lesion by lesion."""
    rows = list(csv.DictReader((folder / "scans.csv").read_text().splitlines()))
    for row in rows:
        row["subject"] = SUBJECTS[modality] + row["subject"][1:]
        row["path"] = f"{modality}/{row['path']}"
        if row["truth"]:
            row["truth"] = f"{modality}/{row['truth'].replace('truth/', 'truth/identities/')}"
    return rows


def _broken(out: Path, rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """Return a scan that was copied in part and one that is the same as another."""
    first = next(row for row in rows if row["path"].endswith(".nii.gz") and row["channel"] == "XCT")
    (out / "cut.nii.gz").write_bytes((out / first["path"]).read_bytes()[:2000])
    bare = {**first, "truth": ""}
    return [{**bare, "subject": "x02", "path": "cut.nii.gz"}, {**bare, "subject": "x03"}]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
