import itertools

import numpy as np
import pytest

from somray.domain.geometry import Geometry
from somray.kernels.lesions.peak import SPHERE_MM, PeakMeter, sphere_rows
from tests.kernels.naive_figures import peak

SPACINGS = [(3.0, 2.0, 2.0), (2.0, 2.5, 4.0), (7.0, 3.0, 3.0)]
CUTS = {"planes": [1] * 12, "unequal": [5, 1, 4, 2], "whole": [12], "with an empty slab": [6, 0, 6]}


def scene(seed=0, shape=(12, 14, 15)):
    rng = np.random.default_rng(seed)
    image = rng.gamma(2.0, 2.0, shape).astype(np.float32)
    labels = np.zeros(shape, dtype=int)
    labels[4:7, 5:8, 6:9] = 1
    labels[0:2, 0:2, 0:2] = 2  # in the corner: no sphere fits
    labels[8:11, 3:12, 4:11] = 3
    image[9, 7, 7] = np.nan
    return image, labels


def peaks_in_slabs(image, labels, spacing, sizes):
    meter = PeakMeter(Geometry.from_spacing(image.shape, spacing), int(labels.max()))
    for z0, z1 in itertools.pairwise(np.cumsum([0, *sizes]).tolist()):
        first = max(0, z0 - meter.reach[0])
        about = image[first : z1 + meter.reach[0]]
        meter.add_brick(labels[z0:z1].astype(np.int32), about, (z0 - first, 0, 0))
    return meter.peaks[1:]


def peaks_in_tiles(image, labels, spacing, size):
    meter = PeakMeter(Geometry.from_spacing(image.shape, spacing), int(labels.max()))
    for corner in itertools.product(*(range(0, n, size) for n in labels.shape)):
        box = tuple(slice(c, c + size) for c in corner)
        low = [max(0, c - r) for c, r in zip(corner, meter.reach, strict=True)]
        outer = tuple(
            slice(a, c + size + r) for a, c, r in zip(low, corner, meter.reach, strict=True)
        )
        inset = tuple(c - a for c, a in zip(corner, low, strict=True))
        meter.add_brick(labels[box].astype(np.int32), image[outer], inset)
    return meter.peaks[1:]


def test_a_millilitre_is_what_the_sphere_holds():
    rows = sphere_rows(Geometry.from_spacing((99, 99, 99), (0.25, 0.25, 0.5)))
    voxels = (rows[:, 3] - rows[:, 2] + 1).sum()
    assert voxels * 0.25 * 0.25 * 0.5 == pytest.approx(1000.0, rel=0.01)
    assert pytest.approx(6.2035, abs=1e-4) == SPHERE_MM


@pytest.mark.parametrize("spacing", SPACINGS)
def test_peaks_equal_every_sphere_added_up_voxel_by_voxel(spacing):
    image, labels = scene()
    found = peaks_in_slabs(image, labels, spacing, [12])
    for lesion, value in enumerate(found.tolist(), start=1):
        expected = peak(image, labels == lesion, spacing, SPHERE_MM)
        assert value == pytest.approx(np.nan if expected is None else expected, nan_ok=True)
    assert np.isnan(found[1])
    assert not np.isnan(found[0])


@pytest.mark.parametrize("sizes", CUTS.values(), ids=CUTS)
def test_peaks_do_not_depend_on_the_slabs(sizes):
    image, labels = scene(3)
    whole = peaks_in_slabs(image, labels, SPACINGS[0], [12])
    cut = peaks_in_slabs(image, labels, SPACINGS[0], sizes)
    assert np.array_equal(cut, whole, equal_nan=True)


def test_tiles_of_slices_change_no_more_than_last_digits():
    image, labels = scene(3)
    whole = peaks_in_slabs(image, labels, SPACINGS[1], [12])
    cut = peaks_in_tiles(image, labels, SPACINGS[1], 5)
    assert cut == pytest.approx(whole, rel=1e-12, nan_ok=True)


def test_a_sphere_that_meets_missing_data_counts_for_nothing():
    image = np.ones((9, 9, 9), dtype=np.float32)
    image[4, 4, 4] = 50.0
    labels = np.zeros((9, 9, 9), dtype=int)
    labels[4, 4, 4] = 1
    spacing = (3.0, 3.0, 3.0)
    assert peaks_in_slabs(image, labels, spacing, [9])[0] > 1.0
    image[4, 4, 6] = np.nan
    assert np.isnan(peaks_in_slabs(image, labels, spacing, [9])[0])
    image[4, 4, 6], image[4, 4, 7] = 1.0, np.nan  # just outside the sphere
    assert not np.isnan(peaks_in_slabs(image, labels, spacing, [9])[0])


def test_the_hottest_voxel_need_not_be_the_centre():
    image = np.zeros((11, 11, 11), dtype=np.float32)
    image[5, 5, 2] = 100.0  # on the rim of the lesion; two voxels in, the sphere gains the other
    image[5, 5, 6] = 90.0
    labels = np.zeros((11, 11, 11), dtype=int)
    labels[5, 5, 2:7] = 1
    spacing = (3.0, 3.0, 3.0)
    voxels = int((np.diff(sphere_rows(Geometry.from_spacing((11,) * 3, spacing))[:, 2:]) + 1).sum())
    assert peaks_in_slabs(image, labels, spacing, [11])[0] == pytest.approx(190.0 / voxels)
