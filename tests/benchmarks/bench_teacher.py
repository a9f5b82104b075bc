"""Features and the whole slice against peers in one process, and lesions against experts' masks.

`python -m pytest tests/benchmarks/bench_teacher.py --bench -s` times and prints; without `--bench` each
runs once, small, as a test that it still works. Choices made by these figures: windows and weights of
PETCT in `kernels/windows.py` and `kernels/teacher.py`. The map's own stand in `bench_som.py`.
"""

import statistics
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from somray.kernels.features import features
from somray.kernels.reference import slice_interest
from somray.kernels.teacher import TeacherSpec, apply_teacher, fit_teacher
from somray.kernels.teacher_level import subject_histogram, subject_level

SUBJECTS = ("001", "002", "003", "004", "012", "014", "022", "031")
CHANNELS = ("CT", "PET")

pytestmark = pytest.mark.bench


@pytest.fixture
def timed(request):
    return bool(request.config.getoption("--bench"))


def milliseconds(work, repeats):
    work()
    spent = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        spent.append(1e3 * (time.perf_counter() - start))
    return statistics.median(spent)


def picture(size):
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:size, :size]
    body = 60.0 * (np.hypot(y - size / 2, x - size / 2) < size / 3) - 40
    return (body + 15 * np.sin(x / 9) + rng.normal(0, 12, body.shape)).astype(np.float32)


def test_features_against_scipy(timed):
    sys.path.insert(0, str(Path(__file__).parents[1] / "kernels"))
    import naive_features

    image = picture(512 if timed else 64)
    ours = milliseconds(lambda: features(image, (-100.0, 100.0)), 15 if timed else 1)
    scipy = milliseconds(lambda: naive_features.features(image, (-100.0, 100.0)), 5 if timed else 1)
    print(f"\nfeatures {image.shape}: {ours:.2f} ms; scipy in float64 {scipy:.1f} ms")
    found, expected = (f(image, (-100.0, 100.0)) for f in (features, naive_features.features))
    assert np.abs(found - expected).max() < 1e-4


def test_a_slice_from_image_to_labels(timed):
    image = picture(512 if timed else 64)[None, None]
    model = fit_teacher(image, TeacherSpec("CT", ("CT",)), (1.0, 1.0)).model
    whole = milliseconds(lambda: apply_teacher(model, image, (1.0, 1.0)), 9 if timed else 1)
    alone = milliseconds(lambda: features(image[0, 0], model.windows[0]), 9 if timed else 1)
    print(f"\nfrom image to labels {image.shape}: {whole:.1f} ms, of it features {alone:.1f} ms")
    assert (apply_teacher(model, image, (1.0, 1.0)).labels > 0).all()


def load(root, subject):
    """Read CT, PET on CT's grid, and the experts' mask."""
    import SimpleITK

    folder = root / f"petct_sarcoma_cohort/STS_{subject}"
    if subject == "002":
        folder = root / "petct_sarcoma_STS002"
    ct = SimpleITK.ReadImage(str(folder / "CT_image.nii.gz"), SimpleITK.sitkFloat32)
    pet = SimpleITK.ReadImage(str(folder / "PET_image.nii.gz"), SimpleITK.sitkFloat32)
    pet = SimpleITK.Resample(
        pet, ct, SimpleITK.Transform(), SimpleITK.sitkLinear, float("nan"), SimpleITK.sitkFloat32
    )
    mask = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(folder / "CT_mask.nii.gz"))) > 0
    image = np.stack([SimpleITK.GetArrayFromImage(ct), SimpleITK.GetArrayFromImage(pet)], axis=1)
    level = subject_level(subject_histogram(image, "PETCT", CHANNELS), "PETCT")
    return image, mask, level, ct.GetSpacing()[1::-1]


def test_lesions_against_experts_carried_over_from_one_subject(timed, real_data):
    subjects = SUBJECTS if timed else ("003", "012")
    scans = {subject: load(real_data, subject) for subject in subjects}
    means = []
    for source in subjects:
        image, _, level, spacing = scans[source]
        rates = [slice_interest(s, "PETCT", (None, None), CHANNELS) for s in image]
        best = int(np.argmax(rates))
        spec = TeacherSpec("PETCT", CHANNELS)
        model = fit_teacher(image[best : best + 1], spec, spacing, level).model
        scores = []
        for target in subjects:
            other, mask, own, step = scans[target]
            lesion = apply_teacher(model, other, step, own).labels == 3
            scores.append(2 * (lesion & mask).sum() / (lesion.sum() + mask.sum()))
        means.append(float(np.mean(scores)))
        print(f"\nfitted on {source} z {best}: mean {means[-1]:.3f}", np.round(scores, 2), end="")
    print(f"\nspread between fitting subjects {max(means) - min(means):.3f}")
    assert min(means) > 0.6
