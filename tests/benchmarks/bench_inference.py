"""What a slice costs: values to probability, and the network alone, against the same network elsewhere.

Run as a test it does little; with `--bench` it prints milliseconds per slice of 512×512, medians of
interleaved repeats, by the clock and of CPU time:
`pytest tests/benchmarks/bench_inference.py --bench -s`. OpenVINO and ONNX Runtime run the very same
graph, exported. The figures of record stand in LOG.md beside it, with the machine in words.
"""

import io
import time

import numpy as np
import pytest
import torch

from somray.kernels.student.determinism import deterministic
from somray.kernels.student.network import new_unet, unet_weights
from somray.kernels.student.onnx_graph import onnx_bytes
from somray.kernels.student.predict import network_of_model, predict_student
from somray.kernels.student.rounds.spec import StudentSpec, network_of, student_of
from somray.kernels.student.shape import NetworkShape

pytestmark = pytest.mark.bench
SPEC = StudentSpec(("CT",), ("CT",), ((-160.0, 240.0),))


def _student(spec=SPEC):
    module = new_unet(NetworkShape.of(network_of(spec)), 0)
    return student_of(spec, unet_weights(module), {})


def _openvino(data, threads):
    openvino = pytest.importorskip("openvino")
    core = openvino.Core()
    wanted = {
        "INFERENCE_NUM_THREADS": threads,
        "INFERENCE_PRECISION_HINT": "f32",
        "PERFORMANCE_HINT": "LATENCY",
    }
    compiled = core.compile_model(core.read_model(io.BytesIO(data)), "CPU", wanted)
    return lambda image: compiled(image)[0]


def _onnxruntime(data, threads):
    runtime = pytest.importorskip("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    session = runtime.InferenceSession(data, options)
    return lambda image: session.run(None, {"image": image})[0]


def _interleaved(ways, repeats):
    """Median milliseconds of each way, called in turn: by the clock, and of all its CPU threads."""
    times = {name: [] for name in ways}
    for _ in range(repeats):
        for name, way in ways.items():
            began = time.perf_counter(), time.process_time()
            way()
            spent = time.perf_counter() - began[0], time.process_time() - began[1]
            times[name].append(spent)
    return {name: 1000 * np.median(found, axis=0) for name, found in times.items()}


def _print(title, found, base):
    """CPU time is what a quiet machine would show on one thread; the clock tells who else was busy."""
    print(f"\n{title}")
    for name, (clock, cpu) in found.items():
        share = f"{cpu / found[base][1]:>6.2f} × {base}"
        print(f"  {name:<34}{clock:>9.1f} ms{cpu:>9.1f} ms of CPU {share}")


def test_a_slice_costs_little_more_than_in_openvino(request):
    full = request.config.getoption("--bench")
    side, repeats = (512, 15) if full else (64, 1)
    model, rng = _student(), np.random.default_rng(0)
    image = rng.normal(40, 60, (1, 1, side, side)).astype(np.float32)
    data = onnx_bytes(model, {})
    fast, other, network = _openvino(data, 1), _onnxruntime(data, 1), network_of_model(model)
    views = torch.randn(1, network.shape.inputs, side, side).contiguous(
        memory_format=torch.channels_last
    )
    expected = predict_student(model, image)
    np.testing.assert_allclose(fast(image), expected, atol=1e-3)
    np.testing.assert_allclose(other(image), expected, atol=1e-3)

    def alone():
        with deterministic(1), torch.inference_mode():
            network(views)

    ways = {
        "OpenVINO f32": lambda: fast(image),
        "ONNX Runtime": lambda: other(image),
        "somray, values to probability": lambda: predict_student(model, image),
        "somray, the network alone": alone,
    }
    _interleaved(ways, 2)  # warm
    found = _interleaved(ways, repeats)
    count = sum(p.numel() for p in network.parameters())
    _print(f"a slice of {side}×{side}, one thread, {count} parameters", found, "OpenVINO f32")
    assert count <= 200_000


def test_a_body_as_petct_students_see_it(request):
    full = request.config.getoption("--bench")
    spec = StudentSpec(("CT", "PET"), ("CT", "PET"), ((-150.0, 40.0), (0.0, 1.0)), dimensions=3)
    shape = (250, 70, 110) if full else (20, 24, 28)
    volume = np.random.default_rng(0).random((1, 2, *shape), dtype=np.float32)
    model = _student(spec)
    found = _interleaved({"a body": lambda: predict_student(model, volume)}, 3 if full else 1)
    _print(f"a body of {shape} blocks, one thread", found, "a body")
    chance = predict_student(model, volume)
    assert chance.shape == (1, *shape)
    assert chance.std() > 0


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_slices_per_second_on_a_gpu(request):
    full = request.config.getoption("--bench")
    count, side = (64, 512) if full else (4, 64)
    model = _student()
    images = np.random.default_rng(0).normal(40, 60, (count, 1, side, side)).astype(np.float32)
    expected = predict_student(model, images[:4], threads=2)
    found = predict_student(model, images, device="cuda")[:4]
    print(f"\nlargest |Δp| {np.abs(found - expected).max():.1e}")
    ways = {"all": lambda: predict_student(model, images, device="cuda")}
    middle, _ = _interleaved(ways, 5)["all"]
    print(f"{torch.cuda.get_device_name()}: {1000 * count / middle:.0f} slices of {side}² a second")
    assert ((found >= 0.5) != (expected >= 0.5)).mean() < 5e-3
