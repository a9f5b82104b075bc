"""A short storm: the run ends with the bits of the undisturbed one. `make chaos` lets a long one loose."""

import pytest

from tests.chaos.storm import let_loose

pytestmark = [
    pytest.mark.ray,
    pytest.mark.timeout(1200),
    # Processes that are killed leave pipes behind.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
KINDS = ("node_lost", "two_drivers", "disk_full", "worker_killed")


def test_a_run_survives_what_breaks_it(tmp_path):
    told = []
    let_loose(tmp_path, len(KINDS), 1, KINDS, told.append, subjects=1)
    came = {line.split("|")[3].strip() for line in told[2:]}
    assert came >= set(KINDS), told
