import itertools

import nibabel
import numpy as np
import pytest
from scipy import ndimage

from somray.domain.geometry import Geometry
from somray.errors import ShapeError
from somray.kernels.lesions.extent import largest_distance
from somray.kernels.lesions.instances import (
    LesionMeter,
    SlabLabeller,
    lesions,
    sparse_voxels,
)
from tests.kernels.naive_lesions import flood_fill, longest_axis, measure

SPACING = (2.0, 1.0, 0.5)
CUTS = {"planes": [1] * 12, "unequal": [5, 1, 4, 2], "whole": [12], "with an empty slab": [6, 0, 6]}


def in_slabs(volume, sizes):
    edges = np.cumsum([0, *sizes])
    return [volume[a:b] for a, b in itertools.pairwise(edges)]


def labelled_in_slabs(mask, sizes, min_voxels=1):
    labeller = SlabLabeller()
    provisional = [labeller.add(slab) for slab in in_slabs(mask, sizes)]
    return labeller.finish(min_voxels)[np.concatenate(provisional)]


@pytest.mark.parametrize("share", [0.02, 0.06, 0.1, 0.3])
def test_whole_volume_equals_flood_fill(share):
    mask = np.random.default_rng(3).random((9, 14, 15)) < share
    assert np.array_equal(lesions(mask, SPACING), flood_fill(mask))


@pytest.mark.parametrize("sizes", CUTS.values(), ids=CUTS)
@pytest.mark.parametrize("share", [0.03, 0.08, 0.5])
def test_slabs_equal_scipy_on_the_whole(sizes, share):
    mask = np.random.default_rng(5).random((12, 17, 19)) < share
    expected, _ = ndimage.label(mask, np.ones((3, 3, 3)))
    assert np.array_equal(labelled_in_slabs(mask, sizes), expected)


@pytest.mark.parametrize("shift", [(0, 0), (0, 1), (1, -1)], ids=["face", "edge", "corner"])
def test_slabs_join_over_faces_edges_and_corners(shift):
    mask = np.zeros((12, 6, 6), dtype=bool)
    mask[5, 2, 2] = mask[6, 2 + shift[0], 2 + shift[1]] = True
    assert labelled_in_slabs(mask, [6, 6]).max() == 1


def test_slabs_join_what_meets_only_in_a_later_slab():
    mask = np.zeros((12, 5, 9), dtype=bool)
    mask[:, 2, 1] = mask[:, 2, 7] = True
    mask[11, 2, 1:8] = True
    assert labelled_in_slabs(mask, [4, 4, 4]).max() == 1


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
    labeller = SlabLabeller()
    labeller.add(np.zeros((1, 3, 3), dtype=bool))
    with pytest.raises(ShapeError, match="planes"):
        labeller.add(np.zeros((1, 3, 4), dtype=bool))


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


@pytest.mark.parametrize("sizes", CUTS.values(), ids=CUTS)
def test_measures_do_not_depend_on_the_slabs(sizes):
    rng = np.random.default_rng(8)
    labels = lesions(rng.random((12, 30, 30)) < 0.06, SPACING)
    image = rng.normal(size=labels.shape).astype(np.float32)
    geometry = Geometry.from_spacing(labels.shape, SPACING)
    meter, z = LesionMeter(geometry), 0
    for slab, pixels in zip(in_slabs(labels, sizes), in_slabs(image, sizes), strict=True):
        meter.add(slab, pixels, z)
        z += len(slab)
    assert meter.finish() == measure(labels, image, geometry)


def test_measures_refuse_arrays_that_do_not_fit():
    geometry = Geometry.from_spacing((2, 3, 4), SPACING)
    with pytest.raises(ShapeError, match="must be one"):
        LesionMeter(geometry).add(np.zeros((1, 3, 4), dtype=np.int32), np.zeros((1, 3, 5)))


def test_sparse_voxels_rebuild_the_labels():
    labels = lesions(np.random.default_rng(1).random((6, 8, 9)) < 0.2, SPACING)
    rebuilt = np.zeros_like(labels)
    for z, slab in ((0, labels[:4]), (4, labels[4:])):
        index, numbers = sparse_voxels(slab, z)
        rebuilt[tuple(index.T)] = numbers
    assert np.array_equal(rebuilt, labels)


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
