"""Distances to a mask against scipy's transform and by hand."""

import numpy as np
import pytest
from scipy import ndimage

from somray.errors import ShapeError
from somray.kernels.grids.distance import distances_mm


@pytest.mark.parametrize("shape", [(40,), (14, 17), (9, 12, 10)])
@pytest.mark.parametrize("share", [0.3, 0.9, 0.99])
def test_distances_equal_those_of_scipy(shape, share):
    rng = np.random.default_rng(2)
    mask = rng.random(shape) > share
    mask.flat[7] = True
    spacing = (3.27, 0.977, 0.5)[: len(shape)]
    expected = ndimage.distance_transform_edt(~mask, sampling=spacing)
    found = distances_mm(mask, spacing, np.ones_like(mask)).reshape(shape)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


def test_only_what_is_asked_for_is_told_in_the_order_of_the_array():
    mask = np.zeros((3, 4), dtype=bool)
    mask[0, 0] = True
    within = np.zeros_like(mask)
    within[0, 3] = within[2, 0] = True
    assert distances_mm(mask, (2.0, 0.5), within).tolist() == [1.5, 4.0]


def test_an_empty_mask_is_infinitely_far():
    mask = np.zeros((2, 3), dtype=bool)
    assert np.isinf(distances_mm(mask, (1.0, 1.0), ~mask)).all()


def test_masks_of_different_shapes_are_refused():
    with pytest.raises(ShapeError, match="within"):
        distances_mm(np.ones((2, 2), bool), (1.0, 1.0), np.ones((2, 3), bool))
