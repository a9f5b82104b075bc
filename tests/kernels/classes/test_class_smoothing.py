import tracemalloc

import numpy as np
import pytest

from somray.errors import ShapeError
from somray.kernels.classes.smoothing import smooth_classes, smoothing_halo

SQUARE = (1.0, 1.0)


def slowly(labels, radius_mm, spacing_mm):
    """Count the votes of every pixel of the disc, one by one."""
    height, width = labels.shape
    y, x = np.mgrid[:height, :width]
    result = labels.copy()
    for row, column in zip(*np.nonzero(labels), strict=True):
        far = ((y - row) * spacing_mm[0]) ** 2 + ((x - column) * spacing_mm[1]) ** 2
        votes = np.bincount(labels[far <= radius_mm**2 * (1 + 1e-9)], minlength=2)
        votes[0] = 0
        if (votes == votes.max()).sum() == 1:
            result[row, column] = np.argmax(votes)
    return result


def noise(shape, classes=4, seed=0):
    return np.random.default_rng(seed).integers(0, classes + 1, shape).astype(np.uint8)


@pytest.mark.parametrize("spacing", [SQUARE, (0.7, 1.3), (2.0, 0.5)])
@pytest.mark.parametrize("radius", [0.5, 1.0, 1.5, 2.0, 3.9])
def test_the_vote_equals_counting_every_disc_pixel_by_pixel(spacing, radius):
    labels = noise((23, 17))
    assert np.array_equal(smooth_classes(labels, radius, spacing), slowly(labels, radius, spacing))


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (3, 3), (2, 40)])
def test_a_disc_larger_than_the_slice_is_cut_at_its_edges(shape):
    labels = noise(shape, seed=2)
    assert np.array_equal(smooth_classes(labels, 6.0, SQUARE), slowly(labels, 6.0, SQUARE))


def test_a_speck_is_removed_and_a_straight_border_stays():
    labels = np.full((20, 20), 2, np.uint8)
    labels[:, 10:] = 3
    speck = labels.copy()
    speck[5, 4] = 3
    assert np.array_equal(smooth_classes(speck, 2.0, SQUARE), labels)


def test_where_two_classes_lead_a_pixel_keeps_its_own():
    labels = np.array([[1, 2, 3]], np.uint8)
    assert np.array_equal(smooth_classes(labels, 1.0, SQUARE), labels)


def test_pixels_without_data_neither_vote_nor_change():
    labels = np.zeros((9, 9), np.uint8)
    labels[4, 4] = 3
    labels[0, 0] = 7
    assert np.array_equal(smooth_classes(labels, 3.0, SQUARE), labels)


def test_a_radius_below_the_pixel_size_changes_nothing():
    labels = noise((12, 12))
    for radius in (0.0, 0.99):
        found = smooth_classes(labels, radius, SQUARE)
        assert np.array_equal(found, labels)
        assert found is not labels


def test_a_tile_with_its_halo_comes_out_as_in_the_whole_slice():
    labels, radius, spacing = noise((60, 50), seed=3), 3.1, (0.8, 1.1)
    halo_y, halo_x = smoothing_halo(radius, spacing)
    whole = smooth_classes(labels, radius, spacing)
    part = smooth_classes(
        labels[20 - halo_y : 31 + halo_y, 10 - halo_x : 24 + halo_x], radius, spacing
    )
    assert np.array_equal(part[halo_y:-halo_y, halo_x:-halo_x], whole[20:31, 10:24])


def test_the_halo_is_the_radius_in_whole_pixels():
    assert smoothing_halo(3.0, (1.0, 0.6)) == (3, 5)
    assert smoothing_halo(0.3, (0.1, 0.1)) == (3, 3)  # 0.3 / 0.1 is a little less than 3


def test_a_slice_and_its_mirror_image_are_smoothed_alike():
    labels = noise((31, 26), seed=5)
    found = smooth_classes(labels, 2.5, SQUARE)
    assert np.array_equal(smooth_classes(labels[::-1, ::-1], 2.5, SQUARE), found[::-1, ::-1])
    assert np.array_equal(smooth_classes(labels.T, 2.5, SQUARE), found.T)


def test_memory_is_that_of_the_result():
    labels = noise((1000, 1000))
    smooth_classes(labels, 2.0, SQUARE)
    tracemalloc.start()
    smooth_classes(labels, 2.0, SQUARE)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.1 * labels.nbytes


@pytest.mark.parametrize(
    ("labels", "radius", "spacing", "words"),
    [
        (np.zeros((2, 2, 2), np.uint8), 1.0, SQUARE, "uint8"),
        (np.zeros((2, 2), np.int32), 1.0, SQUARE, "int32"),
        (np.zeros((2, 2), np.uint8), -1.0, SQUARE, "radius_mm"),
        (np.zeros((2, 2), np.uint8), np.nan, SQUARE, "radius_mm"),
        (np.zeros((2, 2), np.uint8), 1.0, (0.0, 1.0), "spacing_mm"),
        (np.zeros((2, 2), np.uint8), 1.0, (1.0,), "spacing_mm"),
    ],
)
def test_wrong_labels_and_lengths_are_refused(labels, radius, spacing, words):
    with pytest.raises(ShapeError, match=words):
        smooth_classes(labels, radius, spacing)
