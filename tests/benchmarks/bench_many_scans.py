"""A cohort of very many scans through the real orchestration, with readers and kernels that only repeat.

The first scan is done for real; what its units gave is given again, under other names, for all the others. Shown are
the driver's memory and time per unit for cohorts of growing size: both should stay flat. There is no peer.
"""

import dataclasses
import json
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from somray.commands.launch import load_cohort
from somray.domain.work import Outcome
from somray.pipeline.cohort import run_cohort
from somray.pipeline.record import RunRecord
from somray.runtime.serial import SerialExecutor
from tests.pipeline.tiny import body, save, write_manifest

SIZES = (1_000, 2_000, 4_000)
ROOT = Path(__file__).parents[2]
MODULE = "tests.benchmarks.bench_many_scans"


class Learning(SerialExecutor):
    """Does every unit, and keeps what its kind gave."""

    def __init__(self):
        self.known = {}

    async def submit(self, function, unit, shared=None, actor=None):
        outcome = await super().submit(function, unit, shared, actor)
        assert outcome.ok, outcome
        return self.known.setdefault(_kind(function, unit), outcome)


class Repeating(SerialExecutor):
    """Fits the teacher; gives again what was learned for everything else."""

    def __init__(self, known):
        self.known, self.units, self.resident = known, 0, 0.0

    async def submit(self, function, unit, shared=None, actor=None):
        self.units, self.resident = self.units + 1, _resident()
        if unit.stage == "teacher":
            return dataclasses.replace(self.known["teacher", "run"], name=unit.name)
        first = self.known[_kind(function, unit)].result
        value = dict(first.value)
        if "pixel_digest" in value:
            value["pixel_digest"] = unit.name
        own = {"subject": unit.subject, "session": unit.session}
        rows = {
            table: [dataclasses.replace(row, **_known(row, own)) for row in told]
            for table, told in first.rows.items()
        }
        again = dataclasses.replace(first, rows=rows, value=value)
        return Outcome(unit.stage, unit.name, again, seconds=0.1)


def _kind(function, unit):
    return unit.stage, function.__qualname__


def _known(row, own):
    names = {field.name for field in dataclasses.fields(row)}
    return {name: value for name, value in own.items() if name in names and value is not None}


async def _stands(record, name):
    return True


def measure(folder: Path, scans: int) -> dict:
    """Run a cohort of so many scans; return units, seconds, CPU seconds and the growth of memory in MB."""
    one = _cohort(folder / "one", 1)
    learning = Learning()
    run_cohort(one, learning, lambda root: None)
    many = _cohort(folder / "many", scans)
    shutil.copytree(folder / "one/run/models", folder / "many/run/models")
    RunRecord.has_scan = _stands  # nobody wrote them
    executor = Repeating(learning.known)
    before, start, cpu = _resident(), time.perf_counter(), time.process_time()
    told = run_cohort(many, executor, lambda root: None)
    assert (told["state"], told["failed"]) == ("done", 0)
    return {
        "scans": scans,
        "units": executor.units,
        "seconds": time.perf_counter() - start,
        "cpu": time.process_time() - cpu,
        "walking": executor.resident - before,
        "grown": _resident() - before,
    }


def _cohort(folder, scans):
    folder.mkdir(parents=True)
    save(folder / "0.nii", body())
    write_manifest(folder, [(f"s{n:06d}", "t0", "p", "0.nii") for n in range(scans)])
    return load_cohort(folder / "cohort.yaml")


def _resident():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


@pytest.mark.skipif("not config.getoption('--bench')")
def test_a_cohort_of_many_scans(tmp_path):
    for scans in SIZES:
        command = [sys.executable, "-m", MODULE, str(tmp_path / str(scans)), str(scans)]
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
        found = json.loads(done.stdout.splitlines()[-1])
        print(
            f"{scans} scans: {found['units']} units, {found['units'] / found['seconds']:.0f} a second with the "
            f"tables' compaction, grown by {found['walking']:.0f} MB, by {found['grown']:.0f} with it"
        )


if __name__ == "__main__":
    print(json.dumps(measure(Path(sys.argv[1]), int(sys.argv[2]))))
