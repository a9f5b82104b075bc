"""Cohorts of tiny NIfTI scans with one bright lesion each, run in this process by direct transfer alone."""

import csv
from pathlib import Path

import nibabel as nib
import numpy as np
import yaml

from somray.commands.launch import load_cohort
from somray.pipeline.cohort import run_cohort
from somray.runtime.serial import SerialExecutor

QUICK = {"modality": "CT", "segment": "som", "registration": {"pairs": []}}


def body(shape=(8, 32, 32), seed=0, radius=4.0):
    """Draw air, a body and a bright lesion with noise: (z, y, x) int16 in HU, without any symmetry."""
    rng = np.random.default_rng(seed)
    z, y, x = np.mgrid[: shape[0], : shape[1], : shape[2]]
    volume = np.full(shape, -1000.0)
    inside = ((y - 0.5 * shape[1]) / (0.4 * shape[1])) ** 2
    inside += ((x - 0.45 * shape[2]) / (0.35 * shape[2])) ** 2
    volume[inside < 1] = 40 + 2 * z[inside < 1]
    lesion = (y - 0.35 * shape[1]) ** 2 + (x - 0.35 * shape[2]) ** 2
    volume[lesion + (2 * (z - 0.4 * shape[0])) ** 2 < radius**2] = 350
    return np.rint(volume + rng.normal(0, 8, shape)).astype(np.int16)


def save(path, values, spacing_mm=(2.0, 0.8, 0.8)):
    """Write (z, y, x) or (t, z, y, x) as NIfTI, axis-aligned in LPS from the origin."""
    matrix = np.diag([-spacing_mm[2], -spacing_mm[1], spacing_mm[0], 1.0])
    matrix[:3, 3] = (7.0 * spacing_mm[2], 3.0 * spacing_mm[1], -5.0 * spacing_mm[0])
    nib.save(nib.Nifti1Image(np.asarray(values).T, matrix), path)


def write_manifest(folder, rows, protocols=None):
    """Write scans.csv and cohort.yaml for rows of (subject, session, protocol, path)."""
    with (folder / "scans.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("subject", "session", "protocol", "path"))
        writer.writerows(rows)
    config = {"scans": "scans.csv", "output": "run", "protocols": protocols or {"p": QUICK}}
    (folder / "cohort.yaml").write_text(yaml.safe_dump(config))


def run_tiny(folder: Path, executor=None, report=None):
    """Run the cohort in a folder; the report is made only where one is asked for."""
    cohort = load_cohort(folder / "cohort.yaml")
    return run_cohort(cohort, executor or SerialExecutor(), report or (lambda root: None))
