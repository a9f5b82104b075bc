"""Lesions of a carried teacher against experts' masks.

`python -m pytest tests/benchmarks/bench_teacher.py --bench -s` times and prints; without `--bench` each
runs once, small, as a test that it still works. Choices made by these figures: windows and weights of
PETCT in `kernels/windows.py` and `kernels/teacher.py`. The map's own stand in `bench_som.py`, the
features' and the transfer's in `bench_features.py`.
"""

import numpy as np
import pytest

from somray.kernels.reference import slice_interest
from somray.kernels.teacher import TeacherSpec, apply_teacher, fit_teacher
from somray.kernels.teacher_level import subject_histogram, subject_level

SUBJECTS = ("001", "002", "003", "004", "012", "014", "022", "031")
CHANNELS = ("CT", "PET")

pytestmark = pytest.mark.bench


@pytest.fixture
def timed(request):
    return bool(request.config.getoption("--bench"))


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
