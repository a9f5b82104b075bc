"""Who may ask, how much waits, and what is told of the whole service."""

import asyncio
import socket
import threading

import numpy as np
import pytest
import typer.testing
from starlette.websockets import WebSocketDisconnect

from somray.cli import main
from somray.commands.serve.launch import ServeRequest, _check_port, settings_of
from somray.commands.serve.refusal import RefusedError
from somray.commands.serve.settings import Limits, Settings, is_loopback, read_token
from somray.commands.serve.web.line import Line
from somray.errors import ConfigError, PlanError
from somray.runtime.on_ray.serving.door import Door
from tests.commands.serve.served import TOKEN, Served, client_of, root_of

BEARER = {"Authorization": f"Bearer {TOKEN}"}
IMAGE = np.zeros((16, 16), np.float32)


@pytest.fixture
def token_file(tmp_path):
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    return str(tmp_path / "token")


@pytest.fixture
def guarded(served_run, token_file):
    return Served(served_run, token_file=token_file, needs_token=True)


@pytest.mark.parametrize(
    "given", [None, "", TOKEN, f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", f"bearer {TOKEN}"]
)
def test_without_the_token_nothing_is_answered(guarded, given):
    found = guarded.slice(IMAGE, {} if given is None else {"Authorization": given})
    assert found.status_code == 401
    assert found.headers["WWW-Authenticate"] == "Bearer"
    assert TOKEN not in found.text


def test_with_the_token_all_hosts_are_answered(guarded):
    found = guarded.slice(IMAGE, {**BEARER, "Host": "scanner.hospital.org", "Origin": "https://x"})
    assert found.status_code == 200


def test_a_websocket_needs_the_token_too(guarded):
    with (
        pytest.raises(WebSocketDisconnect) as refused,
        guarded.client.websocket_connect("/stream"),
    ):
        pass
    assert refused.value.code == 4401


@pytest.mark.parametrize(
    "headers",
    [{"Host": "evil.org"}, {"Host": "127.0.0.1.evil.org:80"}, {"Origin": "https://evil.org"}],
)
def test_without_a_token_other_pages_of_a_browser_get_nothing(served, headers):
    assert served.slice(IMAGE, headers).status_code == 403


def test_health_is_told_to_all_and_the_rest_to_who_has_the_token(served_run, token_file):
    client = root_of(served_run, token_file=token_file)
    strange = {"Host": "10.0.0.7"}
    assert client.get("/healthz", headers=strange).json() == {"status": "ok"}
    assert client.get("/readyz", headers=strange).status_code == 200
    for path in ("/v1/protocols", "/metrics", "/docs", "/openapi.json"):
        assert client.get(path).status_code == 401
        assert client.get(path, headers=BEARER).status_code == 200


def test_the_root_tells_what_is_served_and_describes_it(served_run):
    client = root_of(served_run)
    assert client.get("/v1/protocols").json()["protocols"] == [
        {"protocol": "p", "url": "/v1/protocols/p", "ready": True}
    ]
    paths = client.get("/openapi.json").json()["paths"]
    assert {"/v1/protocols/p/slices", "/v1/protocols/p/scans", "/readyz"} <= set(paths)
    answers = paths["/v1/protocols/p/scans"]["post"]["responses"]
    assert set(answers["200"]["content"]) == {
        "application/json", "application/x-npy", "application/gzip", "application/zip",
    }  # fmt: skip
    assert "503" in answers
    page = client.get("/docs").text
    assert "/v1/protocols/p/slices" in page
    assert "<script" not in page
    assert client.get("/metrics").text == "somray_x 1\n"
    assert root_of(served_run, ready=False).get("/readyz").status_code == 503


def test_a_path_that_is_not_served_is_refused_as_all_else_is(served_run):
    client = root_of(served_run)
    for answer, status in ((client.get("/v1/protocols/nope/"), 404), (client.post("/readyz"), 405)):
        assert (answer.status_code, set(answer.json()["error"])) == (status, {"code", "message"})
    assert "/v1/protocols" in client.get("/v2").json()["error"]["message"]


def test_an_error_of_ours_tells_nothing(served_run, monkeypatch, caplog):
    own = Served(served_run)
    monkeypatch.setattr(type(own.fitted), "labels", lambda *_: 1 / 0)
    found = own.slice(IMAGE + 5)
    assert found.status_code == 500
    assert "division" not in found.text + caplog.text
    assert "ZeroDivisionError" in caplog.text


def test_who_comes_beyond_the_line_is_told_when_to_come_back():
    gate = threading.Event()

    async def run():
        line = Line(1, 2, 4)

        async def one(seen):
            async with line.place():
                return await line.work(lambda threads: (gate.wait(5), seen.append(threads)))

        seen = []
        tasks = [asyncio.create_task(one(seen)) for _ in range(3)]
        await asyncio.sleep(0.05)
        with pytest.raises(RefusedError) as refused:
            async with line.place():
                pass
        gate.set()
        await asyncio.gather(*tasks)
        async with line.place():
            pass
        line.close()
        return refused.value, seen

    refused, seen = asyncio.run(run())
    assert refused.status == 503
    assert int(refused.headers["Retry-After"]) >= 1
    assert refused.as_json()["error"]["code"] == "busy"
    assert seen == [4, 4, 4]


def test_threads_are_shared_among_those_at_work():
    both, seen = threading.Barrier(2), []

    def piece(threads):
        both.wait(5)
        seen.append(threads)

    async def run():
        line = Line(2, 2, 4)
        await asyncio.gather(line.work(piece), line.work(piece))
        line.close()

    asyncio.run(run())
    assert sorted(seen) in ([2, 2], [2, 4])


def test_a_full_service_answers_503(served_run):
    own = Served(served_run, Limits(waiting=0), threads=1)
    own.service.slices._held = 1
    found = own.slice(IMAGE)
    assert found.status_code == 503
    assert int(found.headers["Retry-After"]) >= 1
    assert found.json()["error"]["retry_after_seconds"] >= 1


@pytest.mark.parametrize(
    ("host", "alone"),
    [("127.0.0.1", True), ("localhost", True), ("::1", True), ("127.1.2.3", True), ("0.0.0.0", False),
     ("192.168.1.5", False), ("127.evil.org", False), ("", False)],
)  # fmt: skip
def test_loopback_is_told_from_other_hosts(host, alone):
    assert is_loopback(host) == alone


def test_others_than_loopback_need_a_token(served_run, monkeypatch, token_file):
    monkeypatch.delenv("SOMRAY_SERVE_TOKEN", raising=False)
    with pytest.raises(ConfigError, match="token"):
        settings_of(ServeRequest(str(served_run), host="0.0.0.0"))
    monkeypatch.setenv("SOMRAY_SERVE_TOKEN", TOKEN)
    assert settings_of(ServeRequest(str(served_run), host="0.0.0.0")).token() == TOKEN
    monkeypatch.setenv("SOMRAY_SERVE_TOKEN", "short")
    with pytest.raises(ConfigError, match="16"):
        read_token(None)
    assert read_token(token_file) == TOKEN
    assert TOKEN not in repr(Settings("r", ("p",), token_file=token_file))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--protocol", "q"], "the run has p"),
        (["--allow", "/nowhere/at/all"], "no such folder"),
        (["--host", "0.0.0.0"], "token"),
        (["--tls-cert", "cert.pem"], "together"),
        (["--tls-cert", "c.pem", "--tls-key", "k.pem"], "no such file"),
        (["--token-file", "/nowhere"], "cannot be read"),
    ],
)
def test_mistakes_are_told_before_anything_starts(served_run, capsys, monkeypatch, options, words):
    monkeypatch.delenv("SOMRAY_SERVE_TOKEN", raising=False)
    assert main(["serve", str(served_run), *options]) == 2
    assert words in capsys.readouterr().err


def test_the_verb_is_listed():
    from somray.cli import app

    assert "serve" in typer.testing.CliRunner().invoke(app, ["--help"]).output


def test_routes_that_are_only_described_answer_nothing():
    from somray.commands.serve.web.protocol import protocol_routes

    assert client_of(protocol_routes("p", Limits(), None)).get("/").status_code == 500


def test_a_port_that_is_taken_is_told_before_ray_starts():
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = Door("127.0.0.1", other.getsockname()[1])
        with pytest.raises(PlanError, match=f"port {taken.port} cannot .*--port"):
            _check_port(taken)
