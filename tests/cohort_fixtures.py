"""A tiny cohort, run once: two subjects of two sessions, a duplicate, a broken file and an absent one."""

import csv
import shutil
from pathlib import Path

import pytest
import yaml

from somray.commands.launch import load_cohort
from somray.phantom.files.write import write_phantom
from somray.pipeline.cohort import run_cohort
from somray.runtime.serial import SerialExecutor
from tests.pipeline.planned import executed_units, planned_units

STUDENT = {"rounds": 2, "steps": 6, "threads": 1}


@pytest.fixture(scope="session")
def cohort_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cohort")
    write_phantom(
        folder, subjects=2, sessions=2, shape=(12, 48, 48), modality="ct", format="nifti", seed=3
    )
    rows = list(csv.DictReader((folder / "scans.csv").read_text().splitlines()))
    truncated = folder / "scans/cut.nii.gz"
    truncated.write_bytes((folder / rows[0]["path"]).read_bytes()[:2000])
    bare = {**rows[0], "days": "", "truth": ""}
    extra = [
        {**bare, "subject": "twin", "session": "t0", "path": rows[0]["path"]},
        {**bare, "subject": "cut", "session": "t0", "path": "scans/cut.nii.gz"},
        {**bare, "subject": "gone", "session": "t0", "path": "scans/none.nii.gz"},
    ]
    with (folder / "scans.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows + extra)
    config = yaml.safe_load((folder / "cohort.yaml").read_text())
    for protocol in config["protocols"].values():
        protocol["student"] = STUDENT
    (folder / "cohort.yaml").write_text(yaml.safe_dump(config))
    return folder


def run_in(folder: Path, *settings, executor=None, report=None):
    """Run the cohort in a folder, without the report unless one is asked for.

    Whatever the cohort and its settings: what was done is what `check` had planned.
    """

    def no_report(root):
        (Path(root) / "report").mkdir(exist_ok=True)
        (Path(root) / "report/index.html").write_text("")

    cohort = load_cohort(folder / "cohort.yaml", settings)
    summary = run_cohort(cohort, executor or SerialExecutor(), report or no_report)
    assert planned_units(cohort) == executed_units(summary)
    return summary


@pytest.fixture(scope="session")
def finished(cohort_folder, tmp_path_factory):
    """A finished run: the folder of the run and its summary."""
    place = tmp_path_factory.mktemp("finished") / "run"
    summary = run_in(cohort_folder, f"output={place}")
    return place, summary


@pytest.fixture
def finished_copy(finished, tmp_path):
    """A copy of the finished run that a test may change."""
    shutil.copytree(finished[0], tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture(scope="session")
def petct_folder(tmp_path_factory):
    """A cohort of PET/CT, whose student sees volumes: two subjects of one session."""
    folder = tmp_path_factory.mktemp("petct")
    write_phantom(
        folder, subjects=2, sessions=1, shape=(16, 48, 48), modality="petct", format="nifti", seed=3
    )
    config = yaml.safe_load((folder / "cohort.yaml").read_text())
    for protocol in config["protocols"].values():
        protocol["student"] = {**STUDENT, "steps": 4}
        protocol["registration"] = {"pairs": []}
    (folder / "cohort.yaml").write_text(yaml.safe_dump(config))
    return folder


@pytest.fixture(scope="session")
def petct_run(petct_folder, tmp_path_factory):
    """A finished run of it: the folder of the run and its summary."""
    place = tmp_path_factory.mktemp("petct_run") / "run"
    summary = run_in(petct_folder, f"output={place}")
    return place, summary
