"""Volumes from file to report: Mvoxel/s, cores, memory of every task, one worker against two.

With `--bench -s` it prints the tables; `SOMRAY_BENCH_SHAPE=2000x2000x2000`
asks for another volume. Without `--bench` a small one runs as a test. The volume is a solid with pores of known
sizes (`pore_volumes`), 8 bit, uncompressed, made slice by slice; its pores must be found one by one, voxel by voxel.
"""

import os
import subprocess
import sys
import time

import numpy as np
import pytest
from scipy.spatial import cKDTree

import somray
from tests.benchmarks.ct_sessions import CtSessions
from tests.benchmarks.pore_volumes import PoreVolume

pytestmark = pytest.mark.bench

CUBIC_MM = 0.01**3  # of a voxel
COHORT = """scans: scans.csv
output: run
resources: {{workers: {cpus}}}
protocols:
  xct: {{modality: XCT, segment: som}}
"""
GROWTH = 1.1  # of a task's memory over 200, 600 and 2000 slices


def made(folder, volume, cpus):
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "v.mha").exists():
        volume.write(folder / "v.mha")
    (folder / "scans.csv").write_text("subject,session,protocol,path\nm,t0,xct,v.mha\n")
    (folder / "cohort.yaml").write_text(COHORT.format(cpus=cpus))
    return folder / "cohort.yaml"


def run(cohort):
    """Run a cohort as a user does; return the run and its seconds."""
    start = time.perf_counter()
    command = [sys.executable, "-c", "from somray.cli import script; script()", "run", str(cohort)]
    subprocess.run(command, check=True, capture_output=True)
    return somray.open_run(cohort.parent / "run"), time.perf_counter() - start


def assert_all_pores_found(found, volume):
    """Every pore is one lesion of exactly its voxels."""
    lesions = found.table("lesions")
    assert len(lesions) == len(volume.pores)
    axes = ["centroid_z_mm", "centroid_y_mm", "centroid_x_mm"]
    apart, which = cKDTree(lesions[axes].to_numpy() / 0.01).query(volume.pores[:, :3])
    assert apart.max() < 1e-3
    voxels = lesions["volume_mm3"].to_numpy()[which] / CUBIC_MM
    np.testing.assert_allclose(voxels, volume.voxels, rtol=1e-6)


def told(found, seconds, volume, cpus):
    timings = found.table("timings")
    stages = timings.groupby("stage").agg(
        units=("seconds", "size"), seconds=("seconds", "sum"), mib=("peak_bytes", "max")
    )
    stages["mib"] = (stages["mib"] / 2**20).round()
    size = np.prod(volume.shape) / 1e6
    print(
        f"\n{'x'.join(map(str, volume.shape))}, {cpus} cpus: {seconds:.0f} s, {size / seconds:.2f} Mvoxel/s, "
        f"{len(volume.pores)} pores\n{stages.sort_values('seconds').round(1).to_string()}"
    )


def shape_of(request):
    if not request.config.getoption("--bench"):
        return (60, 172, 172)
    return tuple(int(n) for n in os.environ.get("SOMRAY_BENCH_SHAPE", "600x350x250").split("x"))


def test_every_pore_of_a_volume_is_found(tmp_path, request):
    volume = PoreVolume(shape_of(request))
    for cpus in (1, 2) if request.config.getoption("--bench") else (2,):
        found, seconds = run(made(tmp_path, volume, cpus))
        assert_all_pores_found(found, volume)
        told(found, seconds, volume, cpus)
        subprocess.run(["rm", "-rf", str(tmp_path / "run")], check=True)


def test_memory_of_a_task_does_not_grow_with_the_slices(tmp_path, request):
    if not request.config.getoption("--bench"):
        pytest.skip("takes minutes; the stages' own tests hold their memory")
    peaks = {}
    for depth in (200, 600, 2000):
        volume = PoreVolume((depth, 258, 258))
        found, seconds = run(made(tmp_path / str(depth), volume, 2))
        told(found, seconds, volume, 2)
        peaks[depth] = found.table("timings").groupby("stage")["peak_bytes"].max()
    print((peaks[2000] / peaks[200]).round(2).to_string())
    assert (peaks[2000] <= GROWTH * peaks[200]).all()


def test_three_sessions_of_a_thin_slice_ct_run_at_the_defaults(tmp_path, request):
    if not request.config.getoption("--bench"):
        pytest.skip("takes a quarter of an hour; smaller cohorts are tests of the pipeline")
    subject = CtSessions((1000, 512, 512))
    for session in range(3):
        subject.write(tmp_path / f"s{session}.mha", session)
    rows = "".join(f"p,t{n},ct,s{n}.mha\n" for n in range(3))
    (tmp_path / "scans.csv").write_text(f"subject,session,protocol,path\n{rows}")
    (tmp_path / "cohort.yaml").write_text(
        "scans: scans.csv\noutput: run\nprotocols:\n  ct: {modality: CT}\n"
    )
    found, _ = run(tmp_path / "cohort.yaml")
    timings = found.table("timings")
    print((timings.groupby("stage")["peak_bytes"].max() / 2**20).round().to_string())
    assert (found.table("scans")["status"] == "done").all()
    assert timings["peak_bytes"].max() < 4096 * 2**20  # the default of a task
