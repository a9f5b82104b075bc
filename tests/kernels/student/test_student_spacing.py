"""Slices at another pixel size: what must not change when they go there and back."""

import numpy as np
import pytest

from somray.kernels.student.spacing import ALIKE, at_shape, shape_at

SIZES = [((0.8, 0.8), (1.0, 1.0)), ((1.0, 1.0), (0.5, 0.5)), ((1.0, 1.0), (2.0, 2.0)), ((0.7, 1.4), (1.0, 1.0)),
         ((1.0, 1.0), (3.7, 3.7))]  # fmt: skip


def disc(shape, spacing, radius_mm=22.0):
    y, x = ((np.arange(n) + 0.5) * s for n, s in zip(shape, spacing, strict=True))
    away = np.hypot(y[:, None] - shape[0] * spacing[0] / 2, x - shape[1] * spacing[1] / 2)
    return (away < radius_mm).astype(np.float32)


@pytest.mark.parametrize(("own", "wanted"), SIZES)
def test_the_field_of_view_stays(own, wanted):
    rows, columns = shape_at((100, 120), own, wanted)
    assert rows * wanted[0] == pytest.approx(100 * own[0], abs=wanted[0] / 2)
    assert columns * wanted[1] == pytest.approx(120 * own[1], abs=wanted[1] / 2)


@pytest.mark.parametrize(("own", "wanted"), SIZES)
def test_a_constant_image_stays_constant(own, wanted):
    planes = np.full((2, 100, 120), 37.5, dtype=np.float32)
    found = at_shape(planes, shape_at((100, 120), own, wanted))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, 37.5, rtol=1e-6)


@pytest.mark.parametrize(("own", "wanted"), SIZES)
def test_the_area_of_a_disc_stays_within_two_percent(own, wanted):
    mask = disc((100, 120), own)
    found = at_shape(mask[None], shape_at((100, 120), own, wanted))
    scale = found.size / mask.size  # the same field of view
    assert (found >= 0.5).sum() == pytest.approx(mask.sum() * scale, rel=0.02)
    back = at_shape(found, mask.shape)
    assert (back >= 0.5).sum() == pytest.approx(mask.sum(), rel=0.02)


@pytest.mark.parametrize(("own", "wanted"), SIZES[:2])
def test_smooth_images_survive_the_way_there_and_back(own, wanted):
    y, x = np.mgrid[:100, :120].astype(np.float32)
    image = 50 * np.sin(y / 11) * np.cos(x / 13)
    there = at_shape(image[None], shape_at(image.shape, own, wanted))
    back = at_shape(there, image.shape)[0]
    assert np.abs(back - image)[3:-3, 3:-3].max() < 2.0


def test_pixels_that_grow_are_averaged():
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 1, (1, 120, 120)).astype(np.float32)
    found = at_shape(noise, (30, 30))
    assert found.std() < 0.4  # a sample of single pixels would keep 1
    assert found.mean() == pytest.approx(noise.mean(), abs=0.02)


def test_pixel_sizes_that_are_alike_change_nothing():
    near = 1 + 0.9 * ALIKE
    assert shape_at((50, 60), (1.0, 1.0), (near, 1.0)) == (50, 60)
    assert shape_at((50, 60), (1.0, 1.0), (1 + 1.2 * ALIKE, 1.0)) != (50, 60)
    planes = np.random.default_rng(0).normal(size=(1, 50, 60)).astype(np.float32)
    assert at_shape(planes, (50, 60)) is planes


def test_no_shape_vanishes():
    assert shape_at((4, 4), (0.1, 0.1), (9.0, 9.0)) == (1, 1)


@pytest.mark.parametrize("shape", [(25, 30), (100, 120), (40, 55)])
def test_what_looks_at_a_hole_is_a_hole_and_nothing_else_is(shape):
    planes = np.ones((1, 50, 60), dtype=np.float32)
    planes[0, :20] = np.nan
    found = at_shape(planes, shape)[0]
    hole = np.isnan(found).all(axis=1)
    assert (hole == np.isnan(found).any(axis=1)).all()
    step = shape[0] / 50
    rows = np.flatnonzero(hole)
    assert rows[0] == 0
    assert 20 * step - 1 <= rows[-1] + 1 <= 20 * step + max(2, step) + 1
    np.testing.assert_allclose(found[~np.isnan(found)], 1, rtol=1e-6)
