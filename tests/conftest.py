"""Fixtures that more than one room of tests uses."""

import gc
import os
from pathlib import Path

import pytest

gc.disable()  # until tests are collected
pytest_plugins = ["tests.cohort_fixtures", "tests.s3_fixtures"]


def pytest_addoption(parser):
    parser.addoption("--bench", action="store_true", help="time the benchmarks and print tables")
    parser.addoption("--bench-out", metavar="FOLDER", help="where benchmarks put their pictures")


COHORT_FILES = (
    "tests/commands/test_export.py",
    "tests/commands/test_finetune.py",
    "tests/commands/test_propose.py",
    "tests/pipeline/test_cohort.py",
    "tests/pipeline/test_confidence.py",
    "tests/pipeline/test_plan.py",
    "tests/pipeline/test_references.py",
    "tests/pipeline/test_student_cohort.py",
    "tests/runtime/test_train.py",
    "tests/stages/answers/test_answer_volumes.py",
    "tests/stages/student/test_student_lessons.py",
    "tests/stages/student/test_student_volumes.py",
    "tests/test_cli.py",
)
"""Tests of the tiny cohort: one process takes them all, and makes it once."""
ROOMS = ("tests/report", "tests/commands/dicom_node", "tests/commands/serve", "tests/commands/view")
"""Folders whose files share a run of their own: one process takes a folder, and makes it once."""
COMPILES_LITTLE = ("tests/kernels/student", "tests/phantom", "tests/kernels/objects", "tests/io")
EMBEDDED = tuple(
    f"tests/runtime/test_{name}.py" for name in ("map", "probe", "ray_executor", "ray_train")
)
"""Tests of one embedded Ray: one process takes them all, and starts it once."""
LONG = (
    *ROOMS,
    "tests/pipeline",
    "tests/stages",
    "tests/kernels/registration",
    "tests/architecture",
)
"""What begins late must be short, or one process works alone at the end."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Give out tests file by file, those that share a run together.

    Marks of xdist's own (`--dist loadgroup`) do nothing under pytest 9.2: it no longer reads `_nodeid`.
    """
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            file = nodeid.partition("::")[0]
            if file in COHORT_FILES:
                return "cohort"
            if file in EMBEDDED:
                return "embedded"
            return next((room for room in ROOMS if file.startswith(room)), file)

    return ByFile(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """Keep the garbage collector still while tests are collected: going through them took a fifth of that time.

    What is there then is not frozen: with so little left to count, cycles stayed and tests of memory saw them.
    """
    try:
        return (yield)
    finally:
        gc.enable()


def pytest_collection_modifyitems(config, items):
    """Begin with what takes longest.

    Processes that start together should not compile the same kernels: beside the cohort, which needs most of them,
    go tests that need few; then those that take long. Ray's tests, which run beside all others, begin with those that
    take longest and need none.
    """

    def rank(item):
        if item.nodeid.startswith(COHORT_FILES):
            return 0
        if item.nodeid.startswith(EMBEDDED):
            return 4
        if item.nodeid.startswith(COMPILES_LITTLE):
            return 1
        return 2 if item.nodeid.startswith(LONG) else 3

    items.sort(key=rank, reverse=config.option.markexpr == "ray")


@pytest.fixture(scope="session")
def real_data() -> Path:
    place = os.environ.get("SOMRAY_TEST_DATA")
    if not place or not Path(place).is_dir():
        pytest.skip("SOMRAY_TEST_DATA names no folder of real scans")
    return Path(place)
