"""A run on an object store, broken off and resumed there, taken home afterwards."""

import fsspec
import pytest

import somray
from somray.commands.launch import load_cohort
from somray.io.status import read_status
from somray.pipeline.cohort import run_cohort
from somray.report.pages import write_report
from somray.runtime.serial import SerialExecutor
from tests.pipeline.same import differences
from tests.pipeline.tiny import body, run_tiny, save, write_manifest


class StoppedError(Exception):
    """What stops a driver."""


class Stopping(SerialExecutor):
    """Does so many units, then stops."""

    def __init__(self, units):
        self.left = units

    async def submit(self, function, unit, shared=None, actor=None):
        self.left -= 1
        if self.left < 0:
            raise StoppedError
        return await super().submit(function, unit, shared, actor)


class Counting(SerialExecutor):
    """Counts units."""

    count = 0

    async def submit(self, function, unit, shared=None, actor=None):
        self.count += 1
        return await super().submit(function, unit, shared, actor)


@pytest.fixture
def folder(tmp_path):
    save(tmp_path / "0.nii", body())
    write_manifest(tmp_path, [("s0", "t0", "p", "0.nii")])
    return tmp_path


def test_a_run_on_s3_is_the_run_on_a_disk_and_can_be_taken_home(folder, bucket):
    run_tiny(folder)
    far = load_cohort(folder / "cohort.yaml", [f"output={bucket}/run"])
    with pytest.raises(StoppedError):
        run_cohort(far, Stopping(5), lambda root: None)
    assert read_status(f"{bucket}/run")["state"] == "stopped"
    rest = Counting()
    told = run_cohort(far, rest, write_report)
    assert (told["state"], told["left"], told["failed"]) == ("done", 0, 0)
    assert rest.count > 0
    home = folder / "home"
    fsspec.filesystem("s3").get(f"{bucket}/run", str(home), recursive=True)
    assert differences(folder / "run", home) == []
    assert (home / "report/index.html").stat().st_size > 0

    moved = somray.open_run(home)
    assert len(moved.table("lesions")) == len(somray.open_run(folder / "run").table("lesions")) > 0
    assert moved.scan("s0", "t0")["som"].values.any()
    again = Counting()
    run_cohort(load_cohort(folder / "cohort.yaml", ["output=home"]), again, lambda root: None)
    assert again.count == 0


def test_scans_are_read_from_s3(folder, bucket):
    run_tiny(folder)
    files = fsspec.filesystem("s3")
    files.put(str(folder / "0.nii"), f"{bucket}/scans/0.nii")
    write_manifest(folder, [("s0", "t0", "p", f"{bucket}/scans/0.nii")])
    told = run_cohort(
        load_cohort(folder / "cohort.yaml", ["output=far"]), SerialExecutor(), lambda root: None
    )
    assert (told["state"], told["failed"]) == ("done", 0)
    found = differences(folder / "run", folder / "far")
    assert found == ["scans"]  # the table names where each came from
