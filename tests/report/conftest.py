"""One small run and its report, written once for all tests that only read."""

import pytest

from somray.report.pages import write_report

from .small_run import SmallRun, build


@pytest.fixture(scope="session")
def small_run(tmp_path_factory: pytest.TempPathFactory) -> SmallRun:
    run = build(tmp_path_factory.mktemp("report"))
    write_report(str(run.root))
    return run
