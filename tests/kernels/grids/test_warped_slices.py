"""Whole slices warped by compiled loops: to the bit what sampling at each pixel's place gives."""

import numpy as np
import pytest

from somray.kernels.grids.resample import sample, sample_labels, warp_label_slice, warp_slice

SHAPE = (37, 29)
MOTIONS = {
    "as it lies": np.eye(3),
    "whole pixels": np.array([[1, 0, 3], [0, 1, -2], [0, 0, 1.0]]),
    "half pixels": np.array([[1, 0, 0.5], [0, 1, -0.5], [0, 0, 1.0]]),
    "turn": np.array([[0.9, -0.3, 6.1], [0.31, 0.95, -4.7], [0, 0, 1.0]]),
    "homography": np.array([[1.02, 0.03, -1.2], [-0.01, 0.97, 0.4], [1e-3, -2e-3, 1.0]]),
    "horizon": np.array([[1.0, 0, 0], [0, 1.0, 0], [0, -0.06, 1.0]]),
}


def places(motion, shape):
    y, x = np.mgrid[: shape[0], : shape[1]].astype(float)
    u, v, w = (row[0] * x + row[1] * y + row[2] for row in motion)
    ahead = w > 1e-9
    safe = np.where(ahead, w, 1.0)
    return np.where(ahead, np.stack([v / safe, u / safe]), -2.0)


@pytest.mark.parametrize("motion", MOTIONS.values(), ids=MOTIONS)
@pytest.mark.parametrize("gaps", [False, True])
def test_a_warped_slice_is_its_samples_to_the_bit(motion, gaps):
    rng = np.random.default_rng(3)
    image = rng.normal(40, 300, SHAPE).astype(np.float32)
    if gaps:
        image[rng.random(SHAPE) < 0.1] = np.nan
    for shape in (SHAPE, (20, 45)):
        expected = sample(image, places(motion, shape))
        np.testing.assert_array_equal(warp_slice(image, motion, shape), expected)
        labels = rng.integers(0, 900, SHAPE).astype(np.uint16)
        nearest = sample_labels(labels, places(motion, shape))
        found = warp_label_slice(labels, motion, shape)
        assert found.dtype == np.uint16
        np.testing.assert_array_equal(found, nearest)
