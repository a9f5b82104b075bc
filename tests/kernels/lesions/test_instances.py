import itertools
from dataclasses import replace

import nibabel
import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial import ConvexHull

from somray.domain.geometry import Geometry
from somray.errors import ShapeError
from somray.kernels.lesions.extent import ExtremePoints, largest_distance
from somray.kernels.lesions.instances import LesionMeter, lesions
from somray.kernels.lesions.parts import PartLabeller
from tests.kernels.naive_lesions import flood_fill, longest_axis, measure, padded
from tests.kernels.whole_lesions import facts_of

SPACING = (2.0, 1.0, 0.5)
CUTS = {"planes": (1, 99, 99), "slabs": (5, 99, 99), "whole": (99, 99, 99), "tiles": (3, 7, 6)}


def bricks_of(shape, size):
    """Cut a volume by z, y and x."""
    steps = [range(0, n, s) for n, s in zip(shape, size, strict=True)]
    for corner in itertools.product(*steps):
        ends = [min(c + s, n) for c, s, n in zip(corner, size, shape, strict=True)]
        yield corner, tuple(slice(a, b) for a, b in zip(corner, ends, strict=True))


def labelled_in_bricks(mask, size, min_voxels=1):
    """Label brick by brick; final numbers and facts."""
    labeller, provisional = PartLabeller(mask.shape[1:]), np.zeros(np.add(mask.shape, 2), np.int32)
    for corner, box in bricks_of(mask.shape, size):
        outer = tuple(slice(s.start, s.stop + 2) for s in box)
        numbers = labeller.add(mask[box], corner, provisional[outer].copy())
        provisional[outer][1:-1, 1:-1, 1:-1] = numbers
    lookup, facts = labeller.finish(min_voxels)
    return lookup[provisional[1:-1, 1:-1, 1:-1]], facts


@pytest.mark.parametrize("share", [0.02, 0.06, 0.1, 0.3])
def test_whole_volume_equals_flood_fill(share):
    mask = np.random.default_rng(3).random((9, 14, 15)) < share
    assert np.array_equal(lesions(mask, SPACING), flood_fill(mask))


@pytest.mark.parametrize("size", CUTS.values(), ids=CUTS)
@pytest.mark.parametrize("share", [0.03, 0.08, 0.5])
def test_bricks_equal_scipy_on_the_whole(size, share):
    mask = np.random.default_rng(5).random((12, 17, 19)) < share
    expected, _ = ndimage.label(mask, np.ones((3, 3, 3)))
    found, facts = labelled_in_bricks(mask, size)
    assert np.array_equal(found, expected)
    for name, column in vars(facts_of(expected)).items():
        assert np.array_equal(getattr(facts, name), column), name


@pytest.mark.parametrize("shift", list(itertools.product((-1, 0, 1), repeat=3)))
def test_bricks_join_over_faces_edges_and_corners(shift):
    mask = np.zeros((6, 6, 6), dtype=bool)
    mask[3, 3, 3] = mask[tuple(3 + n for n in shift)] = True  # 3 begins a brick
    assert labelled_in_bricks(mask, (3, 3, 3))[0].max() == 1


def test_bricks_join_what_meets_only_in_a_later_one():
    mask = np.zeros((12, 5, 9), dtype=bool)
    mask[:, 2, 1] = mask[:, 2, 7] = True
    mask[11, 2, 1:8] = True
    assert labelled_in_bricks(mask, (4, 3, 4))[0].max() == 1


def test_small_parts_are_dropped_by_what_they_are_in_all_bricks():
    mask = np.zeros((6, 4, 4), dtype=bool)
    mask[2:4, 1, 1] = mask[0, 3, 3] = True
    found, facts = labelled_in_bricks(mask, (3, 4, 4), min_voxels=2)
    assert np.array_equal(found > 0, mask & (np.indices(mask.shape)[0] > 0))
    assert facts.voxels.tolist() == [2]


def test_instances_below_the_least_volume_get_no_number():
    mask = np.zeros((4, 8, 8), dtype=bool)
    mask[0, 0, 0] = mask[2, 4, 4:7] = True
    assert lesions(mask, (1.0, 1.0, 1.0), min_volume_mm3=3.0).max() == 1
    assert lesions(mask, (1.0, 1.0, 1.0), min_volume_mm3=3.0)[0, 0, 0] == 0
    assert lesions(mask, (3.0, 1.0, 1.0), min_volume_mm3=3.0).max() == 2


def test_lesions_refuse_what_is_no_mask():
    with pytest.raises(ShapeError, match="bool"):
        lesions(np.zeros((3, 3, 3)), SPACING)
    with pytest.raises(ShapeError, match="spacing_mm"):
        lesions(np.zeros((3, 3, 3), dtype=bool), (1.0, 0.0, 1.0))
    with pytest.raises(ShapeError, match="surroundings"):
        PartLabeller((3, 3)).add(
            np.zeros((1, 3, 3), dtype=bool), (0, 0, 0), np.zeros((3, 5, 4), dtype=np.int32)
        )


def test_an_empty_mask_has_no_lesions():
    mask = np.zeros((3, 4, 5), dtype=bool)
    assert lesions(mask, SPACING).dtype == np.int32
    assert (
        measure(
            lesions(mask, SPACING), np.zeros(mask.shape), Geometry.from_spacing(mask.shape, SPACING)
        )
        == []
    )


def test_a_drawn_box_measures_as_drawn():
    matrix = np.array(
        [[0, 0, 2.0, 10], [1.0, 0, 0, 20], [0, -0.5, 0, 30], [0, 0, 0, 1]]
    )  # turned axes
    geometry = Geometry.from_matrix((6, 7, 8), matrix)
    labels = np.zeros(geometry.shape, dtype=np.int32)
    labels[1:4, 2:4, 3:8] = 1
    image = np.full(geometry.shape, 5.0)
    image[2, 3, 4], image[1, 2, 3] = 9.0, np.nan
    (found,) = measure(labels, image, geometry)
    assert (found.instance, found.voxels, found.volume_mm3) == (1, 30, 30.0)
    assert found.centroid_mm == pytest.approx((14.0, 25.0, 28.75))
    assert found.longest_axis_mm == pytest.approx(np.linalg.norm([4.0, 4.0, 0.5]))
    assert found.mean_intensity == pytest.approx((28 * 5 + 9) / 29)
    assert found.max_intensity == 9.0


def test_a_single_voxel_has_no_length_and_missing_data_no_mean():
    geometry = Geometry.from_spacing((2, 2, 2), SPACING)
    labels = np.zeros((2, 2, 2), dtype=np.int32)
    labels[1, 1, 1] = 4
    (found,) = measure(labels, np.full((2, 2, 2), np.nan), geometry)
    assert (found.instance, found.longest_axis_mm) == (4, 0.0)
    assert np.isnan(found.mean_intensity)


@pytest.mark.parametrize("share", [0.3, 0.9])
def test_longest_axis_equals_all_pairs(share):
    geometry = Geometry.from_spacing((7, 12, 13), SPACING)
    labels = np.random.default_rng(2).integers(1, 4, geometry.shape).astype(np.int32)
    labels[np.random.default_rng(4).random(labels.shape) > share] = 0
    for found in measure(labels, np.zeros(labels.shape), geometry):
        points = geometry.to_world(np.argwhere(labels == found.instance).astype(float))
        assert found.longest_axis_mm == pytest.approx(longest_axis(points))


def test_longest_axis_of_a_flat_lesion_is_found():
    grid = np.argwhere(np.ones((1, 20, 20))).astype(float)
    assert largest_distance(grid) == pytest.approx(19 * np.sqrt(2))
    line = np.argwhere(np.ones((1, 1, 90))).astype(float)
    assert largest_distance(line) == 89.0


@pytest.mark.parametrize("size", CUTS.values(), ids=CUTS)
def test_measures_do_not_depend_on_the_bricks(size):
    rng = np.random.default_rng(8)
    labels = lesions(rng.random((12, 30, 30)) < 0.06, SPACING)
    image = rng.integers(-9, 999, labels.shape).astype(np.float64)
    geometry = Geometry.from_spacing(labels.shape, SPACING)
    meter = LesionMeter(geometry, facts_of(labels))
    block = padded(labels, meter.margin)
    for corner, box in bricks_of(labels.shape, size):
        outer = tuple(
            slice(s.start, s.stop + 2 * m) for s, m in zip(box, meter.margin, strict=True)
        )
        meter.add_brick(
            np.ascontiguousarray(block[outer]), np.ascontiguousarray(image[box]), corner
        )
        if box[1].stop == box[2].stop == 30:
            meter.close_slab(box[0].stop)
    found, whole = meter.finish(), measure(labels, image, geometry)
    if size[1] < 30:  # spread and surface are sums of floats, in the order of the tiles
        inexact = ("std_intensity", "surface_mm2", "sphericity")
        for name in inexact:
            both = [[getattr(one, name) for one in side] for side in (found, whole)]
            assert both[0] == pytest.approx(both[1], rel=1e-12)
        exact = dict.fromkeys(inexact, 0.0)
        found, whole = ([replace(one, **exact) for one in side] for side in (found, whole))
    assert found == whole


def test_the_largest_distance_is_forgotten_by_no_slab():
    rng = np.random.default_rng(3)
    labels = np.zeros((20, 40, 40), dtype=np.int32)
    labels[rng.random(labels.shape) < 0.2] = 1
    geometry = Geometry.from_spacing(labels.shape, SPACING)
    extremes = ExtremePoints(geometry, np.array([-1, 19]))
    for z in range(0, 20, 4):
        extremes.add_brick(labels[z : z + 4], (z, 0, 0))
        extremes.close_slab(z + 4)
    points = geometry.to_world(np.argwhere(labels).astype(float))
    corners = points[ConvexHull(points).vertices]
    assert extremes.furthest_mm() == extremes.longest_mm[1] == pytest.approx(longest_axis(corners))


def test_measures_refuse_arrays_that_do_not_fit():
    labels = np.ones((1, 3, 4), dtype=np.int32)
    meter = LesionMeter(Geometry.from_spacing((1, 3, 4), SPACING), facts_of(labels))
    with pytest.raises(ShapeError, match="must be one"):
        meter.add_brick(padded(labels, meter.margin), np.zeros((1, 3, 5)), (0, 0, 0))


def test_a_real_tumour_is_one_lesion_of_its_published_size(real_data):
    file = nibabel.load(real_data / "petct_sarcoma_STS002" / "CT_mask.nii.gz")
    mask = np.asarray(file.dataobj).T > 0
    spacing = tuple(float(s) for s in file.header.get_zooms()[::-1])
    geometry = Geometry.from_spacing(mask.shape, spacing)
    found = measure(lesions(mask, spacing), mask.astype(np.float32), geometry)
    assert sum(f.voxels for f in found) == 17090
    largest = max(found, key=lambda f: f.voxels)
    points = geometry.to_world(
        np.argwhere(lesions(mask, spacing) == largest.instance).astype(float)
    )
    span = points.max(axis=0) - points.min(axis=0)
    assert span.max() <= largest.longest_axis_mm <= np.linalg.norm(span)
