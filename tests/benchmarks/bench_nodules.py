"""Nodules in the lung, `objects: {rule: lung}`: balls planted into real lungs, and what is called lesion where none is.

`SOMRAY_TEST_DATA=… python -m pytest tests/benchmarks/bench_nodules.py --bench -s` prints the table; without `--bench`
one scan and size run, as a test that it works. A ball of 30 HU, blurred by .8 mm, is put at random into lung at least
its radius and 4 mm away from wall and mediastinum, vessels left as they are; one a scan and draw.

The rule's limits were chosen on other scans (lung1 of pyradiomics, platipy's test case, a lung nodule's crop) and on
what is called lesion in these without a ball; recall was not looked at before.
"""

from dataclasses import dataclass

import numpy as np
import pytest
from scipy import ndimage

from somray.domain.geometry import Geometry
from somray.kernels.objects.found import DOUBT, LESION
from somray.kernels.objects.grid import BlockMeans, object_grid
from somray.kernels.objects.lung.rule import LUNG_GRID_MM, find_in_lung
from somray.kernels.objects.lung.space import look_at_lung

SCANS = (
    "longitudinal_lung_ct/followup_on_baseline_grid.mha",
    "longitudinal_lung_ct/baseline_half_res.mha",
    "ct_aorta_dissection/ct.nii.gz",
    "ct_abdomen_CRLM1004/ct.nii.gz",
)
DIAMETERS_MM = (6.0, 8.0, 10.0, 15.0, 20.0)
DRAWS = 12
NODULE_HU, BLUR_MM, APART_MM = 30.0, 0.8, 4.0

pytestmark = pytest.mark.bench


@dataclass
class Lung:
    """A scan, and where a ball's middle may lie."""

    image: np.ndarray
    geometry: object
    depth_mm: np.ndarray


def lung_of(path):
    import SimpleITK

    read = SimpleITK.ReadImage(str(path), SimpleITK.sitkFloat32)
    image = SimpleITK.GetArrayFromImage(read)
    image[image < -1500] = -1000.0  # outside the scanner's circle
    geometry = Geometry.from_matrix(image.shape, np.diag([*read.GetSpacing(), 1.0]))
    scene = look_at_lung(image, geometry.spacing_mm)
    depth = np.zeros(image.shape)
    inside = ndimage.distance_transform_edt(scene.space, sampling=geometry.spacing_mm)
    depth[scene.window] = np.where(scene.lung, inside, 0.0)
    return Lung(image, geometry, depth)


def planted(lung, diameter_mm, seed):
    """Return the image with one ball, and the ball; None where no place is deep enough."""
    rng = np.random.default_rng(seed)
    places = np.argwhere(lung.depth_mm >= diameter_mm / 2 + APART_MM)
    if not len(places):
        return None
    middle = places[rng.integers(len(places))]
    at = np.ogrid[tuple(slice(n) for n in lung.image.shape)]
    spacing = lung.geometry.spacing_mm
    apart = np.sqrt(sum(((a - c) * s) ** 2 for a, c, s in zip(at, middle, spacing, strict=True)))
    share = np.clip((diameter_mm / 2 - apart) / BLUR_MM / 2 + 0.5, 0, 1)
    return (lung.image + share * (NODULE_HU - lung.image)).astype(np.float32), share >= 0.5


def found_in(image, geometry):
    grid = object_grid(geometry, LUNG_GRID_MM, False)
    blocks = BlockMeans(grid, 1)
    blocks.add(image[None], 0)
    labels, objects = find_in_lung(blocks.finish()[0], grid.spacing_mm)
    return grid.draw(labels, 0, image.shape[0]), objects


def test_recall_by_size(real_data, request):
    full = request.config.getoption("--bench")
    scans, sizes = (SCANS, DIAMETERS_MM) if full else (SCANS[1:2], (15.0,))
    for name in scans:
        lung = lung_of(real_data / name)
        _, without = found_in(lung.image, lung.geometry)
        calls = [o.called for o in without]
        print(
            f"\n{name}: without a ball {calls.count(LESION)} lesions, {calls.count(DOUBT)} doubts"
        )
        for size in sizes:
            lesions = doubts = tried = 0
            dice = []
            for seed in range(DRAWS if full else 2):
                made = planted(lung, size, seed)
                if made is None:
                    continue
                tried += 1
                drawn, objects = found_in(made[0], lung.geometry)
                hit = np.bincount(drawn[made[1]], minlength=len(objects) + 1)
                number = int(hit[1:].argmax()) + 1 if hit[1:].any() else 0
                call = next((o.called for o in objects if o.number == number), None)
                lesions, doubts = lesions + (call == LESION), doubts + (call == DOUBT)
                if call == LESION:
                    own = drawn == number
                    dice.append(2 * (own & made[1]).sum() / (own.sum() + made[1].sum()))
            mean = f"{np.mean(dice):.2f}" if dice else "–"
            print(f"  {size:4.0f} mm: {lesions} lesion, {doubts} doubt of {tried}; Dice {mean}")
        if not full:
            assert lesions + doubts >= 1
