"""The commands: parse, call, print, exit code. People's words go to stderr, `--json` to stdout."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from somray import __version__
from somray.commands.console import Json, RunFolder, give, say
from somray.commands.doctor.verb import doctor
from somray.commands.export.verb import export, export_text
from somray.commands.submit import submit
from somray.domain.run import RunLayout
from somray.errors import ConfigError, SomrayError

__all__ = ["app", "main"]

DONE, USAGE, QUARANTINED, FAILED = 0, 2, 3, 4
FAILURES_SHOWN = 10

app = typer.Typer(
    name="somray",
    help="Find evolving lesions and defects in cohorts of scans without a single label.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Settings = Annotated[
    list[str] | None, typer.Option("--set", metavar="A.B=VALUE", help="Overrule one setting.")
]
ConfigFile = Annotated[Path, typer.Argument(metavar="COHORT.yaml")]


@app.callback(invoke_without_command=True)
def _version(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        sys.stdout.write(f"{__version__}\n")
        raise typer.Exit


def exit_code(summary: dict[str, Any]) -> int:
    """Choose the code of a finished run: 4 if something of ours broke, 3 if scans were set aside."""
    if summary.get("broken"):
        return FAILED
    return QUARANTINED if summary["failed"] else DONE


@app.command()
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


@app.command()
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


@app.command()
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


@app.command()
def report(run: RunFolder, as_json: Json = False) -> None:
    """Make the HTML report again.

    Example: somray report runs/lung
    """
    from somray.io.run import open_run
    from somray.report.pages import write_report

    opened = open_run(run)
    pages = write_report(opened.root)
    index = opened.storage.uri(RunLayout.report_index)
    give({"report": index, "pages": pages}, as_json, lambda: f"report: {index}")


@app.command()
def apply(
    run: RunFolder,
    scan: Annotated[
        str, typer.Argument(metavar="SCAN", help="File, folder or fsspec URL of one scan.")
    ],
    protocol: Annotated[str, typer.Option(help="Protocol of the run whose model is applied.")],
    out: Annotated[Path, typer.Option(help="Folder for the masks.")],
    method: Annotated[str, typer.Option(help="som (direct transfer) or student.")] = "som",
    channel: Annotated[
        list[str] | None, typer.Option(help="Source of each further channel, in order.")
    ] = None,
    form: Annotated[
        str | None,
        typer.Option("--format", help="Write the mask as nifti, nrrd, dicom-seg or rtstruct too."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Apply a fitted model to a new scan.

    Example: somray apply runs/lung scan.nii.gz --protocol chest-ct --out masks --format nifti
    """
    from somray.commands.apply import apply_model

    found = apply_model(run, protocol, [scan, *(channel or [])], out, method, form)
    told = found["drift"] or {}
    if told.get("status") == "drifted":
        typer.echo(f"warning: the teacher may not carry over: {told['reason']}", err=True)
    more = f"\n{export_text(found)}" if "files" in found else ""
    give(found, as_json, lambda: f"{found['method']}: {found['scan']}{more}")


app.command()(export)
app.command()(submit)
app.command()(doctor)


@app.command()
def phantom(
    out: Annotated[Path, typer.Option(help="Folder to write to.")],
    subjects: Annotated[int, typer.Option(min=1)] = 3,
    sessions: Annotated[int, typer.Option(min=1)] = 3,
    shape: Annotated[
        str | None,
        typer.Option(
            metavar="Z,Y,X", help="32,128,128 (trunk), 240,128,128 (body), 32,160,160 (head)."
        ),
    ] = None,
    modality: Annotated[
        str | None,
        typer.Option(help="trunk: ct (default), petct, xct; body: petct (default), pet; head: mr."),
    ] = None,
    file_format: Annotated[
        str | None, typer.Option("--format", help="dicom (neither xct nor mr) or nifti.")
    ] = None,
    region: Annotated[str, typer.Option(help="trunk, body (vertex to thigh) or head.")] = "trunk",
    seed: Annotated[int, typer.Option(min=0)] = 0,
    as_json: Json = False,
) -> None:
    """Write a synthetic cohort with known truth as real input files.

    Example: somray phantom --out /tmp/cohort --modality petct
    """
    from somray.phantom.files.write import write_phantom

    write_phantom(
        out, subjects=subjects, sessions=sessions, shape=None if shape is None else parse_shape(shape),
        modality=modality, format=file_format, seed=seed, region=region,
    )  # fmt: skip
    found = {"cohort": str(out / "cohort.yaml"), "scans": subjects * sessions}
    give(
        found, as_json, lambda: f"wrote {found['scans']} scans; next: somray run {found['cohort']}"
    )


def parse_shape(text: str) -> tuple[int, int, int]:
    """Read Z,Y,X.

    Raises:
        ConfigError: it is not three positive whole numbers.
    """
    try:
        z, y, x = (int(part) for part in text.split(","))
    except ValueError:
        raise ConfigError(f"--shape {text!r}: expected Z,Y,X such as 32,128,128") from None
    return z, y, x


@app.command()
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


@app.command()
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


def main(argv: list[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    try:
        app(args=argv)
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else DONE
    except ConfigError as error:
        say(f"somray: {error}")
        return USAGE
    except SomrayError as error:
        say(f"somray: {error}")
        return FAILED
    return DONE


def script() -> None:
    """Run as the console script `somray`."""
    sys.exit(main())


if __name__ == "__main__":
    script()
