"""The tiny run, made once for the files of this folder."""

import pytest

from tests.commands.serve.served import Served, make_run


@pytest.fixture(scope="session")
def served_run(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOMRAY_NUM_THREADS", "1")
        patch.delenv("SOMRAY_SERVE_TOKEN", raising=False)
        return make_run(tmp_path_factory.mktemp("served"))


@pytest.fixture(scope="session")
def served(served_run):
    return Served(served_run, allow=(str(served_run.parent),))
