"""Non-local means against its definition, and at holes."""

import numpy as np
import pytest

from somray.kernels.noise.nonlocal_means import REACH, STRENGTH, nonlocal_means


def _noisy(shape=(24, 30), sigma=10.0, seed=0):
    y, x = np.mgrid[: shape[0], : shape[1]]
    clean = np.where(np.hypot(y - 12, x - 12) < 8, 100.0, 0.0)
    return (clean + sigma * np.random.default_rng(seed).normal(size=shape)).astype(np.float32)


def _defined(plane, sigma):
    """Non-local means pixel by pixel."""
    rim = REACH + 1
    wide = np.pad(plane.astype(float), rim, mode="symmetric")
    out = np.empty(plane.shape)
    for y, x in np.ndindex(plane.shape):
        here = wide[y + rim - 1 : y + rim + 2, x + rim - 1 : x + rim + 2]
        total = weights = 0.0
        for dy, dx in np.ndindex(2 * REACH + 1, 2 * REACH + 1):
            there = wide[y + dy : y + dy + 3, x + dx : x + dx + 3]
            apart = max(((here - there) ** 2).sum() - 18 * sigma**2, 0.0)
            u = (
                1.0
                if dy == dx == REACH
                else max(1 - apart / (72 * (STRENGTH * sigma) ** 2), 0) ** 8
            )
            total += u * there[1, 1]
            weights += u
        out[y, x] = total / weights
    return out


def test_it_is_what_it_is_defined_as():
    plane = _noisy()
    np.testing.assert_allclose(nonlocal_means(plane, 10.0), _defined(plane, 10.0), atol=2e-3)


def test_noise_goes_and_edges_stay():
    clean, plane = _noisy((64, 64), 0.0), _noisy((64, 64), 10.0)
    found = nonlocal_means(plane, 10.0)
    assert (found - clean).std() < 0.5 * (plane - clean).std()
    assert abs(float(found[12, 12]) - 100) < 6
    assert abs(float(found[50, 50])) < 6


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (5, 3)])
def test_small_planes_have_borders_by_reflection(shape):
    plane = _noisy(shape)
    np.testing.assert_allclose(nonlocal_means(plane, 10.0), _defined(plane, 10.0), atol=2e-3)


def test_holes_stay_and_draw_nothing_in():
    plane = _noisy((40, 40))
    holed = plane.copy()
    holed[20:23, 30:32] = np.nan
    found, whole = nonlocal_means(holed, 10.0), nonlocal_means(plane, 10.0)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(holed))
    rest = ~np.isnan(holed)
    assert (
        np.abs(found - plane)[rest].max() < 100
    )  # a mean of neighbours, not of what stands in holes
    far = np.ones(plane.shape, bool)
    far[15:28, 25:37] = False
    np.testing.assert_array_equal(found[far], whole[far])
    assert np.isnan(nonlocal_means(np.full((4, 4), np.nan, np.float32), 1.0)).all()
