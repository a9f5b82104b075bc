"""The verbs with few options: a cohort from proposal to report, and the demo. Those with many have `verb.py` rooms."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from somray.commands.console import DONE, FAILED, QUARANTINED, Json, RunFolder, give, say

__all__ = ["check", "demo", "exit_code", "init", "report", "run", "status"]

FAILURES_SHOWN = 10

Settings = Annotated[
    list[str] | None, typer.Option("--set", metavar="A.B=VALUE", help="Overrule one setting.")
]
ConfigFile = Annotated[Path, typer.Argument(metavar="COHORT.yaml")]


def exit_code(summary: dict[str, Any]) -> int:
    """Choose the code of a finished run: 4 if something of ours broke, 3 if scans were set aside."""
    if summary.get("broken"):
        return FAILED
    return QUARANTINED if summary["failed"] else DONE


def run(
    config: ConfigFile,
    address: Annotated[str | None, typer.Option(help="A running Ray cluster.")] = None,
    settings: Settings = None,
    as_json: Json = False,
) -> None:
    """Do the main job; run again after any stop, it does only what is left.

    Example: somray run cohort.yaml --set resources.workers=2
    """
    from somray.commands.launch import run_job

    summary = run_job(config, address, tuple(settings or ()), quiet=as_json)
    give(summary, as_json, lambda: f"done: {summary['run']}, {summary['failed']} failed")
    raise typer.Exit(exit_code(summary))


def check(config: ConfigFile, settings: Settings = None, as_json: Json = False) -> None:
    """Read configuration and headers only and print the plan.

    Example: somray check cohort.yaml
    """
    from somray.commands.launch import load_cohort
    from somray.pipeline.plan import make_plan

    made = make_plan(load_cohort(config, tuple(settings or ())))
    for note in made.notes:
        say(f"note: {note}")
    plan = made.as_json()
    give(plan, as_json, lambda: _plan_text(plan))
    raise typer.Exit(QUARANTINED if plan["quarantine"] else DONE)


def _plan_text(plan: dict[str, Any]) -> str:
    lines = [f"{plan['scans']} scans, {len(plan['quarantine'])} to be quarantined"]
    lines += [
        f"  {q['subject']} {q['session']} ({q['protocol']}): [{q['code']}] {q['message']}"
        for q in plan["quarantine"]
    ]
    lines.append(f"{'stage':<10}{'units':>8}{'written':>12}{'peak':>10}{'CPU h':>9}{'GPU h':>8}")
    lines += [
        f"{s['stage']:<10}{s['units']:>8}{s['bytes'] / 2**20:>9.0f} MB{s['peak_bytes'] / 2**20:>7.0f} MB"
        f"{s['cpu_hours']:>9.2f}{s['gpu_hours']:>8.2f}"
        for s in plan["stages"]
    ]
    return "\n".join(lines)


def status(run: RunFolder, as_json: Json = False) -> None:
    """Show the progress of a running or finished run, from storage alone.

    Example: somray status runs/lung
    """
    from somray.io.status import read_status

    found = read_status(run)
    give(found, as_json, lambda: "\n".join((*_status_lines(found), *_failure_lines(run, found))))


def _status_lines(found: dict[str, Any]) -> Iterator[str]:
    yield f"{found['state']}: {found['left']} left, {found['failed']} failed"
    for s in found["stages"]:
        yield f"  {s['stage']:<10}{s['done']:>7} done{s['left']:>7} left{s['failed']:>7} failed"


def _failure_lines(run: str, found: dict[str, Any]) -> Iterator[str]:
    """Say what could not be done and why; the rest stands in table `failures`."""
    if not found["failed"]:
        return
    from somray.io.run import open_run

    rows = open_run(run).table("failures")
    for row in rows.head(FAILURES_SHOWN).to_dict("records"):
        where = [row[c] for c in ("subject", "session") if isinstance(row[c], str)]
        what = " ".join(where or [str(row["protocol"])])
        yield f"{row['stage']} {what}: {row['code']}: {row['message']}"
    if len(rows) > FAILURES_SHOWN:
        yield f"and {len(rows) - FAILURES_SHOWN} more in table failures"


def report(run: RunFolder, as_json: Json = False) -> None:
    """Make the HTML report again.

    Example: somray report runs/lung
    """
    from somray.domain.run import RunLayout
    from somray.io.run import open_run
    from somray.report.pages import write_report

    opened = open_run(run)
    pages = write_report(opened.root)
    index = opened.storage.uri(RunLayout.report_index)
    give({"report": index, "pages": pages}, as_json, lambda: f"report: {index}")


def init(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...")],
    out: Annotated[Path, typer.Option(help="Folder for scans.csv and cohort.yaml.")] = Path(),
    as_json: Json = False,
) -> None:
    """Look at folders or files of scans and propose scans.csv and cohort.yaml.

    Example: somray init /data/study --out study
    """
    from somray.commands.proposal import propose_cohort, told

    found = propose_cohort(paths, out)
    give(found, as_json, lambda: told(found))


def demo(
    out: Annotated[Path, typer.Option(help="Folder for cohort and run.")] = Path("demo"),
    size: Annotated[str, typer.Option(help="small, medium or large.")] = "small",
    as_json: Json = False,
) -> None:
    """Make a synthetic longitudinal CT cohort with known truth and run everything on it.

    Example: somray demo --out /tmp/demo
    """
    from somray.commands.demo import run_demo

    found = run_demo(out, size, quiet=as_json)
    give(found, as_json, lambda: str(found["text"]))
    raise typer.Exit(exit_code(found))
