"""Overlap figures and the surface distance against hand counts, slow oracles and other packages."""

import numpy as np
import pytest
import SimpleITK
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from skimage.metrics import hausdorff_distance

from somray.errors import ShapeError
from somray.kernels.metrics.overlap import agreement
from tests.kernels.metrics.whole_masks import surface_distance_95
from tests.kernels.naive_metrics import naive_surface_distance_95

MASKS = hnp.arrays(bool, (5, 6), elements=st.booleans())


def _square(top, left, side=4, shape=(20, 30)):
    mask = np.zeros(shape, dtype=bool)
    mask[top : top + side, left : left + side] = True
    return mask


def test_overlap_of_two_shifted_squares_is_what_one_counts_by_hand():
    figures = agreement(_square(2, 2), _square(2, 4))
    assert figures == {
        "iou": 8 / 24,
        "dice": 16 / 32,
        "accuracy": (600 - 16) / 600,
        "precision": 8 / 16,
        "recall": 8 / 16,
    }


def test_figures_that_do_not_exist_are_none():
    empty, square = np.zeros((20, 30), dtype=bool), _square(1, 1)
    both = agreement(empty, empty)
    assert both == {"iou": None, "dice": None, "accuracy": 1.0, "precision": None, "recall": None}
    assert agreement(empty, square)["precision"] is None
    assert agreement(empty, square)["dice"] == 0.0
    assert agreement(square, empty)["recall"] is None
    assert agreement(empty[:0], empty[:0])["accuracy"] is None


@given(MASKS, MASKS)
@settings(max_examples=50, deadline=None)
def test_swapping_the_masks_swaps_precision_and_recall_only(prediction, reference):
    there, back = agreement(prediction, reference), agreement(reference, prediction)
    assert there["precision"] == back["recall"]
    for name in ("iou", "dice", "accuracy"):
        assert there[name] == back[name]


def test_overlap_agrees_with_simpleitk():
    rng = np.random.default_rng(0)
    prediction, reference = rng.random((2, 8, 9, 10)) > 0.6
    measure = SimpleITK.LabelOverlapMeasuresImageFilter()
    measure.Execute(
        *(SimpleITK.GetImageFromArray(m.astype(np.uint8)) for m in (reference, prediction))
    )
    figures = agreement(prediction, reference)
    assert figures["dice"] == pytest.approx(measure.GetDiceCoefficient(1))
    assert figures["iou"] == pytest.approx(measure.GetJaccardCoefficient(1))


def test_masks_of_different_shapes_are_refused():
    with pytest.raises(ShapeError, match=r"\(3, 3\)"):
        agreement(np.ones((3, 3)), np.ones((3, 4)))


def test_a_square_moved_by_a_known_way_is_that_far_away():
    near, far = _square(5, 5), _square(5, 12)
    assert surface_distance_95(near, near, (1.0, 1.0)) == 0.0
    assert surface_distance_95(near[:, :9], far[:, 7:16], (2.0, 0.5)) == 0.0
    one_pixel = np.zeros((9, 9), dtype=bool)
    other = one_pixel.copy()
    one_pixel[4, 4] = other[4, 7] = True
    assert surface_distance_95(one_pixel, other, (2.0, 0.5)) == 1.5


@pytest.mark.parametrize("shape", [(14, 17), (7, 8, 9)])
def test_surface_distance_agrees_with_the_slow_definition(shape):
    rng = np.random.default_rng(1)
    spacing = (3.27, 0.977, 0.5)[: len(shape)]
    for share in (0.97, 0.7, 0.2):
        prediction, reference = rng.random((2, *shape)) > share
        expected = naive_surface_distance_95(prediction, reference, spacing)
        assert surface_distance_95(prediction, reference, spacing) == pytest.approx(expected)


def test_surface_distance_stays_below_the_hausdorff_distance_of_skimage():
    prediction, reference = _square(2, 2, 6), _square(6, 9, 9)
    whole = hausdorff_distance(prediction, reference)
    found = surface_distance_95(prediction, reference, (1.0, 1.0))
    assert 0.7 * whole < found <= whole


def test_an_empty_mask_has_no_surface_distance():
    assert surface_distance_95(_square(1, 1), np.zeros((20, 30)), (1.0, 1.0)) is None
