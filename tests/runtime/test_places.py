"""A place that Ray cannot live in, and a cluster that is not there, are told at once and in words."""

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time

import pytest

from somray.cli import main
from somray.errors import PlanError
from somray.runtime.on_ray import places
from somray.runtime.on_ray.places import check_cluster, check_places, check_temporary
from tests.pipeline.tiny import body, save, write_manifest


@contextlib.contextmanager
def listening(answer):
    """Listen on a port of this machine and give everybody one answer."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(5)

        def serve():
            with contextlib.suppress(OSError):
                line, _ = server.accept()
                with line:
                    line.recv(1000)
                    line.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        thread.join()


@pytest.fixture
def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@pytest.mark.parametrize("form", ["127.0.0.1:{}", "ray://127.0.0.1:{}", "[::1]:{}", "localhost:{}"])
def test_an_address_where_nothing_listens_is_refused_at_once(form, free_port):
    start = time.monotonic()
    with pytest.raises(PlanError, match=r"no Ray cluster answers at .*RAY_ADDRESS"):
        check_cluster(form.format(free_port))
    assert time.monotonic() - start < 5


@pytest.mark.parametrize("address", ["head", "head:", ":6379", "ray://", "127.0.0.1:99999", "a:b"])
def test_what_is_no_address_is_refused(address):
    with pytest.raises(PlanError, match=r"address|answers"):
        check_cluster(address)


def test_another_server_than_ray_is_refused(monkeypatch):
    with (
        listening(b"HTTP/1.0 400 Bad request\r\n\r\n") as address,
        pytest.raises(PlanError, match="no Ray"),
    ):
        check_cluster(address)
    monkeypatch.setattr(places, "ANSWER_SECONDS", 0.2)
    with (
        socket.create_server(("127.0.0.1", 0)) as mute,
        pytest.raises(PlanError, match="timed out"),
    ):
        check_cluster(f"127.0.0.1:{mute.getsockname()[1]}")


def test_a_server_that_greets_as_grpc_does_is_let_pass():
    with listening(bytes(3) + b"\x04" + bytes(5)) as address:
        check_cluster(address)


def test_auto_asks_the_cluster_that_was_last_started_here(tmp_path, monkeypatch, free_port):
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    check_cluster("auto")
    (tmp_path / "ray").mkdir()
    (tmp_path / "ray/ray_current_cluster").write_text(f"127.0.0.1:{free_port}")
    with pytest.raises(PlanError, match=str(free_port)):
        check_cluster("auto")


def test_a_named_folder_too_deep_for_sockets_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path / ("x" * 60)))
    with pytest.raises(PlanError, match=r"too long a path .* set RAY_TMPDIR"):
        check_places(None)
    assert not list(tmp_path.iterdir())


def test_the_longest_path_that_is_let_pass_holds_rays_longest_socket(monkeypatch):
    own = len(f"somray-{os.getuid()}/")
    longest = 107 - len("/session_2000-01-01_00-00-00_000000_0000000/sockets/plasma_store") - own
    monkeypatch.setattr(places, "SOCKET_BYTES", 107)
    monkeypatch.setenv("RAY_TMPDIR", "/" + "x" * longest)
    with pytest.raises(PlanError, match=f"at most {longest} bytes"):
        check_temporary()


@pytest.fixture
def unnamed(tmp_path, monkeypatch):
    """No RAY_TMPDIR, a short TMPDIR, and a stand-in for /tmp."""
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    monkeypatch.setattr(places, "SOCKET_BYTES", len(str(tmp_path)) + 100)
    monkeypatch.setattr(places, "_PLAIN", str(tmp_path / "plain"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "t"))
    return tmp_path


def test_the_folder_is_the_users_own_and_private(unnamed):
    folder = check_temporary()
    assert folder == unnamed / "t" / f"somray-{os.getuid()}"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert check_temporary() == folder


def test_a_long_path_of_a_batch_system_gives_way_and_it_is_told_once(unnamed, monkeypatch, caplog):
    monkeypatch.setenv("TMPDIR", str(unnamed / ("x" * 90)))
    assert check_temporary().parent == unnamed / "plain"
    check_temporary()
    (told,) = caplog.messages
    assert "has too long a path" in told
    assert str(unnamed / "plain") in told


@pytest.mark.parametrize("kind", ["nfs4", "fuse.sshfs", "lustre"])
def test_a_folder_on_a_network_gives_way(kind, unnamed, monkeypatch):
    monkeypatch.setattr(places, "filesystem", lambda path: kind)
    assert check_temporary().parent == unnamed / "plain"


def test_a_folder_with_letters_that_ray_lacks_gives_way_or_is_refused_by_name(unnamed, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(unnamed / "é"))
    assert check_temporary().parent == unnamed / "plain"
    monkeypatch.setenv("RAY_TMPDIR", str(unnamed / "é"))
    with pytest.raises(PlanError, match=r"letters .* set RAY_TMPDIR"):
        check_temporary()


def test_a_folder_of_somebody_else_is_not_taken(unnamed, monkeypatch):
    (unnamed / "t").mkdir()
    (unnamed / "t" / f"somray-{os.getuid()}").symlink_to(unnamed)
    with pytest.raises(PlanError, match="cannot be used by Ray"):
        check_temporary()


def test_only_old_sessions_of_the_dead_are_swept(tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    old = time.time() - 2 * places.SESSION_SECONDS
    names = {
        "old": f"session_2026-01-01_00-00-00_000000_{dead.pid}",
        "new": f"session_2026-01-01_00-00-01_000000_{dead.pid}",
        "living": f"session_2026-01-01_00-00-02_000000_{os.getpid()}",
        "other": "session_notes",
    }
    for kind, name in names.items():
        (tmp_path / name).mkdir()
        if kind != "new":
            os.utime(tmp_path / name, (old, old))
    (tmp_path / "session_latest").symlink_to(names["old"])
    places.sweep_sessions(tmp_path)
    kept = {path.name for path in tmp_path.iterdir() if not path.is_symlink()}
    assert kept == {names["new"], names["living"], names["other"]}


def test_a_temporary_folder_that_cannot_be_made_is_refused(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path / "file"))
    monkeypatch.setattr(places, "SOCKET_BYTES", 1000)
    with pytest.raises(PlanError, match="cannot be used by Ray"):
        check_temporary()


@pytest.mark.parametrize("trouble", ["address", "temporary", "output"])
def test_a_run_in_such_a_place_is_exit_4_with_advice(
    trouble, tmp_path, monkeypatch, capsys, free_port
):
    save(tmp_path / "a.nii", body((2, 16, 16)))
    write_manifest(tmp_path, [("a", "t0", "p", "a.nii")])
    arguments = ["run", str(tmp_path / "cohort.yaml")]
    if trouble == "address":
        monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{free_port}")
    elif trouble == "temporary":
        monkeypatch.delenv("RAY_ADDRESS", raising=False)
        monkeypatch.setenv("RAY_TMPDIR", "/tmp/" + "x" * 90)
    else:
        (tmp_path / "file").write_text("")
        arguments += ["--set", f"output={tmp_path / 'file/run'}"]
    assert main(arguments) == 4
    told = capsys.readouterr().err
    assert told.startswith("somray: ")
    assert {"address": "RAY_ADDRESS", "temporary": "RAY_TMPDIR", "output": "cannot be written"}[
        trouble
    ] in told
    assert "Traceback" not in told
