"""The part of a slice that a student learns from."""

import numpy as np
import pytest

from somray.kernels.student import window as module
from somray.kernels.student.window import lesson_window


@pytest.fixture(autouse=True)
def small(monkeypatch):
    for name, value in {"MOST_PIXELS": 1600, "SIDE": 40, "STEP": 10}.items():
        monkeypatch.setattr(module, name, value)


def test_a_slice_that_is_small_enough_is_a_lesson_as_it_is():
    mask = np.zeros((20, 80), dtype=bool)
    assert lesson_window(mask, ~mask) == (slice(0, 20), slice(0, 80))


def test_the_window_shows_the_target_and_what_counts():
    mask, valid = np.zeros((120, 130), dtype=bool), np.ones((120, 130), dtype=bool)
    mask[70:74, 99:103] = True
    rows, columns = lesson_window(mask, valid)
    assert (rows.stop - rows.start, columns.stop - columns.start) == (40, 40)
    assert mask[rows, columns].sum() == 16
    valid[:, :75] = False
    rows, columns = lesson_window(mask, valid)
    assert columns.start >= 75
    assert mask[rows, columns].sum() == 16


def test_more_target_than_a_tenth_counts_no_more_than_what_has_data():
    mask, valid = np.zeros((40, 120), dtype=bool), np.ones((40, 120), dtype=bool)
    mask[:, 80:] = True  # nothing but target
    mask[:5, :40] = True  # an eighth of the first window
    valid[0, 80:] = False
    assert lesson_window(mask, valid) == (slice(0, 40), slice(0, 40))


def test_a_slice_without_target_has_a_window_too():
    mask = np.zeros((100, 41), dtype=bool)
    assert lesson_window(mask, ~mask) == (slice(0, 40), slice(0, 40))
    assert lesson_window(mask, mask) == (slice(0, 40), slice(0, 40))


def test_the_window_is_the_best_of_all_that_are_compared():
    random = np.random.default_rng(0)
    mask, valid = random.random((95, 88)) < 0.05, random.random((95, 88)) < 0.9
    rows, columns = lesson_window(mask, valid)
    shares = [
        (mask & valid)[y : y + 40, x : x + 40].sum()
        for y in (*range(0, 55, 10), 55)
        for x in (*range(0, 48, 10), 48)
    ]
    assert (mask & valid)[rows, columns].sum() == max(shares) < 160
