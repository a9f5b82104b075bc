"""Surface Dice: boxes by hand, a slow oracle with another package's triangles, laws."""

import numpy as np
import pytest
from scipy import ndimage

from somray.errors import ShapeError
from tests.kernels.metrics.whole_masks import surface_dice
from tests.kernels.naive_metrics import naive_surface_dice

ONE = (1.0, 1.0, 1.0)
N = 12  # voxels along each side of the box


def box(z=5, side=N):
    mask = np.zeros((40, 24, 24), dtype=bool)
    mask[z : z + side, 5 : 5 + side, 5 : 5 + side] = True
    return mask


def test_a_box_moved_by_the_tolerance_or_less_is_met_everywhere():
    assert surface_dice(box(), box(), ONE, 2.0) == 1.0
    assert surface_dice(box(5), box(7), ONE, 2.0) == 1.0


def test_a_box_moved_by_three_loses_what_one_counts_by_hand():
    whole = 6 * (N - 1) ** 2 + 12 * (N - 1) * np.sqrt(0.5) + 8 * np.sqrt(3) / 8
    outer = (N - 1) ** 2 + 4 * (N - 1) * np.sqrt(0.5) + 4 * np.sqrt(3) / 8  # face, edges, corners
    inner = (N - 5) ** 2  # of the face within the other box, what is not near its walls
    expected = 1 - (outer + inner) / whole
    assert surface_dice(box(5), box(8), ONE, 2.0) == pytest.approx(expected)


def test_thick_slices_count_in_mm():
    assert surface_dice(box(5), box(6), (2.0, 1.0, 1.0), 2.0) == 1.0
    assert surface_dice(box(5), box(6), (2.1, 1.0, 1.0), 2.0) < 0.9


def test_masks_far_apart_share_nothing():
    assert surface_dice(box(2, 5), box(30, 5), ONE, 2.0) == 0.0


@pytest.mark.parametrize("spacing", [ONE, (3.27, 0.977, 0.8)])
def test_a_share_of_surfaces_agrees_with_the_slow_definition(spacing):
    rng = np.random.default_rng(4)
    field = ndimage.gaussian_filter(rng.normal(size=(9, 12, 11)), 1.5)
    noise = ndimage.gaussian_filter(rng.normal(size=field.shape), 1.0)
    one, other = field > 0.02, field + 0.6 * noise > 0.02
    for tolerance in (0.5, 1.0, 2.0):
        slow = naive_surface_dice(one, other, spacing, tolerance)
        assert surface_dice(one, other, spacing, tolerance) == pytest.approx(slow, abs=0.01)


def test_swapping_the_masks_or_holding_the_outside_of_both_changes_nothing():
    rng = np.random.default_rng(5)
    one, other = ndimage.gaussian_filter(rng.normal(size=(2, 8, 9, 10)), (0, 1, 1, 1)) > 0
    share = surface_dice(one, other, ONE, 1.0)
    assert surface_dice(other, one, ONE, 1.0) == pytest.approx(share)
    wide = [np.pad(m, 3) for m in (one, other)]
    assert surface_dice(*wide, ONE, 1.0) == share


def test_two_empty_masks_have_none_and_one_has_zero():
    empty = np.zeros_like(box())
    assert surface_dice(empty, empty, ONE, 2.0) is None
    assert surface_dice(box(), empty, ONE, 2.0) == 0.0


def test_masks_that_are_not_volumes_of_one_shape_are_refused():
    with pytest.raises(ShapeError, match="one shape"):
        surface_dice(np.ones((2, 3, 3), bool), np.ones((3, 3, 3), bool), ONE, 2.0)
