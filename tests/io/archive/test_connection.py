"""How an archive's failures are told apart, against a small server of our own."""

import http.server
import threading

import pytest

from somray.errors import ConfigError
from somray.io.archive import ArchiveAwayError, ArchiveConnection, ArchiveRefusedError, Orthanc
from somray.io.archive.cstore import parse_peer
from somray.io.archive.stow import stow

ANSWERS = {
    "fails": b'{"00081198": {"vr": "SQ", "Value": [{}]}}',
    "web": b'{"00081198": {"vr": "SQ"}, "00081199": {"vr": "SQ", "Value": [{}]}}',
}


class Told(http.server.BaseHTTPRequestHandler):
    """Answers with the status that the path names."""

    protocol_version = "HTTP/1.1"
    seen: list = []  # noqa: RUF012

    def do_GET(self):
        length = int(self.headers.get("Content-Length") or 0)
        self.seen.append((self.path, dict(self.headers), self.rfile.read(length)))
        status = next((int(part) for part in self.path.split("/") if part.isdigit()), 200)
        body = ANSWERS.get(self.path.split("/")[1], b"not json")
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        if "hang-up" in self.path:
            self.close_connection = True  # without a word that it will

    do_POST = do_GET  # noqa: N815

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    Told.seen.clear()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Told) as one:
        thread = threading.Thread(target=one.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://me@127.0.0.1:{one.server_port}"
        one.shutdown()
        thread.join()


@pytest.fixture
def connection(server):
    one = ArchiveConnection(server, "secret")
    yield one
    one.close()


def test_user_and_password_go_into_the_header_alone(connection):
    assert connection.ask("GET", "/200") == (200, b"not json")
    path, headers, _ = Told.seen[0]
    assert path == "/200"
    assert headers["Authorization"] == "Basic bWU6c2VjcmV0"
    assert "me" not in connection.name.split("//")[1].split(":")[0]


@pytest.mark.parametrize(
    ("status", "error"),
    [(401, ConfigError), (403, ConfigError), (502, ArchiveAwayError), (503, ArchiveAwayError)],
)
def test_what_an_operator_must_do_is_told_from_what_passes(connection, status, error):
    with pytest.raises(error) as found:
        connection.ask("GET", f"/{status}")
    assert "secret" not in str(found.value)


def test_a_connection_that_was_closed_while_idle_is_opened_again(connection):
    for _ in range(3):
        assert connection.ask("GET", "/hang-up").status == 200
    assert len(Told.seen) == 3


def test_nobody_there_is_an_archive_that_is_away():
    with pytest.raises(ArchiveAwayError, match="does not answer"):
        ArchiveConnection("http://127.0.0.1:9").ask("GET", "/")


@pytest.mark.parametrize(
    "url", ["pacs:8042", "ftp://pacs", "http://", "http://a:b:c", "http://pacs?x=1"]
)
def test_what_is_no_url_is_refused(url):
    with pytest.raises(ConfigError):
        ArchiveConnection(url)


def test_a_password_in_a_url_is_refused_and_not_repeated():
    with pytest.raises(ConfigError) as found:
        ArchiveConnection("http://me:hunter2@pacs:8042")
    assert "hunter2" not in str(found.value)


def test_what_is_no_orthanc_is_told(connection):
    with pytest.raises(ConfigError, match="is no Orthanc"):
        Orthanc(connection).check()
    with pytest.raises(ArchiveRefusedError):
        Orthanc(connection).file("404")
    with pytest.raises(ArchiveRefusedError):
        Orthanc(connection).size_bytes("x")


def test_stow_sends_one_part_and_reads_the_answer(server):
    connection = ArchiveConnection(f"{server}/web/", "secret")
    data = b"DICM--somray\r\n"
    stow(connection, data)
    path, headers, body = Told.seen[0]
    assert path == "/web/studies"
    boundary = headers["Content-Type"].split("boundary=")[1]
    assert body.split(f"--{boundary}".encode())[1].endswith(b"\r\n\r\n" + data + b"\r\n")
    connection.close()
    failing = ArchiveConnection(f"{server}/fails", "")
    with pytest.raises(ArchiveRefusedError):
        stow(failing, data)
    failing.close()


def test_a_peer_is_a_title_a_host_and_a_port():
    peer = parse_peer("MY ARCHIVE@pacs.example:104")
    assert (peer.title, peer.host, peer.port) == ("MY ARCHIVE", "pacs.example", 104)
    assert parse_peer("A@[::1]:104").host == "::1"
    for text in ("A@b", "@b:104", "A@b:0", "A\\B@c:104", "A" * 17 + "@b:104", "A@b:104/x"):
        with pytest.raises(ConfigError):
            parse_peer(text)
