"""Does the drift check see what changed, and keep quiet where nothing did?

`python -m pytest tests/benchmarks/bench_drift.py --bench -s` prints a row for each scan, as it is and
changed on purpose; without `--bench` only `ct_3slices` runs, as a test. The teacher is fitted on one
slice, the check looks at slices spread over the whole scan. It chose the thresholds in
`kernels/drift.py`.
"""

import numpy as np
import pytest
import SimpleITK
from scipy.ndimage import gaussian_filter

from somray.domain.channel import Channel
from somray.kernels.features.view import ScanSlices
from somray.kernels.features.windows import auto_window
from somray.kernels.teacher.apply import Transfer
from somray.kernels.teacher.fit import TeacherSpec, fit_teacher
from somray.kernels.teacher.interest import slice_interest
from somray.kernels.teacher.signature import drift_from

pytestmark = pytest.mark.bench

SCANS = {
    "ct_3slices": ("CT", "ct_3slices/dicom"),
    "CRLM1004": ("CT", "ct_abdomen_CRLM1004/ct.nii.gz"),
    "aorta": ("CT", "ct_aorta_dissection/ct.nii.gz"),
    "brain1": ("MR", "mri_brain_tumour/brain1_image.nrrd"),
    "fiberform": ("XCT", "xct_materials/fiberform_100.tif"),
    "weave": ("XCT", "xct_materials/weave_150.tif"),
}
SLICES = 8


def load(path):
    """Read a volume (z, y, x) and its in-plane spacing (y, x)."""
    if path.is_dir():
        images = [SimpleITK.ReadImage(str(p), SimpleITK.sitkFloat32) for p in path.glob("*.dcm")]
        images.sort(key=lambda image: image.GetOrigin()[2])
        volume = np.concatenate([SimpleITK.GetArrayFromImage(image) for image in images])
    else:
        images = [SimpleITK.ReadImage(str(path), SimpleITK.sitkFloat32)]
        volume = SimpleITK.GetArrayFromImage(images[0])
    return volume.astype(np.float32), images[0].GetSpacing()[1::-1]


def changed(volume, modality):
    """Yield what the check should see: name and changed volume."""
    low, high = np.quantile(volume, [0.005, 0.995])
    unit, zero = (1.0, -1000.0) if modality == "CT" else ((high - low) / 1000.0, 0.0)
    noise = np.random.default_rng(0).normal(0, 40.0 * unit, volume.shape)
    yield "values x 1.2", (volume - zero) * 1.2 + zero
    yield "+100 HU or 12 %", volume + (100.0 if modality == "CT" else 120.0 * unit)
    yield "blur 2 pixels", gaussian_filter(volume, (0, 2.0, 2.0))
    yield "noise 40 HU or 4 %", volume + noise


def judged(model, volume, spacing):
    slices = ScanSlices(volume.astype(np.float32)[:, None], spacing)
    return drift_from(model, Transfer(model).sign(slices).signature.drift)


def told(name, found):
    sharp = "-" if found.sharpness is None else f"{found.sharpness:.2f}"
    print(
        f"\n{name:32s} {found.status:8s} ratio {found.distance_ratio:.2f} far "
        f"{found.far_fraction:.3f} sharpness {sharp} {found.feature} {found.shift:+.2f}",
        end="",
    )


@pytest.mark.parametrize("name", SCANS)
def test_unchanged_scans_are_ok_and_changed_ones_drift(request, real_data, name):
    if not request.config.getoption("--bench") and name != "ct_3slices":
        pytest.skip("the other scans run with --bench")
    modality, path = SCANS[name]
    volume, spacing = load(real_data / path)
    window = auto_window(volume, modality, Channel(modality, modality))
    rates = [slice_interest(s[None], modality, (window,), (modality,)) for s in volume]
    best = int(np.argmax(rates))
    spec = TeacherSpec(modality, (modality,), (window,))
    model = fit_teacher(volume[None, best : best + 1], spec, spacing).model
    some = volume[np.unique(np.linspace(0, len(volume) - 1, SLICES).round().astype(int))]
    same = judged(model, some, spacing)
    told(name, same)
    seen = {}
    for what, other in changed(some, modality):
        found = judged(model, other, spacing)
        told(f"  {what}", found)
        seen[what] = found.status == "drifted"
    assert same.status == "ok"
    assert seen["+100 HU or 12 %"]
    assert seen["blur 2 pixels"]
