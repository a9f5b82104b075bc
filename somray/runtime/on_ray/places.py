"""What must be true of a machine before Ray is asked: a cluster that answers, a temporary folder with a short name.

Ray itself waits minutes for a head that is gone, and cannot start where its sockets' paths are too long.
"""

import contextlib
import functools
import logging
import os
import shutil
import socket
import sys
import time
from pathlib import Path

from somray.errors import PlanError
from somray.runtime.facts import NETWORKS, filesystem

__all__ = ["check_cluster", "check_places", "check_temporary", "sweep_sessions"]

ANSWER_SECONDS = 10.0
SOCKET_BYTES = 103 if sys.platform == "darwin" else 107  # of a path, as the kernel holds it
_SETTINGS = b"\x04"  # type of the frame that both sides of HTTP/2 send first
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + _SETTINGS + bytes(5)
_SESSION = "session_2000-01-01_00-00-00_000000_0000000/sockets/plasma_store"  # the longest there is
_PLAIN = "/tmp"
SESSION_SECONDS = 24 * 3600.0
_log = logging.getLogger("somray")
_LAST = "ray/ray_current_cluster"  # where Ray keeps the address of the cluster it last started here


def check_places(address: str | None) -> None:
    """Check what a session would check, before Ray is imported, which takes seconds.

    Raises:
        PlanError: see `check_cluster` and `check_temporary`.
    """
    if address is None:
        check_temporary()
    else:
        check_cluster(address)


def check_cluster(address: str) -> None:
    """Ask whether anything listens at a cluster's address.

    Args:
        address: "host:port" or "auto", which means the cluster last started on this machine.

    Raises:
        PlanError: nothing does, or this is no address.
    """
    named = _last_started() if address == "auto" else address
    if named is None:
        return  # Ray looks for one itself, and says at once that there is none
    host, colon, port = named.removeprefix("ray://").rpartition(":")
    if not colon or not port.isdigit() or not host:
        raise PlanError(
            f"{address!r} is not the address of a Ray cluster; write host:port or auto "
            "(--address, RAY_ADDRESS)"
        )
    try:
        _greet(host.strip("[]"), int(port))
    except (OSError, OverflowError) as error:
        raise PlanError(
            f"no Ray cluster answers at {named}: {error}; start its head (`ray start --head`), correct --address "
            "or RAY_ADDRESS, or leave both out to start an embedded Ray"
        ) from error


def _greet(host: str, port: int) -> None:
    """Say hello as gRPC does (RFC 9113, 3.4) and see that the answer is a server's.

    Raises:
        OSError: nobody answers in time, or what answers speaks another language.
    """
    with socket.create_connection((host, port), ANSWER_SECONDS) as line:
        if os.environ.get("RAY_USE_TLS", "0") == "1":
            return  # its language is not plain
        line.sendall(_PREFACE)
        answer = line.recv(9)
    if answer[3:4] != _SETTINGS:
        raise OSError("what listens there is no Ray")


def _last_started() -> str | None:
    if named := os.environ.get("RAY_ADDRESS", "").replace("auto", ""):
        return named
    try:
        return (_temporary() / _LAST).read_text().strip() or None
    except OSError:
        return None


def check_temporary() -> Path:
    """See that an embedded Ray can make its folder and its sockets; return that folder.

    It is this user's own: `/tmp/ray`, which Ray would take, belongs to whoever started Ray first on a shared machine.
    RAY_TMPDIR is taken at its word. TMPDIR is taken where its path is short, of plain letters and on a local disk, else
    /tmp is: batch systems make long ones, and sockets and logs on a network file system fail.

    Raises:
        PlanError: the path is too long or not of ASCII's letters, or nothing can be written there.
    """
    named = os.environ.get("RAY_TMPDIR")
    place = Path(named).absolute() if named else _from_environment()
    if not str(place).isascii():
        raise PlanError(
            f"the temporary folder {place} has letters in its name that Ray cannot work with; set RAY_TMPDIR to one "
            "of plain letters, such as /tmp"
        )
    size = _socket_bytes(place)
    if size > SOCKET_BYTES:
        longest = SOCKET_BYTES - (size - len(os.fsencode(place)))
        raise PlanError(
            f"the temporary folder {place} has too long a path for the sockets of Ray ({size} bytes with "
            f"their own names, at most {SOCKET_BYTES} can be); set RAY_TMPDIR to a folder of at most "
            f"{longest} bytes, such as /tmp"
        )
    folder = place / _own_name()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if folder.is_symlink() or folder.stat().st_uid != os.getuid():
            raise PermissionError(f"{folder} belongs to somebody else")
        folder.chmod(0o700)
    except OSError as error:
        raise PlanError(
            f"the temporary folder {place} cannot be used by Ray: {error.strerror or error}; set RAY_TMPDIR to "
            "a folder that can be written, such as /tmp"
        ) from error
    return folder


def _from_environment() -> Path:
    """Return TMPDIR where Ray can live there, else /tmp."""
    place = Path(os.environ.get("TMPDIR") or _PLAIN).absolute()
    if not str(place).isascii():
        why = "has letters in its name that Ray cannot work with"
    elif _socket_bytes(place) > SOCKET_BYTES:
        why = "has too long a path for Ray's sockets"
    elif (filesystem(str(place)) or "").startswith(NETWORKS):
        why = "lies on a network"
    else:
        return place
    _tell(f"TMPDIR {place} {why}; Ray's folder is made in {_PLAIN} (RAY_TMPDIR names another)")
    return Path(_PLAIN)


@functools.cache
def _tell(text: str) -> None:
    """Tell once: a run asks for its folder more than once."""
    _log.warning(text)


def _own_name() -> str:
    return f"somray-{os.getuid()}"


def _socket_bytes(place: Path) -> int:
    return len(os.fsencode(place / _own_name() / _SESSION))


def sweep_sessions(folder: Path) -> None:
    """Remove what dead drivers left in this user's folder: sessions whose process is gone, a day old or older.

    The age keeps those of another container that shares the folder, whose processes are not seen from here.
    """
    for session in folder.glob("session_*"):
        owner = session.name.rpartition("_")[2]
        with contextlib.suppress(OSError):
            old = time.time() - session.lstat().st_mtime > SESSION_SECONDS
            if session.is_dir() and not session.is_symlink() and owner.isdigit() and old:
                _remove_if_dead(session, int(owner))


def _remove_if_dead(session: Path, owner: int) -> None:
    try:
        os.kill(owner, 0)
    except ProcessLookupError:
        shutil.rmtree(session, ignore_errors=True)


def _temporary() -> Path:
    """Return the folder that `ray start` takes, as it chooses it."""
    named = os.environ.get("RAY_TMPDIR")
    if named is None and sys.platform.startswith("linux"):
        named = os.environ.get("TMPDIR")
    return Path(named or _PLAIN).absolute()
