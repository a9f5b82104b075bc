"""What is true of this machine: plain facts, gathered without Ray and without judging; `commands.doctor` judges.

Facts are dictionaries of plain values, so that a node of another somray can still tell its own. None means that
something could not be found out.
"""

import contextlib
import errno
import os
import platform
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

from somray.runtime.machine import affinity_cpus, memory_limit, quota_cpus

__all__ = [
    "NETWORKS", "PACKAGES", "PORTS", "code_cache", "filesystem", "machine_facts", "ports_taken", "torch_devices",
]  # fmt: skip

PACKAGES = ("somray", "ray", "torch", "zarr", "numpy")
PORTS = {
    "--port": 6379,
    "--dashboard-port": 8265,
    "--ray-client-server-port": 10001,
    "--dashboard-agent-listen-port": 52365,
}
"""Ports that the head of a cluster takes by itself, by the option of `ray start` that chooses another."""

NETWORKS = (
    "nfs", "cifs", "smb", "lustre", "beegfs", "gpfs", "ceph", "fuse.sshfs", "9p", "afs", "gluster",
    "fuse.gluster", "weka", "panfs", "orangefs",
)  # fmt: skip
"""How the names of file systems begin that lie on other machines."""

KERNELS = Path(__file__).parents[1] / "kernels" / "__pycache__"
CODE_BYTES = 4 << 20  # more than the largest compiled loop
DEVICES = Path("/dev")
MOUNTS = Path("/proc/self/mountinfo")
SHARED_MEMORY = "/dev/shm"
_TORCH_SECONDS = 90.0  # a first import from a slow file system
_ASK_TORCH = "import torch; print(torch.cuda.device_count(), torch.version.cuda)"
_HIDING = ("CUDA_VISIBLE_DEVICES", "PYTORCH_NVML_BASED_CUDA_CHECK")


def machine_facts(expected_gpus: float | None = 0) -> dict[str, Any]:
    """Gather what there is to know of this machine.

    Args:
        expected_gpus: that somebody says it has; torch, whose import takes seconds, is asked only where some are
            expected or device files are found, and never where this is None.

    Returns:
        `host`; `versions` (package to text, None where it is not installed; `python`); `seconds` (clock, since
        1970); `cpus`, `quota_cpus`, `memory_bytes`, `memory_limit`; `open_files` (soft, hard); `shared_memory`
        (`bytes`, `free`); `gpu_files` (device files); `torch` (see `torch_devices`, None where it was not asked);
        `auth_mode` (RAY_AUTH_MODE); `code_cache` (see `code_cache`).
    """
    files = len(list(DEVICES.glob("nvidia[0-9]*")))
    asked = expected_gpus is not None and (files > 0 or expected_gpus > 0)
    return {
        "host": platform.node(),
        "versions": {"python": platform.python_version(), **_versions(PACKAGES)},
        "seconds": time.time(),
        "cpus": affinity_cpus(),
        "quota_cpus": quota_cpus(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "memory_limit": memory_limit(),
        "open_files": resource.getrlimit(resource.RLIMIT_NOFILE),
        "shared_memory": _usage(SHARED_MEMORY),
        "gpu_files": files,
        "torch": torch_devices() if asked else None,
        "auth_mode": os.environ.get("RAY_AUTH_MODE"),
        "code_cache": code_cache(),
    }


def code_cache() -> dict[str, str | None]:
    """Ask for as much room as compiled loops take where numba keeps them: beside the package, else in the user's cache.

    Returns:
        `folder`, the first that can be written, and `fault`: why nothing can be kept there, None where it can.
    """
    own = os.environ.get("NUMBA_CACHE_DIR")
    places = [Path(own)] if own else [KERNELS, Path(os.path.expanduser("~/.cache/numba"))]
    faults: list[tuple[Path, str]] = []
    for place in places:
        try:
            place.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=place) as file:
                if sys.platform == "linux":
                    os.posix_fallocate(file.fileno(), 0, CODE_BYTES)  # takes room, writes nothing
                else:
                    file.write(bytes(CODE_BYTES))
        except OSError as error:
            faults.append((place, error.strerror or type(error).__name__))
            if error.errno in (errno.EACCES, errno.EROFS, errno.EPERM):
                continue  # numba goes on to the next one, too
        else:
            return {"folder": str(place), "fault": None}
        break
    place, fault = faults[-1]
    return {"folder": str(place), "fault": fault}


def _versions(packages: Iterable[str]) -> dict[str, str | None]:
    """Look versions up without importing anything."""
    found: dict[str, str | None] = {}
    for package in packages:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = None
    return found


def _usage(folder: str) -> dict[str, int] | None:
    try:
        usage = shutil.disk_usage(folder)
    except OSError:
        return None
    return {"bytes": usage.total, "free": usage.free}


def torch_devices() -> dict[str, Any]:
    """Ask torch, in a process of its own, which GPUs it sees.

    A process of its own, since Ray hides GPUs from a task that asked for none, and a broken driver may hang.

    Returns:
        `count`, `cuda` (what torch was built for, None for the CPU alone), `error` (None, or its last words).
    """
    environment = {name: value for name, value in os.environ.items() if name not in _HIDING}
    try:
        done = subprocess.run(
            [sys.executable, "-c", _ASK_TORCH],
            env=environment,
            capture_output=True,
            text=True,
            timeout=_TORCH_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {"count": 0, "cuda": None, "error": f"no answer in {_TORCH_SECONDS:.0f} s"}
    words = done.stdout.split()
    if done.returncode or len(words) != 2:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        return {"count": 0, "cuda": None, "error": last}
    return {
        "count": int(words[0]),
        "cuda": None if words[1] == "None" else words[1],
        "error": None,
    }


def filesystem(path: str) -> str | None:
    """Return the type of the file system that a path lies on, or will lie on ("ext4", "nfs4", "fuse.sshfs")."""
    place = os.path.realpath(path)
    best, found = "", None
    with contextlib.suppress(OSError):
        for line in MOUNTS.read_text().splitlines():
            before, _, after = line.partition(" - ")
            mount = before.split()[4].replace("\\040", " ")
            inside = place == mount or place.startswith(mount.rstrip("/") + "/")
            if inside and len(mount) >= len(best):
                best, found = mount, after.split()[0]
    return found


def ports_taken(ports: Iterable[int] = tuple(PORTS.values())) -> dict[int, int]:
    """Return those of some ports that somebody listens on here, each with a port that was free just now."""
    found = {}
    for port in ports:
        with socket.socket() as probe:
            probe.setsockopt(
                socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
            )  # what just ended is no harm
            try:
                probe.bind(("", port))
            except OSError:
                with socket.create_server(("", 0)) as free:
                    found[port] = int(free.getsockname()[1])
    return found
