"""Features and direct transfer against peers, interleaved in one process.

`python -m pytest tests/benchmarks/bench_features.py --bench -s` times and prints; without `--bench`
everything runs once, small, as a test that peers and we compute the same. Nothing here asserts a time.
"""

import os
import statistics
import time
from pathlib import Path

import numpy as np
import pytest

from somray.api.teacher import Teacher
from somray.kernels.features import feature_stack, features
from somray.kernels.features.slab import slab_features
from somray.kernels.som import arrays
from somray.kernels.teacher.fit import TeacherSpec, apply_teacher, fit_teacher
from tests.kernels import naive_features

WINDOW = (-100.0, 100.0)
SMOOTH3, SMOOTH5 = np.array([1, 2, 1], "f4") / 4, np.array([1, 4, 6, 4, 1], "f4") / 16
DIFFERENCE = np.array([-1, 0, 1], "f4") / 2
FIRST5, SECOND5 = np.array([-1, -2, 0, 2, 1], "f4") / 8, np.array([1, 0, -2, 0, 1], "f4") / 4
WIDE5 = np.array([-1, 0, 0, 0, 1], "f4") / 4
BOX3, BOX5, ONE = np.ones(3, "f4") / 3, np.ones(5, "f4") / 5, np.ones(1, "f4")

pytestmark = pytest.mark.bench


@pytest.fixture
def timed(request):
    return bool(request.config.getoption("--bench"))


def interleaved(works, seconds):
    """Run all in turn until the time is spent; name to (median, least) milliseconds."""
    spent = {name: [] for name in works}
    for work in works.values():
        work()
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(spent[next(iter(spent))]) < 3:
        for name, work in works.items():
            start = time.perf_counter()
            work()
            spent[name].append(1e3 * (time.perf_counter() - start))
    return {name: (statistics.median(times), min(times)) for name, times in spent.items()}


def show(title, found, base):
    print(f"\n{title}\n{'':44s}{'median ms':>10s}{'least ms':>10s}{'× ours':>8s}")
    for name, (median, least) in found.items():
        print(f"{name:44s}{median:10.2f}{least:10.2f}{median / found[base][0]:8.2f}")


def picture(size, seed=0):
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size]
    body = 60.0 * (np.hypot(y - size / 2, x - size / 2) < size / 3) - 40
    return (body + 15 * np.sin(x / 9) + rng.normal(0, 12, body.shape)).astype(np.float32)


def ten(image, separable, math):
    """The ten features written with a library's separable filters; square root and so on from `math`."""
    low, high = WINDOW
    value = math.clip((image - low) / (high - low), 0.0, 1.0)
    gy, gx = separable(value, DIFFERENCE, SMOOTH3), separable(value, SMOOTH3, DIFFERENCE)
    xx, xy, yy = (separable(part, SMOOTH5, SMOOTH5) for part in (gx * gx, gx * gy, gy * gy))
    hyy, hxx = separable(value, SECOND5, SMOOTH5), separable(value, SMOOTH5, SECOND5)
    hxy = separable(value, FIRST5, FIRST5)
    half, spread = 0.5 * (hyy + hxx), math.sqrt(0.25 * (hyy - hxx) ** 2 + hxy * hxy)
    dy, dx = separable(value, WIDE5, SMOOTH5), separable(value, SMOOTH5, WIDE5)
    drop = abs(half) + spread - math.sqrt(dy * dy + dx * dx)
    drop = drop * (drop > 0)
    mean5 = separable(value, BOX5, BOX5)
    variance = separable(value * value, BOX5, BOX5) - mean5 * mean5
    trace = xx + yy + 1e-12
    along, across = separable(value, ONE, BOX5), separable(value, BOX5, ONE)
    return (
        value,
        math.sqrt(gx * gx + gy * gy),
        math.sqrt(variance * (variance > 0)),
        math.where(half > 0, -drop, drop),
        separable(value, BOX3, BOX3),
        mean5,
        (xx - yy) / trace,
        2 * xy / trace,
        (along + 0.05) / (across + 0.05),
        (mean5 + 0.05) / (value.mean() + 0.05),
    )


def scipy_ten(image):
    from scipy.ndimage import correlate1d

    def separable(plane, along_y, along_x):
        once = correlate1d(plane, along_y, axis=0, mode="reflect") if len(along_y) > 1 else plane
        return correlate1d(once, along_x, axis=1, mode="reflect") if len(along_x) > 1 else once

    return ten(image, separable, np)


def opencv_ten(image):
    import cv2

    def separable(plane, along_y, along_x):
        return cv2.sepFilter2D(plane, cv2.CV_32F, along_x, along_y, borderType=cv2.BORDER_REFLECT)

    return ten(image, separable, np)


def opencv_lean(image):
    """OpenCV with its own arithmetic in place of numpy's, planes reused: the fastest we could write."""
    import cv2

    low, high = WINDOW
    border = cv2.BORDER_REFLECT

    def separable(plane, along_y, along_x):
        return cv2.sepFilter2D(plane, cv2.CV_32F, along_x, along_y, borderType=border)

    value = cv2.addWeighted(image, 1 / (high - low), image, 0, -low / (high - low))
    cv2.min(value, 1.0, value)
    cv2.max(value, 0.0, value)
    gy, gx = separable(value, DIFFERENCE, SMOOTH3), separable(value, SMOOTH3, DIFFERENCE)
    xx, xy, yy = (
        separable(cv2.multiply(a, b), SMOOTH5, SMOOTH5) for a, b in ((gx, gx), (gx, gy), (gy, gy))
    )
    hyy, hxx = separable(value, SECOND5, SMOOTH5), separable(value, SMOOTH5, SECOND5)
    hxy = separable(value, FIRST5, FIRST5)
    half = cv2.addWeighted(hyy, 0.5, hxx, 0.5, 0)
    spread = cv2.magnitude(cv2.addWeighted(hyy, 0.5, hxx, -0.5, 0), hxy)
    sides = cv2.magnitude(separable(value, WIDE5, SMOOTH5), separable(value, SMOOTH5, WIDE5))
    thickness = cv2.max(cv2.subtract(cv2.add(cv2.absdiff(half, 0.0), spread), sides), 0.0)
    cv2.subtract(0.0, thickness, thickness, cv2.compare(half, 0.0, cv2.CMP_GT))
    mean5 = cv2.boxFilter(value, cv2.CV_32F, (5, 5), borderType=border)
    square = cv2.sqrBoxFilter(value, cv2.CV_32F, (5, 5), borderType=border)
    variance = cv2.max(cv2.subtract(square, cv2.multiply(mean5, mean5)), 0.0)
    trace = cv2.add(cv2.add(xx, yy), 1e-12)
    along = cv2.add(cv2.boxFilter(value, cv2.CV_32F, (5, 1), borderType=border), 0.05)
    across = cv2.add(cv2.boxFilter(value, cv2.CV_32F, (1, 5), borderType=border), 0.05)
    mean = cv2.mean(value)[0] + 0.05
    return (
        value,
        cv2.magnitude(gx, gy),
        cv2.sqrt(variance),
        thickness,
        cv2.boxFilter(value, cv2.CV_32F, (3, 3), borderType=border),
        mean5,
        cv2.divide(cv2.subtract(xx, yy), trace),
        cv2.divide(xy, trace, scale=2.0),
        cv2.divide(along, across),
        cv2.addWeighted(mean5, 1 / mean, mean5, 0, 0.05 / mean),
    )


def torch_ten(image):
    import torch
    from torch.nn import functional

    def separable(plane, along_y, along_x):
        y, x = len(along_y) // 2, len(along_x) // 2
        # "reflect" in torch leaves the edge pixel out; "replicate" is as near, borders do not matter.
        padded = functional.pad(plane[None, None], (x, x, y, y), mode="replicate")
        once = functional.conv2d(padded, torch.from_numpy(along_y)[None, None, :, None])
        return functional.conv2d(once, torch.from_numpy(along_x)[None, None, None, :])[0, 0]

    return ten(torch.from_numpy(image), separable, torch)


def test_ten_features_of_a_slice(timed):
    import cv2
    import torch
    from skimage.feature import multiscale_basic_features

    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    image = picture(512 if timed else 48)
    planes = np.empty((10, *image.shape), np.float32)
    works = {
        "ours, one thread": lambda: features(image, WINDOW),
        "ours, two threads": lambda: features(image, WINDOW, threads=2),
        "scikit-image, four features only": lambda: multiscale_basic_features(
            image, sigma_min=1, sigma_max=1, workers=1
        ),
        "scipy.ndimage": lambda: scipy_ten(image),
        "torch convolutions": lambda: torch_ten(image),
        "OpenCV filters, numpy arithmetic": lambda: opencv_ten(image),
        "OpenCV filters and arithmetic": lambda: opencv_lean(image),
        "writing ten planes": lambda: planes.fill(1.0),
    }
    found = interleaved(works, 20.0 if timed else 0.0)
    show(f"ten features of {image.shape}", found, "ours, one thread")
    expected = naive_features.features(image, WINDOW)
    assert np.abs(features(image, WINDOW) - expected).max() < 1e-5
    for peer in (scipy_ten, opencv_ten, opencv_lean, torch_ten):
        inside = np.abs(np.stack([np.asarray(p) for p in peer(image)]) - expected)[:, 8:-8, 8:-8]
        # Peers square values before they subtract in float32: their small spreads lose digits.
        assert inside.max() < 5e-3, peer.__name__


def slice_and_models(timed):
    """A slice of 512×512 (a real one where there is one) and teachers of 9, 25 and 100 nodes."""
    image = picture(512 if timed else 64)
    folder = Path(os.environ.get("SOMRAY_TEST_DATA", "")) / "ct_3slices/dicom"
    if timed and folder.is_dir():
        import pydicom

        image = pydicom.dcmread(folder / "02.dcm").pixel_array.astype(np.float32) - 1024
    models = [
        fit_teacher(image[None, None], TeacherSpec("CT", ("CT",), grid=(n, n)), (1.0, 1.0)).model
        for n in (3, 5, 10)
    ]
    return image, models


def chain(model, image):
    """The same without fusing: all features, standardised, then the nearest node of each pixel."""
    stack = feature_stack(image[None], model.windows, model.features).reshape(len(model.scale), -1)
    stack -= model.center[:, None]
    stack *= (model.feature_weights / model.scale)[:, None]
    node = arrays.assign(stack.T, model.codebook)
    return model.node_classes[node].reshape(image.shape)


def test_from_image_to_labels(timed):
    image, models = slice_and_models(timed)
    window = models[0].windows[0]
    works = {"features alone": lambda: features(image, window)}
    for model in models:
        nodes = len(model.node_classes)
        works[f"fused, {nodes} nodes"] = lambda m=model: apply_teacher(
            m, image[None, None], (1.0, 1.0)
        )
        works[f"features, then labels, {nodes} nodes"] = lambda m=model: chain(m, image)
    found = interleaved(works, 20.0 if timed else 0.0)
    show(f"from image to labels {image.shape}, one thread", found, "features alone")
    for model in models:
        labels = apply_teacher(model, image[None, None], (1.0, 1.0)).labels[0]
        expected = chain(model, image)
        assert (labels == expected).mean() > 0.9999  # the rest are near-ties


@pytest.mark.parametrize("size", [256, 512])
@pytest.mark.parametrize("modality", ["CT", "MR"])
def test_predicting_a_new_slice_against_its_features(timed, monkeypatch, size, modality):
    """`Teacher.predict` over `somray.features`, one thread: what standardising, nodes and noise cost."""
    monkeypatch.setenv("SOMRAY_NUM_THREADS", "1")
    size = size if timed else 48
    teacher = Teacher(grid=(5, 5), modality=modality).fit(picture(size))
    image, window = picture(size, seed=1), teacher.model.windows[0]
    works = {
        "features": lambda: features(image, window),
        "predict": lambda: teacher.predict(image),
    }
    found = interleaved(works, 10.0 if timed else 0.0)
    show(f"{modality} slice never seen, {image.shape}, 25 nodes", found, "features")
    (_, alone), (_, whole) = found.values()
    print(f"predict / features: {whole / alone:.2f} by the least times")
    labels = teacher.predict(image)
    assert labels.shape == image.shape
    assert (labels > 0).all()


def test_a_slice_with_its_neighbours(timed):
    block = np.stack([picture(256 if timed else 24)] * 7)[None]
    works = {
        "plane": lambda: feature_stack(block[:, 3], [WINDOW]),
        "with neighbours": lambda: list(slab_features(block, [WINDOW], inner=(3, 4))),
    }
    show(f"ten features of {block.shape[2:]}", interleaved(works, 3.0 if timed else 0.0), "plane")
    found, plane = works["with neighbours"]()[0], works["plane"]()
    assert np.abs(found - plane).max() < 1e-5


def test_a_huge_slice_takes_the_memory_of_its_result(timed):
    import tracemalloc

    size = 8192 if timed else 1024
    _, models = slice_and_models(False)
    image = np.tile(picture(512), (size // 512, size // 512))[None, None]
    tracemalloc.start()
    start = time.perf_counter()
    found = apply_teacher(models[1], image, (1.0, 1.0))
    spent = time.perf_counter() - start
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    beyond = (peak - found.labels.nbytes - found.confidence.nbytes) / 2**20
    print(f"\n{size}×{size}, 25 nodes: {spent:.2f} s, {beyond:.1f} MiB beyond the result")
    assert beyond < 8
