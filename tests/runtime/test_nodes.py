"""One Ray node or three: the same codebook and class maps, bit for bit, with the fit spread over them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import somray
from tests.pipeline.same import differences
from tests.pipeline.tiny import QUICK, body, run_tiny, save, write_manifest

pytestmark = [pytest.mark.ray, pytest.mark.timeout(1200)]  # beside other tests
COHORT = {**QUICK, "teacher": {"reference": "cohort", "epochs": 4}}
SCANS = 3


def run_on(counts, cohort, output):
    """Run in a process of its own: how Ray authenticates is settled once in a process."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.runtime.cluster_run", counts, str(cohort), str(output)],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "RAY_AUTH_MODE": "disabled"},
        capture_output=True,
        text=True,
        timeout=1100,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_one_node_and_three_give_the_same_bits(tmp_path):
    for n in range(SCANS):
        save(tmp_path / f"{n}.nii.gz", body(seed=n))
    rows = [(f"s{n}", "t0", "p", f"{n}.nii.gz") for n in range(SCANS)]
    write_manifest(tmp_path, rows, {"p": COHORT})
    run_tiny(tmp_path)
    serial = tmp_path / "run"
    assert somray.open_run(serial).teacher("p").codebook.epochs_run == 4
    found = run_on("1,3", tmp_path / "cohort.yaml", serial)
    assert found == [{"nodes": 1, "broken": 0}, {"nodes": 3, "broken": 0}]
    for count in (1, 3):
        assert differences(serial, tmp_path / f"run{count}") == []
