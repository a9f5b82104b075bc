"""Can results be written from everywhere, are they seen everywhere, and is there room for them?"""

from collections.abc import Iterator, Mapping
from typing import Any

from somray.commands.doctor.finding import Finding, Preflight, named

__all__ = ["plan", "shared", "space"]

GIB = 2**30
COMPRESSED = 0.5  # of the planned bytes, which are uncompressed: below it a run will hardly fit


def shared(facts: Preflight) -> Iterator[Finding]:
    """Find places that are not one and the same for all nodes and this machine, or cannot be written."""
    host = facts.here["host"]
    for place in facts.places:
        path = place["place"]
        if place["fault"]:
            yield Finding(
                "shared",
                "error",
                f"{path} cannot be written: {place['fault']}",
                f"mkdir -p {path} && touch {path}/x   # must work; or --set output=/another/place",
                host,
            )
            continue
        for machine in facts.nodes:
            found = machine["meetings"].get(place["folder"])
            if found is None:
                continue
            yield from _met(path, host, machine, found, machine["node"] in place["seen"])


def _met(
    path: str, host: str, machine: Mapping[str, Any], found: Mapping[str, Any], is_seen: bool
) -> Iterator[Finding]:
    remedy = f"mount the same file system there (df {path}), or --set output=s3://bucket/run"
    where = named(machine)
    if not found["sees"]:
        message = f"what {host} writes to {path} is not seen there: it is not shared"
        yield Finding("shared", "error", message, remedy, where)
    elif found["fault"]:
        message = f"{path} cannot be written from there: {found['fault']}"
        remedy = f"id; ls -ld {path}   # there: run Ray as the user who owns it, or chmod it"
        yield Finding("shared", "error", message, remedy, where)
    elif not is_seen:
        message = f"what is written there to {path} is not seen on {host}: it is not shared"
        yield Finding("shared", "error", message, remedy, where)


def space(facts: Preflight) -> Iterator[Finding]:
    """Find less free space than the plan would write; the plan counts before compression."""
    if not facts.plan or not facts.plan["bytes"] or not facts.places:
        return
    place, planned = facts.places[0], facts.plan["bytes"]
    free = place["free"]
    if free is None or free >= planned:
        return
    level = "error" if free < COMPRESSED * planned else "warning"
    message = (
        f"{place['place']} has {free / GIB:.1f} GiB free, the plan writes up to {planned / GIB:.1f} GiB (before "
        "compression)"
    )
    remedy = f"df -h {place['place']}   # free some, or --set output=/another/place"
    yield Finding("space", level, message, remedy)


def plan(facts: Preflight) -> Iterator[Finding]:
    """Find what the plan itself cannot do, and tasks that no machine holds."""
    if not facts.plan:
        return
    check = f"somray check {facts.plan['config']}"
    if facts.plan["fault"]:
        yield Finding("plan", "error", facts.plan["fault"], check)
        return
    if facts.plan["quarantine"]:
        message = f"{facts.plan['quarantine']} scans would be quarantined"
        yield Finding("plan", "note", message, check)
    peak = facts.plan["peak_bytes"]
    offered = [_memory(machine) for machine in facts.machines]
    if (widest := max(offered, default=0.0)) and peak > widest:
        message = (
            f"the largest task needs {peak / 2**20:.0f} MiB, the widest node offers {widest / 2**20:.0f}: it would "
            "wait for ever"
        )
        remedy = f"add a node that offers more (ray start --memory {peak}), then: {check}"
        yield Finding("plan", "error", message, remedy)


def _memory(machine: Mapping[str, Any]) -> float:
    """Return what a machine has for tasks."""
    if "offers" in machine:
        return float(machine["offers"].get("memory", 0))
    return float(min(machine["memory_limit"] or machine["memory_bytes"], machine["memory_bytes"]))
