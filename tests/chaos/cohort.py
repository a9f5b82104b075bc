"""The cohort that storms are let loose on: every stage of a run, in a minute."""

import csv

import yaml

from somray.phantom.files.write import write_phantom
from tests.pipeline.tiny import QUICK, body, save

__all__ = ["write_cohort"]

STUDENT = {"rounds": 2, "steps": 6, "threads": 1}


def write_cohort(folder, subjects=2):
    """Write subjects of two sessions with a student, and three scans of a protocol without one."""
    shape = 12, 48, 48
    write_phantom(
        folder, subjects=subjects, sessions=2, shape=shape, modality="ct", format="nifti", seed=3
    )
    rows = list(csv.DictReader((folder / "scans.csv").read_text().splitlines()))
    for number in range(3):
        save(folder / f"plain{number}.nii.gz", body(seed=number))
        own = {"subject": f"plain{number}", "session": "t0", "protocol": "plain"}
        rows.append({**dict.fromkeys(rows[0], ""), **own, "path": f"plain{number}.nii.gz"})
    with (folder / "scans.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    config = yaml.safe_load((folder / "cohort.yaml").read_text())
    for protocol in config["protocols"].values():
        protocol["student"] = STUDENT
    config["protocols"]["plain"] = {**QUICK, "registration": {"pairs": ["slices"]}}
    (folder / "cohort.yaml").write_text(yaml.safe_dump(config))
