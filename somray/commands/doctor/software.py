"""Are the programs the same everywhere, and does torch see what Ray promises?"""

from collections.abc import Iterator, Mapping
from typing import Any

from somray.commands.doctor.finding import Finding, Preflight, named

__all__ = ["code_cache", "gpus", "versions"]

_MUST_AGREE = ("somray", "ray")  # others may change the last bits, not whether a run works


def versions(facts: Preflight) -> Iterator[Finding]:
    """Find packages that are missing or differ from this machine's."""
    here = facts.here["versions"]
    if lacking := [name for name, version in here.items() if version is None]:
        yield Finding(
            "versions",
            "error",
            f"{', '.join(lacking)} cannot be found here",
            "python -m pip install --force-reinstall somray",
            named(facts.here),
        )
    for machine in facts.nodes:
        there = machine["versions"]
        if differing := [name for name in here if here[name] and there.get(name) != here[name]]:
            yield _differing(machine, differing, here)


def _differing(
    machine: Mapping[str, Any], names: list[str], here: Mapping[str, str | None]
) -> Finding:
    there = machine["versions"]
    python = "python" in names and _minor(there.get("python")) != _minor(here["python"])
    packages = [f"{name}=={here[name]}" for name in names if name != "python"]
    told = ", ".join(f"{name} {there.get(name) or 'missing'} (here {here[name]})" for name in names)
    remedy = f"python -m pip install {' '.join(packages)}" if packages else ""
    if "python" in names:
        remedy = f"start that node from an environment with Python {here['python']}" + (
            f", and there: {remedy}" if remedy else ""
        )
    grave = python or any(name in _MUST_AGREE for name in names)
    return Finding("versions", "error" if grave else "warning", told, remedy, named(machine))


def _minor(version: str | None) -> str:
    return ".".join((version or "").split(".")[:2])


def code_cache(facts: Preflight) -> Iterator[Finding]:
    """Find machines on which compiled code cannot be kept; all works, but begins anew in every process."""
    for machine in facts.machines:
        found = machine.get("code_cache") or {}
        if found.get("fault"):
            message = f"code cannot be kept in {found['folder']} ({found['fault']}): each worker compiles anew"
            remedy = (
                "make room there, or export NUMBA_CACHE_DIR=/another/place   # before Ray starts"
            )
            yield Finding("code_cache", "note", message, remedy, named(machine))


def gpus(facts: Preflight) -> Iterator[Finding]:
    """Find GPUs that torch does not see, and such that Ray does not offer."""
    for machine in facts.machines:
        offered = float(machine.get("offers", {}).get("GPU", 0))
        torch = machine["torch"]
        if torch is None:
            continue
        files, count = machine["gpu_files"], torch["count"]
        if offered > count or (files and not count):
            claim = f"Ray offers {offered:g} GPUs" if offered else f"there are {files} device files"
            level = "error" if offered > count else "warning"
            message = f"{claim}, torch sees {count}: {_reason(torch)}"
            yield Finding("gpus", level, message, _remedy(torch, machine), named(machine))
        elif count and facts.address and not offered:
            message = f"torch sees {count} GPUs, Ray offers none"
            remedy = f"start Ray on that node with --num-gpus {count}"
            yield Finding("gpus", "note", message, remedy, named(machine))


def _reason(torch: Mapping[str, Any]) -> str:
    if torch["error"]:
        return str(torch["error"])
    if torch["cuda"] is None:
        return "this torch is built for the CPU alone"
    return f"the driver does not let it (built for CUDA {torch['cuda']})"


def _remedy(torch: Mapping[str, Any], machine: Mapping[str, Any]) -> str:
    version = (machine["versions"].get("torch") or "").partition("+")[0]
    if torch["cuda"] is None and not torch["error"]:
        return f"python -m pip install --force-reinstall torch=={version}   # a build for CUDA, as PyTorch's page says"
    return "nvidia-smi   # must list the GPUs; in a container: docker run --gpus all, apptainer exec --nv"
