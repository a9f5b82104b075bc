"""What this process may use of its machine: CPUs as scheduled and as paid for, memory up to the container's limit.

A container that is given two CPUs of sixty-four sees all sixty-four by affinity; what holds it to two is the quota
of its control group (Linux's control group v2, `cpu.max`; v1, `cpu.cfs_quota_us`).
"""

import math
import os
from pathlib import Path

__all__ = ["affinity_cpus", "available_cpus", "memory_limit", "quota_cpus"]

CONTROL_GROUPS = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")
_UNLIMITED = 2**60  # version 1 writes no limit as a number of this size


def affinity_cpus() -> int:
    """Return the CPUs that the scheduler may put this process on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def quota_cpus() -> float | None:
    """Return the CPUs' worth of time that the control group grants, None where it sets no limit."""
    return min((q for folder in _folders("cpu") if (q := _quota(folder)) is not None), default=None)


def available_cpus() -> int:
    """Return the whole CPUs that this process may use, at least one."""
    quota = quota_cpus()
    return affinity_cpus() if quota is None else max(1, min(affinity_cpus(), math.floor(quota)))


def memory_limit() -> int | None:
    """Return the bytes that the control group grants, None where it sets no limit."""
    names = ("memory.max", "memory.limit_in_bytes")
    found = [_number(folder / name) for folder in _folders("memory") for name in names]
    return min((int(n) for n in found if n is not None and n < _UNLIMITED), default=None)


def _quota(folder: Path) -> float | None:
    """Read the quota of one group: microseconds of CPU time per period of so many."""
    try:
        quota, period = (folder / "cpu.max").read_text().split()
        return None if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError):
        pass
    granted, every = (_number(folder / f"cpu.cfs_{name}_us") for name in ("quota", "period"))
    return granted / every if granted and every and granted > 0 else None


def _number(file: Path) -> float | None:
    try:
        return float(file.read_text())
    except (OSError, ValueError):  # there is none, or it says "max"
        return None


def _folders(controller: str) -> list[Path]:
    """List the control groups that hold this process, the innermost first; a limit of any of them holds.

    Inside a container its own group is mounted as the root, so the root is looked at too.
    """
    try:
        lines = MEMBERSHIP.read_text().splitlines()
    except OSError:  # not Linux
        return []
    found: list[Path] = []
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers and controller not in controllers.split(","):
            continue
        base = CONTROL_GROUPS / controllers if controllers else CONTROL_GROUPS
        inner = base / path.strip("/")
        found += [inner, *(up for up in inner.parents if up.is_relative_to(base))]
    return list(dict.fromkeys(found))
