"""What a slice costs: HU to probability, and the network alone, against the same network elsewhere.

Run as a test it does little; with `--bench` it prints milliseconds per slice of 512×512, medians of
interleaved repeats, by the clock and of CPU time:
`pytest tests/benchmarks/bench_inference.py --bench -s`. OpenVINO and ONNX Runtime run the very same
network, exported; the plain U-Net of 118k parameters is TARGETS.md's reference. The figures of record
stand in LOG.md beside it, with the machine in words.
"""

import functools
import io
import itertools
import math
import time
import warnings

import numpy as np
import pytest
import torch
from torch import nn

from somray.kernels.features import FEATURES
from somray.kernels.student.centroids import Centroids
from somray.kernels.student.fit import deterministic
from somray.kernels.student.inputs import noise_reference
from somray.kernels.student.networks import network_of, student_of
from somray.kernels.student.onnx_graph import OPSET, onnx_bytes
from somray.kernels.student.predict import network_of_model, predict_student
from somray.kernels.student.spec import StudentSpec
from somray.kernels.student.strips import logits_in_strips
from somray.kernels.student.unet import new_unet, unet_weights

pytestmark = pytest.mark.bench
ZEROS, ONES = (0.0,) * len(FEATURES), (1.0,) * len(FEATURES)
START = Centroids((ZEROS,) * 25, (5, 10, 10), 0, ZEROS, ONES, ONES, 3.0, (3, 1, 2))
SPEC = StudentSpec(("CT",), ((-160.0, 240.0),), tuple(FEATURES), start=START)


class PlainUNet(nn.Module):
    """Three levels of two 3×3 layers each, 118k parameters."""

    def __init__(self):
        super().__init__()
        sizes = (1, 16, 32, 64)
        self.down = nn.ModuleList(_pair(a, b) for a, b in itertools.pairwise(sizes))
        self.up = nn.ModuleList([_pair(96, 32), _pair(48, 16)])
        self.head = nn.Conv2d(16, 1, 1)

    def forward(self, plane):
        skips = []
        for level, layer in enumerate(self.down):
            plane = layer(nn.functional.max_pool2d(plane, 2) if level else plane)
            skips.append(plane)
        for layer, skip in zip(self.up, skips[1::-1], strict=True):
            wide = nn.functional.interpolate(plane, scale_factor=2)
            plane = layer(torch.cat([wide, skip], dim=1))
        return self.head(plane)


def _pair(inputs, outputs):
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU(),
        nn.Conv2d(outputs, outputs, 3, padding=1), nn.ReLU(),
    )  # fmt: skip


def _student():
    module, rng = new_unet(network_of(SPEC), 0), np.random.default_rng(0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.from_numpy(rng.normal(0, 0.1, parameter.shape)))
        # Prototypes and sharpness as from a teacher that votes over 3 mm.
        module.prototypes.nodes.mul_(10)
        module.prototypes.sharpness.fill_(math.log(500.0))
    quiet = np.random.default_rng(1).normal(40, 20, (1, 256, 256)).astype(np.float32)
    module.noise.copy_(torch.from_numpy(noise_reference(quiet, SPEC.windows, SPEC.channels)))
    return student_of(SPEC, unet_weights(module), {})


@functools.cache
def _exported():
    return onnx_bytes(_student(), {})


def _traced(network, stack):
    out = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network, (stack,), out, dynamo=False, opset_version=OPSET, input_names=["image"]
        )
    return out.getvalue()


def _openvino(data, threads, precision):
    """Compile a model for OpenVINO; also the precision that it really runs in."""
    openvino = pytest.importorskip("openvino")
    core = openvino.Core()
    wanted = {
        "INFERENCE_NUM_THREADS": threads,
        "INFERENCE_PRECISION_HINT": precision,
        "PERFORMANCE_HINT": "LATENCY",
    }
    compiled = core.compile_model(core.read_model(io.BytesIO(data)), "CPU", wanted)
    ran = compiled.get_property("INFERENCE_PRECISION_HINT").to_string()
    return (lambda image: compiled(image)[0]), ran


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
        print(f"  {name:<40}{clock:>9.1f} ms{cpu:>9.1f} ms of CPU {share}")


def _has_bf16():
    """Whether the CPU computes in bfloat16 itself; emulated, it takes seconds a slice."""
    return "bf16" in str(torch.backends.cpu.get_cpu_capability()).lower() or bool(
        torch.ops.mkldnn._is_mkldnn_bf16_supported() and torch.cpu._is_avx512_bf16_supported()
    )


@pytest.mark.parametrize("noisy", [False, True])
@pytest.mark.parametrize("threads", [1, 2])
def test_a_slice_costs_little_more_than_in_openvino(request, threads, noisy):
    full = request.config.getoption("--bench")
    side, repeats = (512, 15) if full else (64, 1)
    model, rng = _student(), np.random.default_rng(0)
    network = network_of_model(model)
    depth = network.shape.planes if noisy else network.shape.inputs
    stack = torch.from_numpy(rng.normal(0.5, 1, (1, depth, side, side)).astype(np.float32))
    data = _traced(network, stack)
    fast, bf16 = _openvino(data, threads, "f32")[0], _openvino(data, threads, "bf16")
    other, planes = _onnxruntime(data, threads), stack.numpy()
    plain = PlainUNet().eval().to(memory_format=torch.channels_last)
    raw = stack[:, :1].contiguous(memory_format=torch.channels_last)
    with deterministic(1), torch.inference_mode():
        expected = network(stack).numpy()
    np.testing.assert_allclose(fast(planes), expected, atol=1e-3)
    np.testing.assert_allclose(other(planes), expected, atol=1e-3)

    def whole(module, given, half=False):
        with (
            deterministic(threads),
            torch.inference_mode(),
            torch.autocast("cpu", torch.bfloat16, enabled=half),
        ):
            module(given)

    def in_strips():
        with deterministic(1):
            logits_in_strips(network, stack[0], threads)

    ways = {
        "OpenVINO f32": lambda: fast(planes),
        f"OpenVINO bf16 hint (ran {bf16[1]})": lambda: bf16[0](planes),
        "ONNX Runtime": lambda: other(planes),
        "somray, in strips as it predicts": in_strips,
        "somray, as it learns": lambda: whole(network, stack),
        "plain U-Net, channels_last": lambda: whole(plain, raw),
    }
    if _has_bf16() or not full:
        ways["plain U-Net, channels_last, bf16"] = lambda: whole(plain, raw, half=True)
    _interleaved(ways, 1)  # warm
    found = _interleaved(ways, repeats)
    own, reference = (sum(p.numel() for p in m.parameters()) for m in (network, plain))
    _print(
        f"network alone, {'noisy' if noisy else 'quiet'} {side}×{side}, {threads} threads, "
        f"{own} parameters (plain U-Net {reference}, bf16 {'in' if _has_bf16() else 'not in'} this CPU)",
        found,
        "OpenVINO f32",
    )
    assert len(found) >= 5


@pytest.mark.parametrize("noisy", [False, True])
@pytest.mark.parametrize("threads", [1, 2])
def test_the_whole_chain_from_values_to_probability(request, threads, noisy):
    full = request.config.getoption("--bench")
    side, repeats = (512, 9) if full else (64, 1)
    model, rng = _student(), np.random.default_rng(0)
    images = rng.normal(40, 60 if noisy else 20, (4, 1, side, side)).astype(np.float32)
    one, data = images[:1], _exported()
    fast, other = _openvino(data, threads, "f32")[0], _onnxruntime(data, threads)
    spacing = SPEC.spacing_mm
    expected = predict_student(model, one, spacing, threads)
    np.testing.assert_allclose(other(one), expected, atol=1e-4)
    np.testing.assert_allclose(fast(one), expected, atol=1e-4)
    ways = {
        "somray, one slice": lambda: predict_student(model, one, spacing, threads),
        "exported, OpenVINO f32": lambda: fast(one),
        "exported, ONNX Runtime": lambda: other(one),
    }
    _interleaved(ways, 1)
    found = _interleaved(ways, repeats)
    four = _interleaved(
        {"somray": lambda: predict_student(model, images, spacing, threads)}, max(1, repeats // 3)
    )
    found["somray, each of four"] = four["somray"] / 4
    kind = "noisy" if noisy else "quiet"
    _print(
        f"values to probability, {kind} {side}×{side}, {threads} threads",
        found,
        "somray, one slice",
    )
    assert expected.std() > 0


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_slices_per_second_on_a_gpu(request):
    full = request.config.getoption("--bench")
    count, side = (64, 512) if full else (4, 64)
    model = _student()
    images = np.random.default_rng(0).normal(40, 60, (count, 1, side, side)).astype(np.float32)
    expected = predict_student(model, images[:4], SPEC.spacing_mm, 2)
    found = predict_student(model, images, SPEC.spacing_mm, device="cuda")[:4]
    print(f"\nlargest |Δp| {np.abs(found - expected).max():.1e}")
    ways = {"all": lambda: predict_student(model, images, SPEC.spacing_mm, device="cuda")}
    middle, _ = _interleaved(ways, 5)["all"]
    print(f"{torch.cuda.get_device_name()}: {1000 * count / middle:.0f} slices of {side}² a second")
    assert ((found >= 0.5) != (expected >= 0.5)).mean() < 5e-3
