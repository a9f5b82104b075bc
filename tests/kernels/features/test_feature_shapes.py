"""What thickness and anisotropy answer to, on drawn things."""

import numpy as np
import pytest

from somray.kernels.features import FEATURES, features

SIZE, OVER = 61, 8
ANGLES = (0, 10, 22.5, 30, 45, 80)


def of(name, image, **options):
    return features(np.asarray(image, np.float32), **options)[FEATURES.index(name)]


def drawn(shape):
    """Render shape(y, x), in pixels from the middle, each pixel the mean over its area."""
    place = (np.arange(SIZE * OVER) + 0.5) / OVER - SIZE / 2
    values = shape(place[:, None], place[None, :]) + np.zeros((SIZE * OVER, SIZE * OVER))
    return values.reshape(SIZE, OVER, SIZE, OVER).mean((1, 3))


def across(angle, offset=0.0):
    """Distance from a line through the middle, as a function of (y, x)."""
    turn = np.deg2rad(angle)
    return lambda y, x: x * np.cos(turn) + y * np.sin(turn) - offset


def inside(plane):
    return plane[8:-8, 8:-8]


def centre_line(angle, offset):
    place = np.arange(SIZE) + 0.5 - SIZE / 2
    return inside(np.abs(across(angle, offset)(place[:, None], place[None, :])) < 0.51)


EDGE = 0.05
"""The strongest answer to a straight edge of height 1 in any direction; a line of one pixel may do .5."""


@pytest.mark.parametrize("angle", ANGLES)
@pytest.mark.parametrize("offset", [0.0, 0.25, 0.5])
def test_a_straight_edge_has_hardly_any_thickness(angle, offset):
    distance = across(angle, offset)
    edge = of("thickness", drawn(lambda y, x: distance(y, x) > 0))
    assert np.abs(inside(edge)).max() < EDGE


@pytest.mark.parametrize("width", [1, 2, 3])
@pytest.mark.parametrize("angle", ANGLES)
@pytest.mark.parametrize("offset", [0.0, 0.25, 0.5])
def test_a_vessel_stands_far_out_from_an_edge_of_its_height(width, angle, offset):
    distance = across(angle, offset)
    vessel = of("thickness", drawn(lambda y, x: np.abs(distance(y, x)) < width / 2))
    core = inside(vessel)[centre_line(angle, offset)]
    assert core.mean() > 4.5 * EDGE
    assert core.min() > 2.5 * EDGE


@pytest.mark.parametrize("width", [1, 2, 3])
def test_a_thin_rim_stands_out_bright_and_dark(width):
    rim = drawn(lambda y, x: np.abs(np.hypot(y, x) - 20) < width / 2)
    place = np.arange(SIZE) - SIZE // 2
    core = np.abs(np.hypot(place[:, None], place[None, :]) - 20) < 0.5
    bright, dark = of("thickness", rim), of("thickness", 1 - rim)
    assert bright[core].min() > 5 * EDGE
    assert np.allclose(dark, -bright, atol=1e-6)


@pytest.mark.parametrize("radius", [1.0, 1.5, 2.0])
def test_small_discs_and_holes_answer_large_ones_and_plateaus_do_not(radius):
    small = of("thickness", drawn(lambda y, x: np.hypot(y, x) < radius))
    hole = of("thickness", drawn(lambda y, x: np.hypot(y, x) > radius))
    assert small[SIZE // 2, SIZE // 2] > 6 * EDGE
    assert hole[SIZE // 2, SIZE // 2] < -6 * EDGE
    for large in (5, 12, 20):
        plane = of("thickness", drawn(lambda y, x, r=large: np.hypot(y, x) < r))
        assert np.abs(plane).max() < 1.3 * EDGE
        assert abs(plane[SIZE // 2, SIZE // 2]) < 1e-6


@pytest.mark.parametrize("sigma", [0.7, 1.0, 1.5])
def test_a_blurred_edge_and_a_ramp_have_no_thickness_but_a_blurred_vessel_has(sigma):
    from scipy.ndimage import gaussian_filter

    edge = gaussian_filter(drawn(lambda y, x: x > 0.2), sigma)
    vessel = gaussian_filter(drawn(lambda y, x: np.abs(x) < 1), sigma)
    ramp = drawn(lambda y, x: np.clip(x / 6 + 0.5, 0, 1))
    assert np.abs(inside(of("thickness", edge))).max() < 1e-3
    assert np.abs(inside(of("thickness", ramp))).max() < 1e-3
    assert of("thickness", vessel)[SIZE // 2, SIZE // 2] > 0.1


def test_thickness_is_measured_in_mm():
    vessel = drawn(lambda y, x: np.abs(x) < 1)
    plain, fine = of("thickness", vessel), of("thickness", vessel, spacing_mm=(0.5, 0.5))
    assert np.allclose(fine, 4 * plain, atol=1e-5)
    edge = drawn(lambda y, x: y > 0.25)
    assert np.abs(inside(of("thickness", edge, spacing_mm=(0.4, 1.7)))).max() < EDGE / 0.16


def test_turning_a_slice_by_ninety_degrees_turns_p_and_q_round():
    image = np.random.default_rng(1).normal(size=(40, 33)).astype(np.float32)
    turned = features(np.rot90(image))
    for name in ("anisotropy_p", "anisotropy_q"):
        back = np.rot90(turned[FEATURES.index(name)], -1)
        assert np.abs(back + of(name, image)).max() < 2e-6


@pytest.mark.parametrize("turn", [15, 30, 45, 60, 90, 120])
def test_p_and_q_turn_by_twice_the_angle_of_a_grating(turn):
    def angle_of(degrees):
        # Drawn at points: a slow wave, whose direction the filters see without bias to the axes.
        place = np.arange(SIZE) - SIZE // 2
        image = np.sin(across(degrees)(place[:, None], place[None, :]) / 5)
        p, q = (inside(of(name, image)).mean() for name in ("anisotropy_p", "anisotropy_q"))
        assert np.hypot(p, q) > 0.9
        return np.rad2deg(np.arctan2(q, p))

    difference = angle_of(10 + turn) - angle_of(10) - 2 * turn
    assert abs((difference + 180) % 360 - 180) < 1.0
