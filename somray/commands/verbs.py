"""The verbs with few options: a cohort from proposal to report, and the demo. Those with many have `verb.py` rooms."""

from pathlib import Path
from typing import Annotated, Any

import typer

from somray.commands.completion import one_of
from somray.commands.console import (
    DONE,
    FAILED,
    QUARANTINED,
    Json,
    RunFolder,
    give,
    out_option,
    say,
)
from somray.commands.words import counted

__all__ = ["check", "demo", "exit_code", "init", "report", "run", "status"]

Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="A.B=VALUE",
        help="Overrule one setting of COHORT.yaml; may be given again.",
    ),
]
ConfigFile = Annotated[
    Path, typer.Argument(metavar="COHORT.yaml", help="Configuration; `somray init` writes a first.")
]


RayAddress = Annotated[
    str | None,
    typer.Option(
        help="A running Ray cluster, HEAD:6379; RAY_ADDRESS where left out, else this machine alone."
    ),
]


def exit_code(summary: dict[str, Any]) -> int:
    """Choose the code of a finished run: 4 if something of ours broke, 3 if scans were set aside."""
    if summary.get("broken"):
        return FAILED
    return QUARANTINED if summary["failed"] else DONE


def run(
    config: ConfigFile,
    address: RayAddress = None,
    settings: Settings = None,
    as_json: Json = False,
) -> None:
    """Run a cohort; after any stop, do only what is left.

    Bars on a terminal, one line a minute elsewhere. Exit code 0: done; 2: usage, configuration or manifest; 3: done,
    some scans set aside; 4: failed; 129, 130 and 143: stopped by SIGHUP, Ctrl-C or SIGTERM, nothing is lost.

    Example: somray run cohort.yaml --set resources.workers=2
    """
    from somray.commands.launch import run_job
    from somray.commands.texts import run_text
    from somray.io.status import read_failures, read_notes

    summary = run_job(config, address, tuple(settings or ()), quiet=as_json)
    run = summary["run"]
    give(summary, as_json, lambda: run_text(summary, read_failures(run), read_notes(run)))
    raise typer.Exit(exit_code(summary))


def check(config: ConfigFile, settings: Settings = None, as_json: Json = False) -> None:
    """Read configuration and headers and print the plan.

    Exit codes as those of the run to come; 4 where the plan cannot fit.

    Example: somray check cohort.yaml
    """
    from somray.commands.launch import load_cohort
    from somray.commands.texts import plan_text
    from somray.io.cohort.doubts import doubts_of
    from somray.pipeline.plan import make_plan

    cohort = load_cohort(config, tuple(settings or ()))
    if not as_json:
        say(f"somray: reading the headers of {counted(len(cohort.scans), 'scan')}")
    made = make_plan(cohort)
    for note in (*doubts_of(cohort.scans), *made.notes):
        say(f"note: {note}")
    plan = made.as_json()
    give(plan, as_json, lambda: plan_text(plan))
    aside = QUARANTINED if plan["quarantine"] or made.refused else DONE
    raise typer.Exit(FAILED if made.unfitted else aside)


def status(run: RunFolder, as_json: Json = False) -> None:
    """Show how far a run is, from storage alone.

    What failed, why, and what to do about it; of a running one, when it will end, once that is known.

    Example: somray status runs/lung
    """
    from somray.commands.texts import status_text
    from somray.io.status import read_failures, read_notes, read_status

    found = read_status(run)

    def words() -> str:
        return status_text(found, read_failures(run) if found["failed"] else (), read_notes(run))

    give(found, as_json, words)


def report(run: RunFolder, as_json: Json = False) -> None:
    """Make the HTML report again.

    Example: somray report runs/lung
    """
    from somray.domain.run import RunLayout
    from somray.io.run import open_run
    from somray.report.pages import write_report

    opened = open_run(run)
    if not as_json:
        say(f"somray: making the report of {opened.root}")
    pages = write_report(opened.root)
    index = opened.storage.uri(RunLayout.report_index)
    give({"report": index, "pages": pages}, as_json, lambda: f"report: {index}")


def init(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...")],
    out: Annotated[Path, out_option("Folder for scans.csv and cohort.yaml.")] = Path(),
    as_json: Json = False,
) -> None:
    """Propose scans.csv and cohort.yaml for your scans.

    Looks at folders or files, and says what it leaves out and what you should look at.

    Example: somray init /data/study --out study
    """
    from somray.commands.proposal import propose_cohort, told

    if not as_json:
        say(f"somray: looking at {', '.join(map(str, paths[:3]))}{' …' if len(paths) > 3 else ''}")
    found = propose_cohort(paths, out)
    give(found, as_json, lambda: told(found))


def demo(
    out: Annotated[Path, out_option("Folder for cohort and run.")] = Path("demo"),
    size: Annotated[
        str,
        typer.Option(
            help="small, medium or large.", autocompletion=one_of("small", "medium", "large")
        ),
    ] = "small",
    as_json: Json = False,
) -> None:
    """Run a synthetic cohort with known truth, as a first try.

    CT of several subjects and sessions, on an embedded Ray; prints agreement, truth scores and where the report is.

    Example: somray demo --out /tmp/demo
    """
    from somray.commands.demo import run_demo

    found = run_demo(out, size, quiet=as_json)
    give(found, as_json, lambda: str(found["text"]))
    raise typer.Exit(exit_code(found))
