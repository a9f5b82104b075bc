"""Slices made worse: seeded, as strong as told, and nothing else changed."""

import numpy as np
import pytest

from somray.kernels.features import FEATURES
from somray.kernels.student import perturb
from somray.kernels.student.inputs import student_inputs
from somray.kernels.student.noise_view import QUIET, SMOOTHINGS
from somray.kernels.student.perturb import NoisySlice, streak_field
from somray.kernels.student.sampling import MARGIN
from tests.student_fixtures import FEATURES as FEW
from tests.student_fixtures import WINDOW, hu_slice, look_at

WHOLE = slice(None), slice(None)
CT, PET = (-150.0, 250.0), (0.0, 10.0)


def _slice(shape=(90, 80), names=FEW, channels=("CT",), windows=(WINDOW,)):
    image = hu_slice(shape)[0]
    if "PET" in channels:
        uptake = 2 + image / 60
        image = np.concatenate([image, uptake]) if len(channels) == 2 else uptake
    look = look_at(image, names, windows, channels)
    return NoisySlice(image, channels, look)


@pytest.fixture
def white(monkeypatch):
    """Nothing but white noise of 30 HU."""
    for name, value in (("LEAST", 30.0), ("MOST", 30.0), ("STREAKS", 0.0), ("CORRELATED", 0.0)):
        monkeypatch.setattr(perturb, name, value)


def test_the_generator_decides_every_draw():
    noisy = _slice()
    first, second, other = (
        noisy.draw(*WHOLE, np.random.default_rng(seed))[0] for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(
    ("channel", "window", "unit"),
    [("CT", (-1000.0, 1000.0), 1.0), ("PET", (-50.0, 50.0), 0.1), ("MR", (-1e4, 1e4), 20.0)],
)
@pytest.mark.usefixtures("white")
def test_noise_is_told_in_hu_or_in_thousandths_of_the_window(channel, window, unit):
    noisy = _slice((200, 200), (), (channel,), (window,))
    worse, clean = noisy.draw(*WHOLE, np.random.default_rng(0))
    added = (worse[0].astype(float) - clean[0]) * (window[1] - window[0])
    assert added.std() == pytest.approx(30 * unit, rel=0.02)
    assert abs(added.mean()) < unit


@pytest.mark.parametrize(("kind", "part"), [("STREAKS", "STREAKED"), ("CORRELATED", "SOFTENED")])
@pytest.mark.usefixtures("white")
def test_streaks_and_correlated_noise_are_a_part_as_strong(kind, part, monkeypatch):
    monkeypatch.setattr(perturb, kind, 1.0)
    found = perturb.field((128, 128), np.random.default_rng(3))
    assert found.std() == pytest.approx(30 * getattr(perturb, part), rel=0.06)
    # Neighbours along a row or a column agree more than those of white noise do.
    pairs = ((found[1:], found[:-1]), (found[:, 1:], found[:, :-1]))
    alike = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in pairs]
    assert max(alike) > 0.1


@pytest.mark.parametrize("seed", range(6))
def test_a_field_of_streaks_has_a_standard_deviation_of_one(seed):
    found = streak_field((70, 110), np.random.default_rng(seed))
    assert found.dtype == np.float32
    assert found.std() == pytest.approx(1, abs=1e-4)


def test_pixels_without_data_stay_without_and_the_slice_is_left_alone():
    image = hu_slice((90, 80))[0]
    image[0, 30:40, 20:30] = np.nan
    before = image.copy()
    noisy = NoisySlice(image, ("CT",), look_at(image))
    for planes in noisy.draw(*WHOLE, np.random.default_rng(0)):
        np.testing.assert_array_equal(np.isnan(planes), np.isnan(image).repeat(len(planes), 0))
    np.testing.assert_array_equal(noisy.image, before)


def test_the_clean_crop_is_the_whole_slices_beyond_the_margin():
    image = hu_slice((120, 130))[0]
    look = look_at(image, FEATURES)
    noisy = NoisySlice(image, ("CT",), look.at_crops_of(image))
    whole = student_inputs(noisy.image, look)
    rows, columns = slice(20, 90), slice(31, 101)
    worse, clean = noisy.draw(rows, columns, np.random.default_rng(0))
    inner = slice(MARGIN, -MARGIN)
    expected = whole[:, rows, columns][:, inner, inner]
    np.testing.assert_allclose(clean[:, inner, inner], expected, rtol=1e-5, atol=1e-5)
    assert worse.shape == ((1 + len(SMOOTHINGS)) * len(FEATURES) + 1, 70, 70)


def test_uptake_beside_ct_is_left_as_it_is_and_ct_is_heard():
    noisy = _slice(channels=("CT", "PET"), windows=(CT, PET))
    worse, clean = noisy.draw(*WHOLE, np.random.default_rng(0))
    np.testing.assert_array_equal(worse[3:6], clean[3:])
    assert not np.array_equal(worse[:3], clean[:3])
    excess = worse[-2:, 0, 0]
    assert excess[0] > QUIET > excess[1]


def test_the_lightest_noise_is_heard_too(monkeypatch):
    for name in ("LEAST", "MOST"):
        monkeypatch.setattr(perturb, name, 0.0)
    worse, clean = _slice().draw(*WHOLE, np.random.default_rng(0))
    np.testing.assert_allclose(worse[:3], clean, atol=1e-6)
    assert (worse[-1] > QUIET).all()


def test_raw_channels_are_made_worse_with_their_neighbours_beside_them():
    image = hu_slice()[0]
    around = np.stack([image + 5, image - 5])
    noisy = NoisySlice(image, ("CT",), look_at(image, ()), around)
    worse, clean = noisy.draw(slice(4, 40), slice(3, 30), np.random.default_rng(0))
    assert (worse.shape, clean.shape) == ((3, 36, 27), (1, 36, 27))
    # Two neighbours that are alike but for their level: noise of their own is what tells them apart.
    below, above = worse[1:] * 400 + CT[0] - around[:, 0, 4:40, 3:30]
    assert min(below.std(), above.std()) > 2
    assert abs(np.corrcoef(below.ravel(), above.ravel())[0, 1]) < 0.5
