"""The verb `view`: its options, and what it says to a person."""

import shlex
from pathlib import Path
from typing import Annotated, Any

import typer

from somray.commands.completion import one_of, sessions, subjects
from somray.commands.console import Json, RunFolder, give

__all__ = ["view", "view_text"]

_VIEWERS = ("napari", "neuroglancer", "itksnap", "slicer", "fiji")


def view(
    run: RunFolder,
    subject: Annotated[str, typer.Argument(metavar="SUBJECT", autocompletion=subjects)],
    session: Annotated[
        str | None,
        typer.Argument(metavar="[SESSION]", help="The only one.", autocompletion=sessions),
    ] = None,
    viewer: Annotated[
        str,
        typer.Option("--in", help=f"{', '.join(_VIEWERS)}.", autocompletion=one_of(*_VIEWERS)),
    ] = "napari",
    out: Annotated[
        Path | None, typer.Option(help="Write to this folder, and open nothing.")
    ] = None,
    program: Annotated[
        str | None, typer.Option(help="The viewer itself, where it is not found.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Open a subject's scans, masks and lesions in a viewer, sessions aligned, in the report's colours.

    napari and neuroglancer read the run's own files; the others get copies in a temporary folder, or in --out. With
    --out or --json, without a display or without the viewer, files and the command that opens them are given and
    nothing is opened.

    Example: somray view runs/lung s01 --in napari
    """
    from somray.commands.view.show import ViewRequest, show

    request = ViewRequest(subject, session, viewer, out, program, opens=not as_json)
    found = show(run, request)
    give(found, as_json, lambda: view_text(found))


def view_text(found: dict[str, Any]) -> str:
    """Say what was written, whether it was opened, and what to do where it was not."""
    lines = [*(f"note: {note}" for note in found["notes"]), f"files: {found['out']}"]
    if found["opened"]:
        return "\n".join([*lines, f"opened in {found['viewer']}"])
    if found["install"]:
        lines.append(f"{found['viewer']} was not found here; to install it: {found['install']}")
    lines.append("to open: " + "\n         ".join(shlex.join(one) for one in found["commands"]))
    return "\n".join(lines)
