"""Outlines of masks: areas to the pixel, masks back exactly, holes by keyholes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy import ndimage
from skimage.draw import polygon2mask

from somray.io.writers.dicom.contours import outlines

MASKS = arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=9), elements=st.booleans())


def area(outline):
    x, y = outline.T
    return float(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y)) / 2


@settings(max_examples=150, deadline=None)
@given(mask=MASKS)
def test_outlines_hold_the_pixels_and_nothing_else(mask):
    found = outlines(mask)
    assert len(found) == ndimage.label(mask)[1]
    assert sum(map(area, found)) == pytest.approx(mask.sum())
    back = np.zeros(mask.shape, int)
    for outline in found:
        back += polygon2mask(mask.shape, outline[:, ::-1])
    assert np.array_equal(back, mask.astype(int))


def test_one_pixel_is_a_square_round_its_centre():
    (outline,) = outlines(np.eye(3, dtype=bool)[:1])
    assert outline.tolist() == [[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]]


def test_a_hole_is_reached_by_a_channel_of_no_width():
    mask = np.ones((5, 5), bool)
    mask[2, 2] = False
    (outline,) = outlines(mask)
    assert area(outline) == 24
    assert [1.5, 1.5] in outline.tolist()
    assert outline.tolist().count([-0.5, 1.5]) == 2


def test_nothing_has_no_outline():
    assert outlines(np.zeros((4, 5), bool)) == []
