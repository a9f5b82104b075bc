"""One Ray node or three: the same codebook and class maps, bit for bit, with the fit spread over them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import somray
from tests.cohort_fixtures import run_in
from tests.pipeline.same import differences

pytestmark = [pytest.mark.ray, pytest.mark.timeout(1200)]  # beside other tests
PROTOCOL = "protocols.phantom-ct"
SETTINGS = (
    f"{PROTOCOL}.segment=som",
    f"{PROTOCOL}.registration.pairs=[]",
    f"{PROTOCOL}.teacher.reference=cohort",
    f"{PROTOCOL}.teacher.epochs=4",
)


def run_on(counts, cohort, output):
    """Run in a process of its own: how Ray authenticates is settled once in a process."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.runtime.cluster_run", counts, str(cohort), str(output),
         *SETTINGS],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "RAY_AUTH_MODE": "disabled"},
        capture_output=True,
        text=True,
        timeout=1100,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_one_node_and_three_give_the_same_bits(cohort_folder, tmp_path):
    serial = tmp_path / "serial"
    run_in(cohort_folder, f"output={serial}", *SETTINGS)
    assert somray.open_run(serial).teacher("phantom-ct").codebook.epochs_run == 4
    found = run_on("1,3", cohort_folder / "cohort.yaml", tmp_path / "run")
    assert found == [{"nodes": 1, "broken": 0}, {"nodes": 3, "broken": 0}]
    for count in (1, 3):
        assert differences(serial, tmp_path / f"run{count}") == []
