"""How well and how fast the student learns: rounds, inputs, prototypes, inference.

Run as a test it does little; with `--bench` it prints tables:
`SOMRAY_TEST_DATA=… pytest tests/benchmarks/bench_student.py --bench -s`.
The figures of record stand in LOG.md beside it, with the machine in words.
"""

import time
from dataclasses import dataclass, replace

import numpy as np
import pytest
import SimpleITK
import torch

from somray.kernels.reference import slice_interest
from somray.kernels.student import rounds as rounds_module
from somray.kernels.student.fit import deterministic
from somray.kernels.student.lesson import lessons_of
from somray.kernels.student.predict import predict_student
from somray.kernels.student.rounds import StudentSpec, network_of, student_of, train_rounds
from somray.kernels.student.unet import new_unet, unet_weights
from somray.kernels.teacher import TeacherSpec, apply_teacher, fit_teacher
from somray.kernels.windows import auto_window

pytestmark = pytest.mark.bench
THREADS = 2


@dataclass(frozen=True)
class Case:
    """Slices A, B, C of a scan with the teacher's target."""

    images: np.ndarray
    masks: np.ndarray
    valid: np.ndarray
    spec: StudentSpec


def _array(path):
    return SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(path)).astype(np.float32)


def _petct(folder):
    ct, pet = (SimpleITK.ReadImage(str(folder / f"{c}_image.nii.gz")) for c in ("CT", "PET"))
    pet = SimpleITK.Resample(pet, ct, SimpleITK.Transform(), SimpleITK.sitkLinear, 0.0)
    planes = [SimpleITK.GetArrayFromImage(image) for image in (ct, pet)]
    return np.stack(planes).astype(np.float32)


def _scans(data):
    """Modality, (c, z, y, x) values and (y, x) spacing of real scans, one after the other."""
    cohort = data / "petct_sarcoma_cohort"
    series = [str(data / "ct_3slices" / "dicom" / f"0{n}.dcm") for n in (1, 2, 3)]
    yield "ct3", "CT", _array(series)[None], (0.811, 0.811)
    abdomen = _array(str(data / "ct_abdomen_CRLM1004" / "ct.nii.gz"))
    yield "crlm", "CT", abdomen[None], (0.797, 0.797)
    yield "STS_002", "PETCT", _petct(data / "petct_sarcoma_STS002"), (0.977, 0.977)
    for subject in ("STS_001", "STS_012", "STS_031"):
        yield subject, "PETCT", _petct(cohort / subject), (0.977, 0.977)
    pet = _array(str(data / "pet_wholebody_QIN24" / "pet_bqml.nii.gz")) * np.float32(2.9448e-4)
    yield "qin", "PET", pet[None], (3.538, 3.538)
    brain = _array(str(data / "mri_brain_tumour" / "brain1_image.nrrd"))
    yield "mr", "MR", brain[None], (0.781, 0.781)


def _case(modality, volume, spacing, full=True):
    """Fit the teacher on the slice that is worth most, as the pipeline does, and label A, B, C."""
    channels = ("CT", "PET") if modality == "PETCT" else (modality,)
    windows = tuple(
        auto_window(plane[::4], modality, name)
        for plane, name in zip(volume, channels, strict=True)
    )
    depth = volume.shape[1]
    interest = [slice_interest(volume[:, z], modality, windows, channels) for z in range(depth)]
    first = int(np.argmax(interest))
    order = sorted(range(depth), key=lambda z: (abs(z - first), z < first))[:3]
    images = np.ascontiguousarray(volume[:, order].swapaxes(0, 1))
    teacher = fit_teacher(images[:1], TeacherSpec(modality, channels, windows), spacing).model
    labels = apply_teacher(teacher, images, spacing).labels
    spec = StudentSpec(
        channels=channels,
        windows=teacher.windows,
        feature_names=teacher.features,
        rounds=3 if full else 2,
        steps=60 if full else 30,
        threads=THREADS if full else 1,
        spacing_mm=spacing,
    )
    return Case(images, labels == teacher.value_of("lesion"), labels != 0, spec)


def _line(name, case):
    """Train and tell: Dice on A, B, C after the last round, the baselines, the time."""
    began, cpu = time.perf_counter(), time.process_time()
    result = train_rounds(lessons_of(case.images, case.masks, case.valid), case.spec)
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    last = result.convergence[-1]
    dice = [r["dice"] for r in result.agreement if r["round"] == last["round"]]
    means = " ".join(f"{row['mean_iou']:.4f}" for row in result.convergence)
    print(
        f"{name:24s} dice {' '.join(f'{d:.4f}' for d in dice)}  mean {np.mean(dice):.4f}  "
        f"iou by round {means}  control {last['control_iou']:.4f}  "
        f"copy {last['copy_forward_iou']:.3f}  {seconds:.0f} s, {cpu:.0f} CPU s"
    )
    return float(np.mean(dice)), last


@pytest.mark.timeout(3600)
def test_rounds_on_real_scans(real_data, request):
    full = request.config.getoption("--bench")
    found = {}
    for name, modality, volume, spacing in _scans(real_data):
        if full or name == "qin":
            case = _case(modality, volume, spacing, full)
            found[name], last = _line(name, case)
            assert last["mean_iou"] > last["copy_forward_iou"]
    assert min(found.values()) > 0.95


@pytest.mark.timeout(3600)
def test_inputs_and_prototypes_against_their_alternatives(real_data, request, monkeypatch):
    if not request.config.getoption("--bench"):
        pytest.skip("a comparison of settings: only with --bench")
    for name, modality, volume, spacing in _scans(real_data):
        if name in ("ct3", "STS_002", "mr"):
            case = _case(modality, volume, spacing)
            _line(f"{name} default", case)
            raw = replace(case, spec=replace(case.spec, feature_names=()))
            _line(f"{name} raw channels", raw)
            for count in ((1, 1), (12, 24)):
                monkeypatch.setattr(rounds_module, "PROTOTYPES", count)
                _line(f"{name} prototypes {count}", case)
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
