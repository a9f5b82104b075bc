"""Contours to pixels: against a slow count of crossings, against areas, and laws."""

import numpy as np
import pytest

from somray.io.masks.contours import filled
from somray.io.writers.dicom.contours import outlines


def naive(rings, shape):
    """A pixel lies inside where a ray from its centre to the left crosses an odd number of edges."""
    found = np.zeros(shape, bool)
    for y, x in np.ndindex(shape):
        crossed = 0
        for ring in rings:
            for (y0, x0), (y1, x1) in zip(ring, np.roll(ring, -1, axis=0), strict=True):
                if (y0 <= y) != (y1 <= y):
                    crossed += x0 + (y - y0) * (x1 - x0) / (y1 - y0) <= x
        found[y, x] = crossed % 2
    return found


@pytest.mark.parametrize("seed", range(12))
def test_any_rings_are_filled_as_crossings_are_counted(seed):
    rng = np.random.default_rng(seed)
    rings = [rng.uniform(-4, 20, (rng.integers(3, 9), 2)).round(2) for _ in range(3)]
    np.testing.assert_array_equal(filled(rings, (15, 17)), naive(rings, (15, 17)))


@pytest.mark.parametrize("seed", range(4))
def test_the_outlines_that_we_write_give_any_mask_back(seed):
    mask = np.random.default_rng(seed).random((20, 23)) < 0.3 + 0.15 * seed
    rings = [outline[:, ::-1] for outline in outlines(mask)]
    np.testing.assert_array_equal(filled(rings, mask.shape), mask)


def test_a_centre_on_an_edge_is_inside_left_and_above_alone():
    square = np.array([[2, 2], [2, 6], [6, 6], [6, 2]], float)
    expected = np.zeros((9, 9), bool)
    expected[2:6, 2:6] = True  # 16 pixels, the square's area
    for way in (square, square[::-1], np.roll(square, 2, axis=0), square + 1e-9, square - 1e-9):
        np.testing.assert_array_equal(filled([way], (9, 9)), expected)


def test_regions_that_share_an_edge_share_no_pixel_and_leave_none():
    rng = np.random.default_rng(5)
    seam = np.column_stack([np.arange(11.0), rng.uniform(3, 7, 11).round(1)])
    left = np.vstack([seam, [[10, 0], [0, 0]]])
    right = np.vstack([seam, [[10, 10], [0, 10]]])
    both = filled([left], (10, 10)).astype(int) + filled([right], (10, 10))
    assert (both == 1).all()


def test_a_ring_in_a_ring_is_a_hole_and_so_is_a_keyhole():
    outer = np.array([[1, 1], [1, 12], [12, 12], [12, 1]], float)
    inner = np.array([[4, 4], [4, 8], [8, 8], [8, 4]], float)
    apart = filled([outer, inner], (14, 14))
    keyhole = np.vstack([outer, outer[:1], inner, inner[:1]])
    np.testing.assert_array_equal(filled([keyhole], (14, 14)), apart)
    assert apart.sum() == 11 * 11 - 4 * 4


@pytest.mark.parametrize("radius", [6.3, 41.7])
def test_the_area_of_a_circle_is_right_on_average(radius):
    turn = np.linspace(0, 2 * np.pi, 720, endpoint=False)
    rng = np.random.default_rng(1)
    areas = [
        filled(
            [np.column_stack([y + radius * np.sin(turn), x + radius * np.cos(turn)])], (100, 100)
        ).sum()
        for y, x in rng.uniform(49, 51, (20, 2))
    ]
    assert np.mean(areas) == pytest.approx(np.pi * radius**2, rel=0.01)


def test_what_lies_outside_the_plane_is_cut_off():
    huge = np.array([[-50, -50], [-50, 50], [50, 50], [50, -50]], float)
    assert filled([huge], (4, 5)).all()
    assert not filled([huge + 200], (4, 5)).any()
    assert not filled([huge - 200], (4, 5)).any()
