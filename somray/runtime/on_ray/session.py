"""Join a Ray cluster or start an embedded one; the one place where Ray is initialised.

An embedded Ray is for this process alone: it is guarded by a random token that is never written to disk,
and `address="local"` keeps it from joining whatever cluster lives on the machine.
"""

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import ray

from somray.errors import PlanError
from somray.runtime.machine import available_cpus, memory_limit
from somray.runtime.on_ray.head import check_head, refusal
from somray.runtime.on_ray.places import check_cluster, check_temporary, sweep_sessions

__all__ = ["hold_leases", "ray_session"]

START_ATTEMPTS = 3  # on a busy machine Ray's start can exceed the 30 s it allows itself
TASK_SHARE = 0.8  # of a container's memory, beside the driver and Ray itself
OBJECT_STORE_BYTES = 256 * 2**20  # units exchange URIs and small state; pixels never cross
_FATAL = ("PYTHONWARNINGS", "PYTHONOPTIMIZE")
"""Warnings as errors end processes of Ray, and so do docstrings left out, to which it adds."""

LEASE_MILLISECONDS = 5000
"""How long the driver keeps a worker while it has units of the same needs for it. Ray's 500 has it ask for another
after nearly every unit: sleeps of 0.5 s on four nodes were done 3.4 times as fast as on one, 3.9 times with this, at a
quarter of the driver's work (bench_scaling.py). Units of other needs wait so long at most."""


def hold_leases() -> None:
    """Have Ray reuse workers; to be called before `ray.init`, which reads it."""
    os.environ.setdefault("RAY_worker_lease_timeout_milliseconds", str(LEASE_MILLISECONDS))


@contextlib.contextmanager
def _elsewhere() -> Iterator[None]:
    """Be away from the working directory while Ray is joined.

    Ray puts it before the libraries in every worker, where a person's `numpy.py` or `random.py` beside the scans would
    be run in their place. A checkout that is not installed is found by workers this way, so that is where we are then.
    """
    home = Path(__file__).parents[3]
    if token := os.environ.get("RAY_AUTH_TOKEN_PATH"):
        os.environ["RAY_AUTH_TOKEN_PATH"] = os.path.abspath(token)
    with contextlib.chdir("/" if home.name in ("site-packages", "dist-packages") else home):
        yield


@contextlib.contextmanager
def _unswayed() -> Iterator[None]:
    """Keep from Ray's processes what Python is told in the environment and they die of, after minutes of waiting."""
    kept = {name: os.environ.pop(name) for name in _FATAL if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(kept)


@contextlib.contextmanager
def ray_session(address: str | None = None, cpus: int | None = None) -> Iterator[None]:
    """Hold a connection to Ray.

    Args:
        address: of a running cluster ("auto", "host:port"); None starts an embedded one.
        cpus: of the embedded one; all that this process may use where None.

    Raises:
        PlanError: the cluster does not answer, or the machine has no place for an embedded one.
    """
    hold_leases()
    if address is None:
        with _elsewhere(), _unswayed():
            _start_embedded(cpus or available_cpus())
    else:
        check_cluster(address)
        check_head(address)
        try:
            with _elsewhere():
                ray.init(address=address, log_to_driver=False, logging_level="ERROR")
        except Exception as error:  # of many kinds, RayError and bare ones among them
            raise PlanError(refusal(address, error)) from error
    try:
        yield
    finally:
        ray.shutdown()


def _start_embedded(cpus: int) -> None:
    # Ray 2.60 turns token authentication on for a local cluster by itself; RAY_AUTH_MODE set here would
    # come too late, since Ray reads it when it is imported. Our token keeps it from writing one into
    # the user's home.
    folder = check_temporary()
    sweep_sessions(folder)
    os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    for attempt in range(1, START_ATTEMPTS + 1):
        try:
            ray.init(
                "local",
                num_cpus=cpus,
                include_dashboard=False,
                object_store_memory=OBJECT_STORE_BYTES,
                _memory=_task_memory(),
                _temp_dir=str(folder),
                log_to_driver=False,
                logging_level="ERROR",
            )
            return
        except Exception as error:  # Ray raises a bare Exception when a start times out
            ray.shutdown()
            if attempt == START_ATTEMPTS:
                raise PlanError(
                    f"the embedded Ray did not start in {attempt} attempts, is the machine "
                    f"overloaded? {error}"
                ) from error


def _task_memory() -> int | None:
    """Return the bytes for tasks where a container grants less than the machine has; Ray's own choice where None."""
    limit = memory_limit()
    if limit is None or limit >= os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"):
        return None
    return max(int(TASK_SHARE * limit) - OBJECT_STORE_BYTES, limit // 2)
