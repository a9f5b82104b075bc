"""The time limit of a unit takes whatever the configuration may say."""

import pytest

from somray.runtime.limit import time_limit


@pytest.mark.parametrize("seconds", [6e11, 1e308, float("inf")])
def test_a_limit_beyond_what_the_watch_can_count_is_no_error(seconds):
    """`unit_minutes: 1e9` set every unit aside with an OverflowError."""
    with time_limit(seconds):
        pass
