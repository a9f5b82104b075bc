import pytest

from tests.commands.view.viewed import viewed


@pytest.fixture(scope="session")
def petct(tmp_path_factory):
    """The folder of a PET/CT run with two registered sessions."""
    return viewed(tmp_path_factory.mktemp("viewed"))
