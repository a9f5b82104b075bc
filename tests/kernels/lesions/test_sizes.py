import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from somray.kernels.lesions.sizes import MOST_CLASSES, size_borders, size_classes, size_percentile


@given(st.lists(st.floats(1e-6, 1e4), min_size=1, max_size=40))
def test_every_lesion_lies_in_one_of_a_bounded_number_of_classes(diameters):
    found = np.array(diameters)
    borders = size_borders(found)
    classes = size_classes(found, found**3, borders)
    assert 1 <= len(classes.lesions) <= MOST_CLASSES
    assert (np.diff(borders) > 0).all()
    assert classes.lesions.sum() == len(found)
    assert classes.volume_mm3.sum() == pytest.approx((found**3).sum())


def test_classes_have_round_borders_and_hold_their_lower_one():
    borders = size_borders(np.array([0.1, 0.2, 0.99]))
    assert len(borders) == 21
    assert borders[[0, 10, 20]] == pytest.approx([0.1, 10**-0.5, 1.0])
    classes = size_classes(np.array([0.1, 0.5, 1.0, 0.05]), np.ones(4), np.array([0.1, 0.5, 1.0]))
    assert classes.lesions.tolist() == [1, 1]  # the last border and what is smaller lie outside


def test_percentiles_by_number_and_by_volume_are_diameters_that_exist():
    diameters = np.array([4.0, 1.0, 2.0, 3.0])
    by_number, volume = np.ones(4), diameters**3
    found = [size_percentile(diameters, by_number, p) for p in (10, 50, 90)]
    assert found == [1.0, 2.0, 4.0]
    assert size_percentile(diameters, volume, 50) == 4.0  # 64 of 100
    assert size_percentile(diameters, volume, 36) == 3.0
    assert size_percentile(np.array([7.0]), np.ones(1), 0) == 7.0


def test_nothing_has_borders_all_the_same():
    borders = size_borders(np.zeros(0))
    assert size_classes(np.zeros(0), np.zeros(0), borders).lesions.tolist() == [0]
