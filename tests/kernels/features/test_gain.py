"""A scan's gain: found whatever it is, left alone where scans are alike."""

import numpy as np
import pytest

from somray.domain.channel import channels_of
from somray.kernels.features.gain import (
    STEADY,
    gain_between,
    has_gain,
    tissue_histogram,
    tissue_level,
)
from somray.kernels.features.view import FeatureView


def head(seed=0, air=0.6):
    rng = np.random.default_rng(seed)
    values = rng.normal(300.0, 40.0, (4, 1, 40, 40))
    values[:, :, : int(40 * air)] = np.abs(rng.normal(0.0, 4.0, (4, 1, int(40 * air), 40)))
    return values.astype(np.float32)


def level(values):
    return tissue_level(tissue_histogram(values))


def test_the_level_is_tissues_median_and_follows_a_gain():
    assert level(head()) == pytest.approx(300.0, rel=0.02)
    for gain in (0.003, 0.31, 3.7, 4000.0):
        assert level(head() * np.float32(gain)) / level(head()) == pytest.approx(gain, rel=0.02)


def test_the_level_does_not_hang_on_how_much_air_is_shown_nor_on_order():
    assert level(head(air=0.2)) == pytest.approx(level(head(air=0.8)), rel=0.02)
    parts = [tissue_histogram(part) for part in np.array_split(head(), 3)]
    assert np.array_equal(sum(parts[::-1]), tissue_histogram(head()))


def test_what_holds_no_tissue_has_no_level():
    assert level(np.zeros((1, 1, 8, 8), np.float32)) is None
    assert level(np.full((1, 1, 8, 8), np.nan, np.float32)) is None


def test_small_differences_are_left_alone():
    assert gain_between(100.0 * STEADY * 0.99, 100.0) == 1.0
    assert gain_between(100.0 / STEADY / 1.01, 100.0) == pytest.approx(1 / STEADY / 1.01)
    assert gain_between(370.0, 100.0) == pytest.approx(3.7)


def test_one_mr_channel_has_a_gain_and_nothing_else():
    assert has_gain(channels_of("MR", ("T1",)))
    assert not has_gain(channels_of("MR", ("T1", "FLAIR")))
    assert not any(has_gain(channels_of(m, (m,))) for m in ("CT", "PET", "XCT", "other"))


def test_windows_follow_the_gain():
    view = FeatureView("MR", ("T1",), ((0.0, 600.0),), ("intensity",), (1.0, 1.0), level=300.0)
    assert view.windows_at(None) == view.windows_at(320.0) == ((0.0, 600.0),)
    assert view.windows_at(600.0) == ((0.0, 1200.0),)
