"""Fixtures that more than one room of tests uses."""

import os
from pathlib import Path

import pytest

pytest_plugins = ["tests.cohort_fixtures"]


def pytest_addoption(parser):
    parser.addoption("--bench", action="store_true", help="time the benchmarks and print tables")
    parser.addoption("--bench-out", metavar="FOLDER", help="where benchmarks put their pictures")


@pytest.fixture(scope="session")
def real_data() -> Path:
    place = os.environ.get("SOMRAY_TEST_DATA")
    if not place or not Path(place).is_dir():
        pytest.skip("SOMRAY_TEST_DATA names no folder of real scans")
    return Path(place)
