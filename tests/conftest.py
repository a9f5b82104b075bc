"""Fixtures that more than one room of tests uses."""

import os
from pathlib import Path

import pytest

pytest_plugins = ["tests.cohort_fixtures"]


def pytest_addoption(parser):
    parser.addoption("--bench", action="store_true", help="time the benchmarks and print tables")
    parser.addoption("--bench-out", metavar="FOLDER", help="where benchmarks put their pictures")


COHORT_FIXTURES = {"cohort_folder", "finished", "petct_folder", "petct_run"}
COMPILES_LITTLE = ("tests/kernels/student", "tests/phantom", "tests/kernels/objects", "tests/io")


@pytest.hookimpl(tryfirst=True)  # xdist reads the groups in a hook of its own
def pytest_collection_modifyitems(config, items):
    """Say what goes to one process together, and in which order.

    All tests of the tiny cohort go to one process, which makes it once; the others go file by file. What takes
    longest begins. Processes that start together should not compile the same kernels: beside the cohort, which
    needs most of them, go tests that need few.
    """

    def rank(item):
        if COHORT_FIXTURES & set(item.fixturenames):
            return 0
        return 1 if item.nodeid.startswith(COMPILES_LITTLE) else 2

    ranks = {id(item): rank(item) for item in items}
    for item in items:
        group = "cohort" if ranks[id(item)] == 0 else item.nodeid.partition("::")[0]
        item.add_marker(pytest.mark.xdist_group(group))
    # Ray's tests run beside the others: they begin with those that need no compiled kernel.
    items.sort(key=lambda item: ranks[id(item)], reverse=config.option.markexpr == "ray")


@pytest.fixture(scope="session")
def real_data() -> Path:
    place = os.environ.get("SOMRAY_TEST_DATA")
    if not place or not Path(place).is_dir():
        pytest.skip("SOMRAY_TEST_DATA names no folder of real scans")
    return Path(place)
