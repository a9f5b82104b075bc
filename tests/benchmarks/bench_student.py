"""How well and how fast the student learns: rounds, inputs, prototypes, inference.

Run as a test it does little; with `--bench` it prints tables:
`SOMRAY_TEST_DATA=… pytest tests/benchmarks/bench_student.py --bench -s`.
The figures of record stand in LOG.md beside it, with the machine in words.
"""

import time

import numpy as np
import pytest
import torch

from somray.kernels.student import networks as networks_module
from somray.kernels.student.fit import deterministic
from somray.kernels.student.predict import predict_student
from somray.kernels.student.rounds import StudentSpec, network_of, student_of
from somray.kernels.student.unet import new_unet, unet_weights
from tests.benchmarks.student_cases import (
    FURTHER,
    GOAL,
    lessons,
    scans,
    student_spec,
    trained,
)

pytestmark = pytest.mark.bench


def _asked(full):
    """Train as the pipeline does, or just so long that the test means something."""
    return {} if full else {"steps": 30, "threads": 1}


def _line(name, taught, spec):
    """Train and tell: Dice on A, B, C after the last round, the baselines, the time."""
    began, cpu = time.perf_counter(), time.process_time()
    result = trained(taught, spec).result
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    last = result.convergence[-1]
    dice = [r["dice"] for r in result.agreement if r["round"] == last["round"]]
    means = " ".join(f"{row['mean_iou']:.4f}" for row in result.convergence)
    control = last["control_iou"]
    print(
        f"{name:24s} dice {' '.join(f'{d:.4f}' for d in dice)}  mean {np.mean(dice):.4f}  "
        f"iou by round {means}  control {'-' if control is None else f'{control:.4f}'}  "
        f"copy {last['copy_forward_iou']:.3f}  {seconds:.0f} s, {cpu:.0f} CPU s"
    )
    return float(np.mean(dice)), last


@pytest.mark.timeout(3600)
def test_rounds_on_real_scans(real_data, request):
    full = request.config.getoption("--bench")
    found = {}
    for scan in scans(real_data, (*GOAL, *FURTHER) if full else ("qin",)):
        taught = lessons(scan, scan.outward(3 if full else 2))
        found[scan.name], last = _line(scan.name, taught, student_spec(scan, **_asked(full)))
        assert last["mean_iou"] > last["copy_forward_iou"]
    assert min(found.values()) > 0.95


@pytest.mark.timeout(3600)
def test_inputs_and_prototypes_against_their_alternatives(real_data, request, monkeypatch):
    if not request.config.getoption("--bench"):
        pytest.skip("a comparison of settings: only with --bench")
    for scan in scans(real_data, ("ct3", "STS_002", "mr")):
        taught, alone = lessons(scan, scan.outward(3)), student_spec(scan, start=None)
        _line(f"{scan.name} default", taught, student_spec(scan))
        _line(f"{scan.name} raw channels", taught, student_spec(scan, feature_names=()))
        _line(f"{scan.name} from labels alone", taught, alone)
        for count in ((1, 1), (12, 24)):
            monkeypatch.setattr(networks_module, "PROTOTYPES", count)
            _line(f"{scan.name} prototypes {count}", taught, alone)
        monkeypatch.undo()


def test_inference_of_a_slice(request):
    full = request.config.getoption("--bench")
    side = 512 if full else 64
    names = ("intensity", "edge", "local_contrast", "thickness", "mean3", "mean5", "anisotropy_p",
             "anisotropy_q", "ratio_row_column", "ratio_local_global")  # fmt: skip
    spec = StudentSpec(("CT",), ((-160.0, 240.0),), names)
    module = new_unet(network_of(spec), 0)
    model = student_of(spec, unet_weights(module), {})
    image = np.random.default_rng(0).normal(40, 60, (1, 1, side, side)).astype(np.float32)
    for threads in (1, 2):
        times, stack = [], torch.zeros(1, len(names), side, side)
        for _ in range(5 if full else 1):
            began = time.perf_counter()
            predict_student(model, image, (1.0, 1.0), threads)
            middle = time.perf_counter()
            with deterministic(threads), torch.inference_mode():
                module(stack)
            times.append((middle - began, time.perf_counter() - middle))
        whole, network = np.median(times, axis=0) * 1000
        print(
            f"{side}×{side}, {threads} threads: {whole:.0f} ms, the network alone {network:.0f} ms"
        )
        assert whole > 0
    parameters = sum(p.numel() for p in module.parameters())
    print(f"{parameters} parameters")
    assert parameters <= 500_000
