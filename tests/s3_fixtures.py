"""A real S3-speaking server on loopback: moto's, in a thread of this process."""

import fsspec
import pytest


@pytest.fixture(scope="session")
def s3_server():
    """A server for the whole session, named to every client by the environment as users name theirs."""
    server = pytest.importorskip("moto.server").ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "tests")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "tests")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        yield server
    server.stop()


@pytest.fixture
def bucket(s3_server, tmp_path):
    """URL of a bucket of the test's own."""
    url = f"s3://{tmp_path.name.replace('_', '-').lower()[:60].strip('-')}"
    fsspec.filesystem("s3").mkdir(url)
    return url
