"""The verb `doctor`: say what was found, and what to type next."""

from pathlib import Path
from typing import Annotated

import typer

from somray.commands.console import DONE, FAILED, Json, give
from somray.commands.doctor.finding import Finding, named

__all__ = ["doctor"]


def doctor(
    config: Annotated[
        Path | None, typer.Argument(metavar="[COHORT.yaml]", help="Also look at what it plans.")
    ] = None,
    address: Annotated[
        str | None, typer.Option(help="A running Ray cluster, HEAD:6379; else this machine alone.")
    ] = None,
    path: Annotated[
        list[str] | None,
        typer.Option(help="A place that all nodes must share; may be given again."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Find the usual troubles before the night does.

    Each comes with the line to type next. Looks at versions, GPUs, shared paths from every node, free space under
    the plan, temporary folders, /dev/shm, memory and CPUs against what the container grants, open files, clocks,
    token and ports. Exit code 4 where something will stop a run.

    Example: somray doctor study/cohort.yaml --address 10.0.0.1:6379
    """
    from somray.commands.doctor.look import gather, judge

    facts = gather(address, config, tuple(path or ()))
    findings = judge(facts)
    ok = not any(one.level == "error" for one in findings)
    nodes = [named(one) for one in (*facts.machines, *facts.silent)]
    found = {"ok": ok, "findings": [vars(one) for one in findings], "nodes": nodes}
    give(found, as_json, lambda: _text(findings, nodes))
    raise typer.Exit(DONE if ok else FAILED)


def _text(findings: list[Finding], nodes: list[str]) -> str:
    """Say what was found, worst first, and what to type next."""
    told = [one for one in findings if one.level != "ok"]
    lines = [f"looked at: {', '.join(nodes) or 'nothing, since no machine answers'}"]
    for one in told:
        where = f" [{one.node}]" if one.node else ""
        lines.append(f"{one.level:<8} {one.check:<14}{where} {one.message}")
        if one.remedy:
            lines.append(f"    next: {one.remedy}")
    fine = [one.check for one in findings if one.level == "ok"]
    lines.append(f"nothing found: {', '.join(fine)}" if fine and nodes else "")
    return "\n".join(lines).rstrip()
