"""The server of a viewer in a browser: parts of files, on loopback alone, to one page alone."""

import http.client
import json
from pathlib import Path

import numpy as np
import pytest

import somray
from somray.cli import main
from somray.commands.view import serve as serving_state
from somray.commands.view.server import DataServer, Served, serving
from somray.io.storage import Storage

PAGE = "https://viewer.example"


@pytest.fixture
def server(tmp_path):
    (tmp_path / "scans/a").mkdir(parents=True)
    (tmp_path / "scans/a/zarr.json").write_bytes(b'{"a": 1}')
    (tmp_path / "scans/a/shard").write_bytes(bytes(range(100)))
    (tmp_path / "run.json").write_bytes(b"secret")
    served = Served(Storage.at(tmp_path), ("scans/a",), (PAGE,), made={"names/x/info": b"[]"})
    with serving(served) as running:
        yield running


def ask(server, path, method="GET", **headers):
    connection = http.client.HTTPConnection(*server.server_address, timeout=10)
    word = server.served.word
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    connection.request(method, path.replace("WORD", word), headers=named)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, body, answer.headers


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=3-9", 3, 10),
        ("bytes=90-", 90, 100),
        ("bytes=-4", 96, 100),
        ("bytes=95-400", 95, 100),
    ],
)
def test_a_part_of_a_file_is_given(server, asked, first, last):
    status, body, headers = ask(server, "/WORD/scans/a/shard", Range=asked)
    assert (status, body) == (206, bytes(range(first, last)))
    assert headers["Content-Range"] == f"bytes {first}-{last - 1}/100"


def test_whole_files_heads_and_made_files_are_given(server):
    assert ask(server, "/WORD/scans/a/zarr.json")[:2] == (200, b'{"a": 1}')
    status, body, headers = ask(server, "/WORD/scans/a/shard", "HEAD")
    assert (status, body, headers["Content-Length"]) == (200, b"", "100")
    assert ask(server, "/WORD/names/x/info")[:2] == (200, b"[]")
    assert ask(server, "/WORD/scans/a/shard", Range="bytes=200-")[0] == 416
    assert ask(server, "/WORD/scans/a/none")[0] == 404
    assert ask(server, "/WORD/scans/a")[0] == 403


@pytest.mark.parametrize(
    "path",
    [
        "/WORD/run.json", "/WORD/scans/a/../../run.json", "/WORD/scans/a/%2e%2e/%2e%2e/run.json",
        "/WORD//scans/a/shard", "/else/scans/a/shard", "/scans/a/shard", "/", "/WORD",
    ],
)  # fmt: skip
def test_nothing_else_of_the_run_is_given(server, path):
    status, body, _ = ask(server, path)
    assert (status, body) == (403, b"")


def test_another_page_and_another_name_of_this_machine_get_nothing(server):
    _, _, headers = ask(server, "/WORD/scans/a/shard", Origin=PAGE)
    assert headers["Access-Control-Allow-Origin"] == PAGE
    _, _, headers = ask(server, "/WORD/scans/a/shard", Origin="https://evil.example")
    assert headers["Access-Control-Allow-Origin"] is None
    assert ask(server, "/WORD/scans/a/shard", Host="evil.example")[0] == 403
    status, _, headers = ask(server, "/WORD/scans/a/shard", "OPTIONS", Origin=PAGE)
    assert (status, headers["Access-Control-Allow-Private-Network"]) == (204, "true")
    assert server.server_address[0] == "127.0.0.1"


def test_a_written_state_is_served_at_its_addresses(petct, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(serving_state, "_own_viewer", lambda: None)
    monkeypatch.setattr(serving_state, "has_display", lambda: False)
    arguments = ["--in", "neuroglancer", "--out", str(tmp_path), "--json"]
    assert main(["view", str(petct), "s", *arguments]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["commands"][0][1:] == [
        "-m", "somray.commands.view.serve", str(petct), str(tmp_path)
    ]  # fmt: skip
    state = json.loads((tmp_path / "state.json").read_text())
    url = state["layers"][1]["source"]["url"].removeprefix("zarr3://")
    lesions = next(one for one in state["layers"] if one["name"] == "t0 lesions")
    named = lesions["source"][1].removeprefix("precomputed://") + "/info"
    seen = {}

    def look():
        for address in (f"{url}zarr.json", f"{url}0/c/0/0/0/0/0", named):
            host, _, path = address.removeprefix("http://").partition("/")
            connection = http.client.HTTPConnection(host, timeout=10)
            connection.request("GET", f"/{path}")
            seen[address] = connection.getresponse().read()
            connection.close()

    serving_state.serve(str(petct), tmp_path, look)
    group, shard, names = seen.values()
    scan = petct / "scans/sub-s_ses-t0.ome.zarr"
    assert group == (scan / "zarr.json").read_bytes()
    assert shard == (scan / "0/c/0/0/0/0/0").read_bytes()
    told = json.loads(names)["inline"]
    assert (told["ids"], told["properties"][0]["values"]) == (["7"], ["lesion 7"])
    said = capsys.readouterr().err
    assert "open https://neuroglancer-demo.appspot.com/#!{" in said
    assert "the scans stay on this machine" in said


def test_a_taken_port_gives_way_to_a_free_one(petct, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(serving_state, "_own_viewer", lambda: None)
    monkeypatch.setattr(serving_state, "has_display", lambda: False)
    assert main(["view", str(petct), "s", "--in", "neuroglancer", "--out", str(tmp_path)]) == 0
    text = (tmp_path / "state.json").read_text()
    port = int(text.split("127.0.0.1:")[1].split("/")[0])
    with DataServer(Served(Storage.at(tmp_path), ()), port):
        serving_state.serve(str(petct), tmp_path, lambda: None)
    assert f"127.0.0.1:{port}/" not in capsys.readouterr().err.split("open https")[1]


def test_a_folder_without_a_state_is_refused(petct, tmp_path):
    with pytest.raises(somray.errors.ConfigError, match="no state to show"):
        serving_state.serve(str(petct), Path(tmp_path), lambda: None)


def test_neuroglancers_own_package_takes_the_state(petct, tmp_path):
    neuroglancer = pytest.importorskip(
        "neuroglancer", reason="30 MB: tried by hand, docs/VIEWERS.md"
    )
    assert main(["view", str(petct), "s", "--in", "neuroglancer", "--out", str(tmp_path)]) == 0
    state = json.loads((tmp_path / "state.json").read_text())
    read = neuroglancer.ViewerState(state)
    assert [layer.name for layer in read.layers] == [one["name"] for one in state["layers"]]
    assert [layer.layer.type for layer in read.layers] == [one["type"] for one in state["layers"]]
    assert read.layers["t0 lesions"].layer.segment_colors[7] == "#aa6e28"
    matrix = read.layers["t1 CT"].layer.source[0].transform.matrix
    assert np.allclose(matrix, state["layers"][2]["source"]["transform"]["matrix"])
