"""Session pairs: ours against SimpleITK on known motions, what must be refused, and whole groups.

`python -m pytest tests/benchmarks/bench_sessions.py --bench -s` prints the tables; without `--bench` a few
cases run as a test. Errors are medians over the middle of the volume, in fixed voxels. Thresholds were
chosen on `tuning_volumes` and on phantoms of another seed (session_cases.py), none of which is shown here.
"""

import itertools
import statistics
import time
from collections import Counter

import numpy as np
import pytest
import SimpleITK

from somray.domain.geometry import Geometry
from somray.kernels.registration import SpaceOptions, register_volumes
from somray.kernels.registration.space.group import GroupPair, align_group, first_pairs
from somray.kernels.registration.space.motions import corners_of
from somray.phantom import make_subject
from tests.benchmarks.session_cases import bench_volumes, hopeless, known, phantom_pairs
from tests.kernels.registration import scans
from tests.kernels.registration.known_motion import error_voxels

pytestmark = pytest.mark.bench
SEED = 2026
PEOPLE = ("001", "003", "004", "012", "014", "022", "031")


def ours(case):
    return register_volumes(case.fixed, case.moving, case.fixed_grid, case.moving_grid).matrix


def with_itk(case):
    """Our start and verdict, SimpleITK's refinement: `engine: simpleitk`."""
    options = SpaceOptions("rigid", engine="simpleitk")
    grids = case.fixed_grid, case.moving_grid
    return register_volumes(case.fixed, case.moving, *grids, options).matrix


def itk_alone(case):
    """SimpleITK as its own examples use it: centres laid on each other, two levels (the finer every
    second voxel, about our own working grid), Mattes; never refuses."""
    fixed, moving = (
        _image(a, g) for a, g in ((case.fixed, case.fixed_grid), (case.moving, case.moving_grid))
    )
    start = SimpleITK.CenteredTransformInitializer(
        fixed, moving, SimpleITK.Euler3DTransform(),
        SimpleITK.CenteredTransformInitializerFilter.GEOMETRY,
    )  # fmt: skip
    method = SimpleITK.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(50)
    method.SetMetricSamplingStrategy(method.RANDOM)
    method.SetMetricSamplingPercentage(0.2, SEED)
    method.SetInterpolator(SimpleITK.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(2.0, 1e-4, 200)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel([4, 2])
    method.SetSmoothingSigmasPerLevel([2, 1])
    method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOn()
    method.SetInitialTransform(start, inPlace=False)
    SimpleITK.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    try:
        found = method.Execute(fixed, moving)
    except RuntimeError:
        return None
    ends = np.vstack([np.zeros(3), np.eye(3)])
    moved = np.array([found.TransformPoint(p.tolist()) for p in ends])
    sampling = np.eye(4)
    sampling[:3, 3] = moved[0]
    sampling[:3, :3] = (moved[1:] - moved[0]).T
    return np.linalg.inv(sampling)


def _image(array, grid):
    image = SimpleITK.GetImageFromArray(np.nan_to_num(array.astype(np.float32)))
    image.SetSpacing(grid.spacing_mm[::-1])
    image.SetOrigin(grid.matrix[:3, 3].tolist())
    image.SetDirection((grid.matrix[:3, :3] / np.array(grid.spacing_mm[::-1])).ravel().tolist())
    return image


WAYS = {"somray": ours, "engine simpleitk": with_itk, "SimpleITK alone": itk_alone}


def run(cases, ways):
    """Register every case each way, one after the other; errors, refusals and CPU seconds per way."""
    found = {name: [] for name in ways}
    for case in cases:
        for name, way in ways.items():
            start = time.process_time()
            matrix = way(case)
            spent = time.process_time() - start
            error = None if matrix is None else error_voxels(matrix, case.motion, case.fixed_grid)
            found[name].append((case.name, error, spent))
            said = "refused" if error is None else f"{error:.3f}"
            print(f"    {case.name:28s} {name:18s} {said:>8s} {spent:6.1f} s", flush=True)
    return found


def table(title, found):
    print(
        f"\n{title}: {len(next(iter(found.values())))} pairs | median | worst | > 1 | refused | s CPU"
    )
    for name, rows in found.items():
        errors = [e for _, e, _ in rows if e is not None] or [np.nan]
        seconds = statistics.median(s for _, _, s in rows)
        far = sum(e > 1 for e in errors)
        print(
            f"  {name:18s} {statistics.median(errors):8.3f} {max(errors):8.2f} {far:4d} "
            f"{sum(e is None for _, e, _ in rows):4d} {seconds:6.1f}"
        )  # fmt: skip


def test_sessions_moved_by_a_known_motion(real_data, request):
    timed = bool(request.config.getoption("--bench"))
    rng = np.random.default_rng(SEED)
    loaded = list(bench_volumes(real_data))
    if not timed:
        cases = list(known("aorta", loaded[0][1][::3, ::3, ::3], (4.5, 4.5, 4.5), rng))[3:5]
        found = run(cases, {"somray": ours})["somray"]
        assert max(e for _, e, _ in found) < 0.5
        return
    cases = [case for source in loaded for case in known(*source, rng)]
    found = run(cases, WAYS)
    table("known rigid motions of real volumes", found)
    assert all(e is not None and e < 1 for _, e, _ in found["somray"])


def test_what_cannot_be_true_is_refused(real_data, request):
    timed = bool(request.config.getoption("--bench"))
    volumes = list(bench_volumes(real_data))
    if not timed:
        volumes = [(n, v[:, ::3, ::3], (s[0], 3 * s[1], 3 * s[2])) for n, v, s in volumes[2:]]
    cases = list(hopeless(volumes, np.random.default_rng(SEED)))
    cases = cases if timed else cases[2:4]
    refused = Counter()
    for case in cases:
        matrix = ours(case)
        refused[matrix is None] += 1
        if matrix is not None:
            print(f"invented: {case.name}")
    print(f"\nmirrored, strange, blank, noise: {refused[True]} of {len(cases)} refused")
    assert refused[False] == 0


def test_other_people_are_refused(real_data, request):
    """Real ones, each onto each other; and synthetic ones, whose bodies are drawn from one plan."""
    if not request.config.getoption("--bench"):
        pytest.skip("a hundred pairs take minutes")
    people = [(s, scans.sarcoma(real_data, s), (3.27, 0.977, 0.977)) for s in PEOPLE]
    drawn = [make_subject("ct", (32, 128, 128), 1, SEED, k)[0] for k in range(6)]
    for kind, volumes in (
        ("real", [(v, Geometry.from_spacing(v.shape, mm)) for _, v, mm in people]),
        ("synthetic", [(s.images["CT"], s.geometries["CT"]) for s in drawn]),
    ):
        said = Counter()
        for (one, grid), (other, onto) in itertools.permutations(volumes, 2):
            found = register_volumes(one, other, grid, onto)
            said[found.status] += 1
        print(f"\n{kind} people onto each other: {dict(said)}")
        assert said["ok"] == 0


@pytest.mark.parametrize("modality", ["ct", "petct", "xct"])
def test_the_movement_of_synthetic_sessions_is_recovered(modality, request):
    timed = bool(request.config.getoption("--bench"))
    if not timed:
        (case,) = phantom_pairs(modality, 1, 2, SEED, (12, 64, 64))
        assert error_voxels(ours(case), case.motion, case.fixed_grid) < 0.5
        return
    cases = list(phantom_pairs(modality, 10, 4, SEED))
    found = run(cases, {"somray": ours})
    table(f"{modality}, 10 subjects × 4 sessions", found)
    table(f"{modality}, the first 2 of them", run(cases[:6], {"engine simpleitk": with_itk}))
    errors = [e for _, e, _ in found["somray"] if e is not None]
    assert len(errors) == len(cases)
    assert statistics.median(errors) < 0.5


def test_loops_bring_whole_groups_nearer_than_chains(request):
    if not request.config.getoption("--bench"):
        pytest.skip("ten groups of four sessions take minutes")
    chained, grouped, states = [], [], Counter()
    for subject in range(10):
        made = make_subject("ct", (32, 128, 128), 4, SEED, subject)
        grids = [s.geometries["CT"] for s in made]
        pairs = {}
        for a, b in first_pairs(4):
            images = made[a].images["CT"], made[b].images["CT"]
            found = register_volumes(*images, grids[a], grids[b])
            pairs[(a, b)] = GroupPair(found.matrix, found.status)
        members = align_group(
            4, pairs, [corners_of(g) for g in grids], 2 * max(grids[0].spacing_mm)
        )
        states.update(m.status for m in members)
        chain = np.eye(4)
        for k in range(1, 4):
            chain = chain @ pairs[(k - 1, k)].matrix
            if k > 1:
                chained.append(error_voxels(chain, made[k].movement, grids[0]))
                grouped.append(error_voxels(members[k].to_first, made[k].movement, grids[0]))
    for name, errors in (("chains", chained), ("groups", grouped)):
        print(f"\n{name}: median {statistics.median(errors):.3f}, worst {max(errors):.3f} voxel")
    print(dict(states))
    assert statistics.mean(grouped) < statistics.mean(chained)
