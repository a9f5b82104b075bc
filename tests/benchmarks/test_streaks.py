"""The degradations of the noise study do what their names say."""

import numpy as np
import pytest

from tests.benchmarks.streaks import (
    BODY_HU,
    Degradation,
    back_projected,
    degraded,
    projections,
)

SPACING = (1.0, 1.0)
FIELDS = ("white", "correlated", "starved", "metal")


@pytest.fixture(scope="module")
def ellipse():
    """Water 60 × 20 pixels wide in air, one corner without data."""
    y, x = np.indices((80, 140))
    plane = np.where(((x - 70) / 60) ** 2 + ((y - 40) / 20) ** 2 <= 1, 20.0, -1000.0)
    plane[:5, :5] = np.nan
    return plane.astype(np.float32)


def test_projecting_and_back_gives_the_slice():
    y, x = np.indices((81, 101))
    bump = np.exp(-(((x - 60) / 8) ** 2 + ((y - 35) / 12) ** 2))
    again = back_projected(projections(bump), bump.shape)
    assert np.abs(again - bump).max() < 0.02


@pytest.mark.parametrize("kind", FIELDS)
def test_a_field_has_the_told_strength_in_the_body_and_keeps_missing_data(kind, ellipse):
    told = Degradation(kind, 40.0)
    worse = degraded(ellipse, told, SPACING, np.random.default_rng(3))
    assert worse.dtype == np.float32
    assert np.array_equal(np.isnan(worse), np.isnan(ellipse))
    body = np.nan_to_num(ellipse, nan=-1000.0) > BODY_HU
    assert np.std((worse - ellipse)[body]) == pytest.approx(40.0, rel=0.1)


@pytest.mark.parametrize("kind", FIELDS)
def test_the_same_seed_gives_the_same_slice_and_another_does_not(kind, ellipse):
    told = Degradation(kind, 40.0)
    first, again, other = (
        degraded(ellipse, told, SPACING, np.random.default_rng(seed)) for seed in (3, 3, 4)
    )
    assert np.array_equal(first, again, equal_nan=True)
    assert not np.array_equal(first, other, equal_nan=True)


def test_starved_streaks_run_along_the_longest_paths(ellipse):
    field = np.nan_to_num(
        degraded(ellipse, Degradation("starved", 40.0), SPACING, np.random.default_rng(3)) - ellipse
    )[25:55, 30:110]
    along, across = np.diff(field, axis=1).std(), np.diff(field, axis=0).std()
    assert across > 1.5 * along


def test_reconstructed_noise_is_correlated_and_white_noise_is_not(ellipse):
    def shared(kind):
        told = Degradation(kind, 40.0)
        field = degraded(np.zeros((128, 128)), told, SPACING, np.random.default_rng(5))
        return np.corrcoef(field[:, 1:].ravel(), field[:, :-1].ravel())[0, 1]

    assert abs(shared("white")) < 0.03
    assert shared("correlated") > 0.2


def test_counting_noise_grows_with_the_root_of_uptake_and_leaves_none_negative():
    told, level = Degradation("counts", 0.2), 4.0
    spread = [
        degraded(np.full((200, 200), v), told, SPACING, np.random.default_rng(5), level).std()
        for v in (4.0, 16.0)
    ]
    assert spread == pytest.approx([0.8, 1.6], rel=0.03)
    low = degraded(np.full((50, 50), 0.01), told, SPACING, np.random.default_rng(5), level)
    assert low.min() == 0.0


def test_counting_noise_has_the_grain_of_pet_on_any_grid():
    def shared(spacing, apart):
        plane, told = np.full((200, 200), 4.0), Degradation("counts", 0.2)
        field = degraded(plane, told, (spacing, spacing), np.random.default_rng(5), 4.0) - plane
        return np.corrcoef(field[:, apart:].ravel(), field[:, :-apart].ravel())[0, 1]

    fine, coarse = shared(1.0, 4), shared(4.0, 1)
    assert fine == pytest.approx(coarse, abs=0.1)
    assert 0.5 < fine < 0.8
    assert shared(4.0, 4) < 0.1


def test_gain_and_offset_change_values_as_told():
    plane = np.array([[-100.0, 40.0]], dtype=np.float32)
    gain = degraded(plane, Degradation("gain", 1.05), SPACING, None)
    offset = degraded(plane, Degradation("offset", -20.0), SPACING, None)
    assert gain == pytest.approx(np.array([[-105.0, 42.0]]))
    assert offset == pytest.approx(np.array([[-120.0, 20.0]]))
