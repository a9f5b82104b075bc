"""Plane registration on known motions of real neighbouring slices, against the seed's way, one thread.

`python -m pytest tests/benchmarks/bench_registration.py --bench -s` prints the table; without `--bench` a
few pairs run as a test. Thresholds of `kernels/registration/verdict.py` and `automatic.py` were chosen
on pairs drawn like these with other seeds. Errors are mean distances over the middle 70 % of the slice
and hold real change of anatomy; the control moves the same slice, so it holds none.
"""

import statistics
import sys
import time
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "kernels" / "registration"))

import scans
from known_motion import error_px, error_voxels, move_slice, move_volume, rigid, similarity

from somray.domain.geometry import Geometry
from somray.kernels.registration import register, register_volumes

pytestmark = pytest.mark.bench
ROWS = (
    ("auto", "kaze", "auto"),
    ("KAZE homography", "kaze", "homography"),
    ("KAZE similarity", "kaze", "similarity"),
    ("SIFT similarity", "sift", "similarity"),
    ("AKAZE similarity", "akaze", "similarity"),
)


def volumes(folder):
    yield "three slices", scans.three_slices(folder)
    yield "abdomen", scans.abdomen(folder)
    yield "aorta", scans.aorta(folder)
    yield "fibres", scans.fibres(folder)
    for subject in ("001", "003", "014", "022"):
        yield f"CT {subject}", scans.sarcoma(folder, subject)
        yield f"PET {subject}", scans.sarcoma(folder, subject, "PET")


def pairs(folder, per_volume, seed=100):
    """Yield fixed, moved neighbour, moved fixed, unrelated slice, motion."""
    rng = np.random.default_rng(seed)
    loaded = list(volumes(folder))
    for number, (_, volume) in enumerate(loaded):
        kind = "PET" if loaded[number][0].startswith("PET") else ""
        strangers = [v for n, v in loaded if n.startswith(kind) and v is not volume]
        for z in rng.choice(len(volume) - 1, min(per_volume, len(volume) - 1), replace=False):
            shape = volume[z].shape
            shift = rng.uniform(-0.15, 0.15, 2) * shape[::-1]
            matrix = similarity(shape, rng.uniform(-45, 45), rng.uniform(0.8, 1.2), shift)
            stranger = strangers[rng.integers(len(strangers))]
            other = stranger[rng.integers(len(stranger))]
            moved = move_slice(volume[z + 1], matrix)
            yield volume[z], moved, move_slice(volume[z], matrix), other, matrix


def run(cases, detector, model):
    errors, control, milliseconds, invented, refused = [], [], [], 0, 0
    for fixed, moved, same, other, matrix in cases:
        start = time.process_time()
        found = register(fixed, moved, detector, model)
        milliseconds.append(1e3 * (time.process_time() - start))
        refused += found.matrix is None
        if found.matrix is not None:
            errors.append(error_px(found.matrix, matrix, fixed.shape))
        found = register(fixed, same, detector, model)
        if found.matrix is not None:
            control.append(error_px(found.matrix, matrix, fixed.shape))
        for wrong in (moved[:, ::-1], other):
            invented += register(fixed, wrong, detector, model).matrix is not None
    return errors, control, milliseconds, refused, invented


def test_planes_moved_by_a_known_similarity(real_data, request):
    timed = bool(request.config.getoption("--bench"))
    cases = list(pairs(real_data, 3 if timed else 1))
    cases = cases if timed else cases[1:5]
    print(f"\n{len(cases)} pairs | median px | > 5 px | refused | control px | invented | ms (CPU)")
    for name, detector, model in ROWS if timed else ROWS[:1]:
        errors, control, spent, refused, invented = run(cases, detector, model)
        bad = sum(e > 5 for e in errors)
        print(
            f"{name:17s} | {statistics.median(errors):.2f} | {bad}/{len(errors)} | {refused} | "
            f"{statistics.median(control):.3f} (max {max(control):.2f}) | "
            f"{invented}/{2 * len(cases)} | {statistics.median(spent):.0f}"
        )
        if model == "auto":
            assert statistics.median(errors) <= 1.4
            assert statistics.median(control) < 0.1
            assert invented == 0


def test_sessions_moved_by_a_known_rigid_motion(real_data, request):
    timed = bool(request.config.getoption("--bench"))
    rng = np.random.default_rng(3)
    sources = [("aorta", scans.aorta(real_data)[::2, ::2, ::2], (3.0, 3.0, 3.0))]
    if timed:
        sources.append(("abdomen", scans.abdomen(real_data), (5.0, 0.797, 0.797)))
        sources.append(("thigh", scans.sarcoma(real_data, "022"), (3.27, 0.977, 0.977)))
    for name, volume, spacing in sources:
        grid = Geometry.from_spacing(volume.shape, spacing)
        reach = 0.15 * np.array(volume.shape[::-1]) * np.array(spacing[::-1])
        matrix = rigid(grid, rng.uniform(-5, 5, 3), rng.uniform(-1, 1, 3) * reach)
        moving = move_volume(volume, grid, matrix, grid, noise=20)
        start = time.process_time()
        found = register_volumes(volume, moving, grid, grid)
        spent = time.process_time() - start
        error = error_voxels(found.matrix, matrix, grid)
        print(f"\n{name} {volume.shape}: {found.status}, {error:.3f} voxels, {spent:.1f} s CPU")
        assert error < 0.5
