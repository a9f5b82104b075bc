"""The verb `pretrain`: its options, and what it says to a person."""

import shlex
from typing import Any

import typer

from somray.commands.console import Json, give
from somray.commands.verbs import ConfigFile, RayAddress, Settings, exit_code

__all__ = ["pretrain", "pretrain_text"]


def pretrain(
    config: ConfigFile,
    address: RayAddress = None,
    settings: Settings = None,
    as_json: Json = False,
) -> None:
    """Let a cohort without labels teach an encoder, and do nothing else of its run.

    Scans are taken in, teachers fitted, encoders trained to tell what lies under masks; after any stop, only what is
    left. `somray run` of the same COHORT.yaml goes on from there. A protocol without `pretrain` gets the defaults.
    Exit codes as those of `somray run`.

    Example: somray pretrain cohort.yaml --set protocols.lung.pretrain.steps=4000
    """
    from somray.commands.launch import run_job
    from somray.pipeline.pretrain.run import pretrain_cohort

    summary = run_job(config, address, tuple(settings or ()), as_json, pretrain_cohort)
    give(summary, as_json, lambda: pretrain_text(summary))
    raise typer.Exit(exit_code(summary))


def pretrain_text(summary: dict[str, Any]) -> str:
    """Say what each encoder is, what could not be done, and what to do next."""
    from somray.commands.texts import failure_lines
    from somray.commands.words import duration
    from somray.io.status import read_failures

    lines = [f"pretrained in {duration(summary['seconds'])}:"]
    for protocol, facts in summary["encoders"].items():
        lines.append(f"  {protocol}: {_told(facts)}")
    if summary["failed"]:
        lines += failure_lines(read_failures(summary["run"]))
    run = shlex.quote(summary["run"])
    lines.append(f"next: somray export {run} --format encoder --out weights")
    return "\n".join(lines)


def _told(facts: dict[str, Any] | None) -> str:
    """Say what an encoder is."""
    if facts is None:
        return "no encoder"
    history, network = facts["history"], facts["network"]
    sees = "volumes" if network["dimensions"] == 3 else "slices"
    accuracy = history.get("last_accuracy")
    right = "" if accuracy is None else f", {accuracy:.0%} of what is masked told right"
    return (
        f"{network['kind']} on {sees} of {history['scans']} scans of {history['subjects']} subjects, "
        f"{history['steps']} steps on {facts['target']}: loss {history['last_loss']:.3g}{right}"
    )
