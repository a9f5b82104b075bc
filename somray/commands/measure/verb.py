"""The verb `measure`: its options, and what it says to a person."""

import functools
import time
from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import typer

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
from somray.errors import ConfigError

__all__ = ["measure", "measure_text"]

AS = ("parts", "instances")
MOST_SHOWN = 12
MINUTE = 60.0
WHOLE = 0.995  # of a mask within the scan, from which on nothing is said of the rest


def measure(
    run: RunFolder,
    masks: Annotated[
        list[str],
        typer.Argument(
            metavar="MASKS...",
            help="Files, folders, or a table (.csv) with subject, session, path and perhaps label.",
        ),
    ],
    out: Annotated[
        str | None, out_option("Folder (or URL) of the new run; RUN-measured by itself.")
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(help="Labels that count: 3, or 3,7, or a name; all above 0 by themselves."),
    ] = None,
    kind: Annotated[
        str,
        typer.Option(
            "--as", help="parts: what is connected is one lesion; instances: each label is one."
        ),
    ] = "parts",
    source: Annotated[
        str | None,
        typer.Option(
            help="What drew the masks, for the report: 'TotalSegmentator 2.4', 'reader B'."
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say which mask is whose, and write nothing.")
    ] = False,
    workers: Annotated[int, typer.Option(min=1, help="CPUs; above 1 a Ray is started.")] = 1,
    address: Annotated[str | None, typer.Option(help="A running Ray cluster.")] = None,
    as_json: Json = False,
) -> None:
    """Make the same tables and report from foreign masks, without segmenting again.

    A mask is given to the scan that its path names (sub-S_ses-T_lesions.nii.gz, sub-S/ses-T/liver.nii.gz, S_T.nrrd)
    or that a table says; one on another grid is brought onto the scan's, one that lies elsewhere is set aside and
    named. Images and registration are RUN's own; RUN is never changed.

    Example: somray measure runs/lung predictions --label tumour --source 'nnU-Net 501'
    """
    from somray.pipeline.measure.planned import plan_measure
    from somray.pipeline.measure.request import MeasureRequest, WantedLabels

    if kind not in AS:
        raise ConfigError(f"--as {kind!r}: expected {' or '.join(AS)}")
    labels = WantedLabels.parse(tuple(label or ()))
    plan = plan_measure(MeasureRequest(run, tuple(masks), out, labels, kind == "instances", source))
    if dry_run:
        found = {**plan.told(), "run": plan.storage.root, "measured": plan.source.root}
    else:
        found = _measured(plan, workers, address, as_json)
    give(found, as_json, lambda: measure_text(found))
    raise typer.Exit(exit_code(found))


def exit_code(found: dict[str, Any]) -> int:
    """Choose the code: 4 if something of ours broke, 3 if masks or scans were set aside."""
    if found.get("broken"):
        return FAILED
    return QUARANTINED if found["left_out"] or found.get("failed") else DONE


def _measured(
    plan: Any,  # Any: a Measurement; imported late, so that other verbs start fast
    workers: int,
    address: str | None,
    quiet: bool,
) -> dict[str, Any]:
    """Measure in this process, or on Ray where more than one CPU is asked for."""
    from somray.pipeline.measure.run import measure_run
    from somray.report.pages import write_report
    from somray.runtime.serial import SerialExecutor

    if not quiet:
        say(f"measuring {counted(len(plan.told()['pairs']), 'scan')} of {plan.source.root}")
    progress = None if quiet else MinuteLines()
    if workers == 1 and address is None:
        return measure_run(plan, SerialExecutor(), write_report, progress)
    from somray.commands.launch import ray_executor
    from somray.runtime.on_ray.session import ray_session

    with ray_session(address, workers):
        executor = ray_executor(plan.source.config.resources, address)
        report = functools.partial(write_report, mapper=executor.mapper())
        return measure_run(plan, executor, report, progress)


class MinuteLines:
    """Says once a minute what stands where."""

    def __init__(self) -> None:
        """Begin to count."""
        self._start = self._last = time.monotonic()

    def __call__(self, stages: Sequence[dict[str, Any]]) -> None:
        """Take the newest counts."""
        now = time.monotonic()
        if now - self._last < MINUTE:
            return
        self._last = now
        words = [
            f"{s['stage']} {s['done']} done, {s['left']} left"
            for s in stages
            if s["done"] or s["left"]
        ]
        say(f"{(now - self._start) / MINUTE:.0f} min: {'; '.join(words)}")


def measure_text(found: dict[str, Any]) -> str:
    """Say which mask was whose, what was set aside, and where the new run is."""
    return "\n".join(_lines(found))


def _lines(found: dict[str, Any]) -> Iterator[str]:
    pairs, left_out = found["pairs"], found["left_out"]
    for pair in pairs[:MOST_SHOWN]:
        yield f"{pair['subject']} {pair['session']}: {_files(pair['masks'])}{_facts(pair)}"
    if len(pairs) > MOST_SHOWN:
        yield f"and {len(pairs) - MOST_SHOWN} more scans with their masks"
    for one in left_out[:MOST_SHOWN]:
        who = " ".join(filter(None, (one["subject"], one["session"]))) or "no scan"
        yield f"set aside: {who}: [{one['code']}] {one['message']}"
    if len(left_out) > MOST_SHOWN:
        yield f"and {len(left_out) - MOST_SHOWN} more set aside"
    yield from (f"note: {note}" for note in found["notes"])
    if "state" in found:
        yield f"done: {found['run']}, {counted(len(pairs), 'scan')} measured, {len(left_out)} set aside"
    else:
        yield f"nothing was written; without --dry-run: {found['run']}"


def _files(paths: list[str]) -> str:
    return paths[0] if len(paths) == 1 else f"{paths[0]} and {len(paths) - 1} more"


def _facts(pair: dict[str, Any]) -> str:
    """Tell what reading a mask told."""
    if "voxels" not in pair:
        return ""
    facts = ["empty"] if not pair["voxels"] else []
    facts += ["brought from another grid"] if pair["resampled"] else []
    inside = pair["inside_fraction"]
    if inside is not None and inside < WHOLE:
        facts.append(f"{inside:.0%} of it lie in the scan")
    return f" ({', '.join(facts)})" if facts else ""
