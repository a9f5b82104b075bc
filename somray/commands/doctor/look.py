"""Gather the facts of a machine or cluster, and judge them by every check."""

import shutil
from pathlib import Path
from typing import Any

from somray.commands.doctor import machine, network, places, software
from somray.commands.doctor.finding import LEVELS, Finding, Preflight
from somray.errors import ConfigError, PlanError, SomrayError
from somray.io.storage import is_url
from somray.runtime.facts import filesystem, machine_facts, ports_taken
from somray.runtime.meeting import Meeting

__all__ = ["gather", "judge"]

CHECKS = {
    "answers": network.answers, "versions": software.versions, "gpus": software.gpus, "code_cache": software.code_cache,
    "shared": places.shared, "space": places.space, "plan": places.plan,
    "temporary": machine.temporary, "shared_memory": machine.shared_memory, "memory": machine.memory,
    "cpus": machine.cpus, "open_files": machine.open_files, "clocks": network.clocks,
    "token": network.token, "ports": network.ports,
}  # fmt: skip


def judge(facts: Preflight) -> list[Finding]:
    """Judge facts by every check, worst first; what found nothing says so."""
    found: list[Finding] = []
    for name, check in CHECKS.items():
        found += list(check(facts)) or [Finding(name, "ok", "nothing found")]
    return sorted(found, key=lambda one: LEVELS.index(one.level))


def gather(address: str | None, config: Path | None, paths: tuple[str, ...]) -> Preflight:
    """Find out what there is to know.

    Raises:
        ConfigError: the cohort is wrong.
    """
    here = machine_facts()
    plan, output = (None, ()) if config is None else _plan(config)
    meetings = [Meeting.call(place) for place in (*output, *paths)]
    try:
        if address is None:
            return Preflight(
                here,
                temporary=_temporary(),
                ports=ports_taken(),
                places=[_place(one, ()) for one in meetings],
                plan=plan,
            )
        return _cluster(here, address, meetings, plan)
    finally:
        for one in meetings:
            one.end()


def _cluster(
    here: dict[str, Any], address: str, meetings: list[Meeting], plan: dict[str, Any] | None
) -> Preflight:
    from somray.runtime.on_ray.probe import probe_nodes
    from somray.runtime.on_ray.session import ray_session

    try:
        with ray_session(address):
            nodes = probe_nodes([one.folder for one in meetings if one.fault is None])
    except PlanError as error:
        told = [_place(one, ()) for one in meetings]
        return Preflight(here, address=address, fault=str(error), places=told, plan=plan)
    answered = [one for one in nodes if "error" not in one]
    names = [one["node"] for one in answered]
    return Preflight(
        here,
        nodes=answered,
        silent=[one for one in nodes if "error" in one],
        address=address,
        places=[_place(one, one.seen(names)) for one in meetings],
        plan=plan,
    )


def _place(meeting: Meeting, seen: Any) -> dict[str, Any]:  # Any: a collection of nodes
    folder = str(Path(meeting.folder).parent)
    free = None if is_url(meeting.place) else shutil.disk_usage(folder).free
    return {
        "place": meeting.place,
        "folder": meeting.folder,
        "fault": meeting.fault,
        "free": free,
        "seen": seen,
    }


def _plan(config: Path) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Plan a cohort; return what is judged of it, and where its results go."""
    from somray.commands.launch import load_cohort
    from somray.pipeline.plan import make_plan

    cohort = load_cohort(config)
    found: dict[str, Any] = {
        "config": str(config), "bytes": 0, "peak_bytes": 0, "quarantine": 0, "fault": None
    }  # fmt: skip
    try:
        plan = make_plan(cohort)
    except ConfigError:
        raise
    except SomrayError as error:
        return {**found, "fault": str(error)}, (cohort.storage.root,)
    stages = plan.stages.values()
    found["bytes"] = sum(stage.bytes for stage in stages)
    found["peak_bytes"] = max(stage.peak_bytes for stage in stages)
    found["quarantine"] = len(plan.quarantine)
    return found, (cohort.storage.root,)


def _temporary() -> dict[str, Any]:
    from somray.runtime.on_ray.places import check_temporary

    try:
        folder = str(check_temporary())
    except PlanError as error:
        return {"path": None, "filesystem": None, "fault": str(error)}
    return {"path": folder, "filesystem": filesystem(folder), "fault": None}
