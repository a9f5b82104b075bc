"""What must be true of a machine before Ray is asked: a cluster that answers, a temporary folder with a short name.

Ray itself waits minutes for a head that is gone, and cannot start where its sockets' paths are too long.
"""

import os
import socket
import sys
from pathlib import Path

from somray.errors import PlanError

__all__ = ["check_cluster", "check_places", "check_temporary"]

ANSWER_SECONDS = 10.0
SOCKET_BYTES = 103 if sys.platform == "darwin" else 107  # of a path, as the kernel holds it
_SETTINGS = b"\x04"  # type of the frame that both sides of HTTP/2 send first
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + _SETTINGS + bytes(5)
_SESSION = (
    "ray/session_2000-01-01_00-00-00_000000_0000000/sockets/plasma_store"  # the longest there is
)
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
        address: "host:port", "ray://host:port" or "auto", which means the cluster last started on this machine.

    Raises:
        PlanError: nothing does, or this is no address.
    """
    named = _last_started() if address == "auto" else address
    if named is None:
        return  # Ray looks for one itself, and says at once that there is none
    host, colon, port = named.removeprefix("ray://").rpartition(":")
    if not colon or not port.isdigit() or not host:
        raise PlanError(
            f"{address!r} is not the address of a Ray cluster; write host:port, ray://host:port or auto "
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


def check_temporary() -> None:
    """See that an embedded Ray can make its folder and its sockets.

    Raises:
        PlanError: the path is too long, or nothing can be written there.
    """
    place = _temporary()
    size = len(os.fsencode(place / _SESSION))
    if size > SOCKET_BYTES:
        longest = SOCKET_BYTES - len(_SESSION) - 1
        raise PlanError(
            f"the temporary folder {place} has too long a path for the sockets of Ray ({size} bytes with "
            f"their own names, at most {SOCKET_BYTES} can be); set RAY_TMPDIR to a folder of at most "
            f"{longest} bytes, such as /tmp"
        )
    try:
        (place / "ray").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PlanError(
            f"the temporary folder {place} cannot be used by Ray: {error.strerror or error}; set RAY_TMPDIR to "
            "a folder that can be written, such as /tmp"
        ) from error


def _temporary() -> Path:
    """Return the folder that Ray will take, as it chooses it."""
    named = os.environ.get("RAY_TMPDIR")
    if named is None and sys.platform.startswith("linux"):
        named = os.environ.get("TMPDIR")
    return Path(named or "/tmp").absolute()
