"""How well the surroundings of a lesion tell a true registration from a false one.

`SOMRAY_TEST_DATA=… python -m pytest tests/benchmarks/bench_surroundings.py --bench -s` puts balls where
there is tissue, takes the shells around them in two sessions, and prints how often they correlate below
`MISALIGNED_BELOW`: under the true registration, where that leaves a true change open, and under shifts,
where it keeps an invented one from being told. Without `--bench` one synthetic subject.

The figures chose `MISALIGNED_BELOW`, `LEAST_TEXTURE`, `CLEAR_PIXELS` and `MARGIN_PIXELS` in
kernels/surroundings.py. Pairs: two sessions of synthetic subjects by their true movement; the lung pair of
the shared data, which is aligned; two real scans and themselves, turned and shifted by known amounts and
resampled, each with smooth noise of its own.
"""

import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial.transform import Rotation

from somray.domain.geometry import Geometry
from somray.kernels.evolution.common_frame import place_lesions
from somray.kernels.evolution.surroundings import (
    MISALIGNED_BELOW,
    Shells,
    correlation,
    values_in_block,
)
from somray.phantom import make_subject
from tests.kernels.whole_lesions import session_lesions

pytestmark = pytest.mark.bench

SHIFTS = (0, 2, 5, 8, 12)  # pixels
RADIUS_PIXELS = 4.0
SEED = 7


def read(path):
    import SimpleITK

    image = SimpleITK.ReadImage(str(path), SimpleITK.sitkFloat32)
    matrix = np.eye(4)
    matrix[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) @ np.diag(image.GetSpacing())
    matrix[:3, 3] = image.GetOrigin()
    values = SimpleITK.GetArrayFromImage(image)
    return values, Geometry.from_matrix(values.shape, matrix)


def balls(grid, centres):
    """Draw a ball around each centre (n, 3) in z, y, x; where two meet, the later one's."""
    pixel = grid.spacing_mm[2]
    reach = np.ceil(RADIUS_PIXELS * pixel / np.array(grid.spacing_mm)).astype(int)
    box = np.stack(np.meshgrid(*[np.arange(-r, r + 1) for r in reach], indexing="ij"), -1)
    box = box.reshape(-1, 3)
    ball = box[np.linalg.norm(box * grid.spacing_mm, axis=1) <= RADIUS_PIXELS * pixel]
    drawn = np.zeros(grid.shape, dtype=np.int32)
    for number, centre in enumerate(centres, 1):
        voxels = centre + ball
        held = ((voxels >= 0) & (voxels < np.array(grid.shape))).all(axis=1)
        drawn[tuple(voxels[held].T)] = number
    return drawn


def correlations(one, other, tissue, rng, shift, count):
    """Correlate shells around balls in tissue; `other` is an image, its grid and its way to the first."""
    image, grid = one
    where = np.argwhere(tissue)
    drawn = balls(grid, where[rng.choice(len(where), count, replace=False)])
    lesions = place_lesions(session_lesions("a", grid, drawn), np.eye(4))
    none = session_lesions("b", other[1], np.zeros(other[1].shape, dtype=np.int32))
    found = []
    for position in range(len(lesions.numbers)):
        step = rng.normal(size=3) * [1.0, 1.0, 0.5]
        matrix = other[2].copy()
        matrix[:3, 3] += step / np.linalg.norm(step) * shift * grid.spacing_mm[2]
        ((here, there),) = Shells(lesions, place_lesions(none, matrix)).points([position])
        if len(here):
            values = values_in_block(image, here), values_in_block(other[0], there)
            found.append(correlation(*values))
    return found


def told(name, one, other, tissue, count=150):
    """Print a row per shift; return the share below the threshold of each."""
    rng, shares = np.random.default_rng(1), []
    for shift in SHIFTS:
        found = correlations(one, other, tissue, rng, shift, count)
        known = np.array([v for v in found if v is not None])
        shares.append(float((known < MISALIGNED_BELOW).mean()))
        low, middle = np.percentile(known, [5, 50])
        print(
            f"{name:34s} {shift:3d} px: 5 % {low:5.2f}, median {middle:5.2f}, below "
            f"{MISALIGNED_BELOW} {shares[-1]:.3f}, too little texture {len(found) - len(known)}"
        )
    return shares


def phantom_pair(modality, shape):
    first, later = make_subject(modality, shape, 2, SEED, 0)
    channel = next(iter(first.images))
    one = (first.images[channel], first.geometries[channel])
    back = np.linalg.inv(later.movement)
    other = (later.images[channel], later.geometries[channel], back)
    tissue = first.images[channel] > (-200 if modality != "xct" else 12000)
    # Far from any lesion: these shells know nothing of it, and what truly changes is no surroundings.
    far = ndimage.distance_transform_edt((first.lesions == 0) & (later.lesions == 0)) > 12
    inside = ndimage.binary_erosion(tissue, iterations=2) & far
    return one, other, inside


def smooth_noise(shape, rng, hu):
    noise = ndimage.gaussian_filter(rng.normal(size=shape), (0, 1, 1))
    return noise / noise.std() * hu


def moved_pair(path, hu):
    """A real scan and itself moved, each with its own noise."""
    image, grid = read(path)
    rng = np.random.default_rng(2)
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", [1, -1, 3], degrees=True).as_matrix()
    middle = grid.to_world(np.array(grid.shape, dtype=float)[None] / 2)[0]
    matrix[:3, 3] = middle - matrix[:3, :3] @ middle + [4.3, -3.2, 2.1]
    world = grid.to_world(np.argwhere(np.ones(grid.shape, dtype=bool)).astype(float))
    there = grid.to_index(world @ matrix[:3, :3].T + matrix[:3, 3]).T
    later = ndimage.map_coordinates(image, there, order=1, cval=-1000.0).reshape(grid.shape)
    noise = [smooth_noise(grid.shape, rng, hu) for _ in range(2)]
    body = ndimage.binary_erosion(image > -200, iterations=3)
    one = ((image + noise[0]).astype(np.float32), grid)
    return one, ((later + noise[1]).astype(np.float32), grid, matrix), body


def test_true_registrations_agree_around_lesions_and_shifted_ones_do_not(request):
    timed = bool(request.config.getoption("--bench"))
    for modality in ("ct", "petct", "xct") if timed else ("ct",):
        shape = (32, 128, 128) if modality != "xct" else (48, 96, 96)
        pair = phantom_pair(modality, shape if timed else (16, 64, 64))
        shares = told(f"synthetic {modality}", *pair, count=150 if timed else 40)
        assert shares[0] < 0.1  # pores of the specimen lie, and change, within other shells
        # A small scan is mostly the body's border, along which much looks alike.
        assert shares[-1] > (0.5 if timed else 0.2)


def test_real_surroundings_agree_too(request, real_data):
    if not request.config.getoption("--bench"):
        pytest.skip("real scans: --bench only")
    first, grid = read(real_data / "longitudinal_lung_ct/baseline_half_res.mha")
    later = (*read(real_data / "longitudinal_lung_ct/followup_on_baseline_grid.mha"), np.eye(4))
    rows = [told("lung, aligned pair", (first, grid), later, (first > -1000) & (first < 1300))]
    for name in ("ct_abdomen_CRLM1004", "ct_aorta_dissection"):
        for hu in (0, 25):
            pair = moved_pair(real_data / f"{name}/ct.nii.gz", hu)
            rows.append(told(f"{name}, {hu} HU of noise", *pair))
    assert all(row[0] < 0.03 for row in rows[:1] + rows[1::2])
    assert all(row[0] < 0.15 for row in rows)
    assert all(row[-1] > 0.5 for row in rows)
