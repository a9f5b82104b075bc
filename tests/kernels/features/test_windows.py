"""Automatic windows are the percentiles that numpy gives of the same values in float64, without a fill value."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from somray.domain.channel import Channel
from somray.errors import ShapeError
from somray.kernels.features.windows import auto_window

XCT = Channel("XCT", "XCT")
MANY = arrays.arrays(
    np.float32,
    arrays.array_shapes(min_dims=1, max_dims=3, max_side=9),
    elements=st.floats(-1000, 1000, width=32),
)


def window(values):
    return auto_window(np.asarray(values, np.float32), "XCT", XCT)


@example(np.array([-1, 1, *[0] * 600], np.float32))
@given(MANY)
def test_a_window_has_the_bits_of_numpy_in_float64(values):
    ordered = np.unique(values)
    if len(ordered) < 3 or np.count_nonzero(values == ordered[0]) > 1:
        return  # a fill value, or nothing between two values, is asked below
    low, high = np.percentile(values.astype(np.float64), [0.5, 99.5])
    few_differ = low == high  # then it is as wide as the values
    assert window(values) == ((ordered[0], ordered[-1]) if few_differ else (low, high))


def test_a_repeated_value_far_below_is_no_part_of_it_and_one_near_is():
    values = np.linspace(0, 100, 1001)
    wanted = tuple(np.percentile(values.astype(np.float32).astype(np.float64), [0.5, 99.5]))
    assert window([*values, -3024, -3024, np.nan]) == wanted
    near = np.array([*values, -10, -10], np.float32)
    assert window(near) == tuple(np.percentile(near.astype(np.float64), [0.5, 99.5]))


def test_one_value_has_a_window_round_it_and_none_is_refused():
    assert window([[7, 7], [7, np.nan]]) == (6.5, 7.5)
    with pytest.raises(ShapeError, match="no finite value"):
        window([np.nan, np.inf])
