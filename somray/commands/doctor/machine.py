"""Does each machine have the CPUs, memory, shared memory and files that Ray counts on?"""

import math
from collections.abc import Iterator

from somray.commands.doctor.finding import Finding, Preflight, named
from somray.runtime.facts import NETWORKS

__all__ = ["cpus", "memory", "open_files", "shared_memory", "temporary"]

MIB = 2**20
EMBEDDED_STORE_BYTES = 256 * MIB  # of an embedded Ray, see runtime.on_ray.session
LEAST_FILES = 4096  # below it Ray itself warns


def cpus(facts: Preflight) -> Iterator[Finding]:
    """Find quotas below the CPUs that Ray counts, and a cluster without any."""
    for machine in facts.machines:
        quota = machine["quota_cpus"]
        counted = float(machine.get("offers", {}).get("CPU", 0)) or (
            0 if facts.address else machine["cpus"]
        )
        if quota is None or counted <= math.ceil(quota):
            continue
        if facts.address:
            message = f"Ray counts {counted:g} CPUs, the container may use {quota:g}"
            remedy = f"start Ray on that node with --num-cpus {max(1, math.floor(quota))}"
            yield Finding("cpus", "warning", message, remedy, named(machine))
        else:
            message = f"{quota:g} of {counted:g} CPUs may be used; somray counts on no more"
            yield Finding("cpus", "note", message, "", named(machine))
    if facts.address and facts.nodes and not any(n["offers"].get("CPU") for n in facts.nodes):
        yield Finding(
            "cpus",
            "note",
            "no node offers CPUs now: a run waits until workers join (scaling from zero), for ever without an "
            "autoscaler",
            f"ray status --address {facts.address}",
        )


def memory(facts: Preflight) -> Iterator[Finding]:
    """Find nodes whose Ray offers more than their container holds."""
    for machine in facts.nodes:
        offers = machine["offers"]
        held = min(machine["memory_limit"] or math.inf, machine["memory_bytes"])
        store = float(offers.get("object_store_memory", 0))
        offered = float(offers.get("memory", 0)) + store
        if offered <= held:
            continue
        message = (
            f"Ray offers {offered / MIB:.0f} MiB (object store {store / MIB:.0f}), the machine or its container "
            f"holds {held / MIB:.0f}: workers will be killed"
        )
        fitting = max(0, int(0.8 * held - min(store, 0.3 * held)))
        remedy = (
            f"start Ray on that node with --memory {fitting} "
            f"--object-store-memory {int(min(store, 0.3 * held))}"
        )
        yield Finding("memory", "warning", message, remedy, named(machine))


def shared_memory(facts: Preflight) -> Iterator[Finding]:
    """Find machines whose /dev/shm is smaller than the object store; Ray then falls back to slow files."""
    for machine in facts.machines:
        found = machine["shared_memory"]
        wanted = float(machine.get("offers", {}).get("object_store_memory", 0))
        size = found["bytes"] if found and wanted else found["free"] if found else 0
        wanted = wanted or (0 if facts.address else EMBEDDED_STORE_BYTES)
        if size >= wanted:
            continue
        message = f"/dev/shm holds {size / MIB:.0f} MiB, the object store wants {wanted / MIB:.0f}"
        remedy = (
            f"docker run --shm-size={math.ceil(1.1 * wanted / MIB)}m …   # Kubernetes: an emptyDir of medium Memory "
            "at /dev/shm; Apptainer: --bind /dev/shm"
        )
        yield Finding("shared_memory", "warning", message, remedy, named(machine))


def open_files(facts: Preflight) -> Iterator[Finding]:
    """Find machines that allow few open files; Ray raises the soft limit by itself, up to the hard one."""
    for machine in facts.machines:
        hard = machine["open_files"][1]
        if 0 <= hard < LEAST_FILES:
            message = f"a process may open {hard} files, a busy Ray needs {LEAST_FILES} and more"
            remedy = (
                "ulimit -Hn 65536   # as root, or LimitNOFILE= of the service, before Ray starts"
            )
            yield Finding("open_files", "warning", message, remedy, named(machine))


def temporary(facts: Preflight) -> Iterator[Finding]:
    """Find temporary folders that Ray's sockets do not fit into, or that lie on a network."""
    if not facts.address:
        found = facts.temporary
        if found["fault"]:
            yield Finding("temporary", "error", found["fault"], "export RAY_TMPDIR=/tmp", None)
        elif _is_remote(found["filesystem"]):
            message = f"{found['path']} lies on {found['filesystem']}: Ray's sockets and logs need a local disk"
            yield Finding("temporary", "warning", message, "export RAY_TMPDIR=/tmp", None)
    for machine in facts.nodes:
        session = machine["session"]
        if _is_remote(session["filesystem"]):
            message = (
                f"{session['path']} lies on {session['filesystem']}: Ray's sockets and logs need a local "
                "disk"
            )
            remedy = "start Ray on that node with --temp-dir /tmp/ray-$USER"
            yield Finding("temporary", "warning", message, remedy, named(machine))


def _is_remote(filesystem: str | None) -> bool:
    return (filesystem or "").startswith(NETWORKS)
