"""What `somray view` does: gather, write, and open where that is wanted and can be done."""

import difflib
import importlib
import shutil
import sys
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from somray.commands.console import say
from somray.commands.view.programs import (
    INSTALL,
    NAMES,
    ViewerFiles,
    command_of,
    found_program,
    has_display,
    start,
)
from somray.commands.view.subject import ShownSubject, shown_subject
from somray.commands.view.volumes import bytes_of
from somray.errors import ConfigError
from somray.io.run import open_run
from somray.io.storage import Storage

__all__ = ["ViewRequest", "show"]

_COPIES = ("itksnap", "slicer", "fiji")  # viewers that do not read the run itself
_GIB = 1 << 30


@dataclass(frozen=True)
class ViewRequest:
    """What a person asks `somray view` for, as its options say.

    All sessions are shown where none is named. With `out` nothing is opened; a temporary folder is taken where it is
    None, and the viewer is looked for where `program` is.
    """

    subject: str
    session: str | None
    viewer: str
    out: Path | None = None
    program: str | None = None
    opens: bool = True


def show(location: str, request: ViewRequest) -> dict[str, Any]:  # Any: JSON
    """Write what a viewer takes and open it.

    Returns:
        `viewer`, `subject`, `sessions`, `out`, `files`, `commands` (argument lists that open them), `opened`,
        `install` (None where the viewer is there) and `notes`.

    Raises:
        ConfigError: no such viewer, subject, session or program, or the folder lies in the run or is too small.
        StoreError: the run cannot be read or the folder not be written.
    """
    viewer = request.viewer
    if viewer not in NAMES:
        near = difflib.get_close_matches(viewer.lower(), NAMES, n=1, cutoff=0.3)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ConfigError(f"--in {viewer!r}: expected {', '.join(NAMES)}{hint}")
    program = found_program(viewer, request.program)
    if program is None and request.program is not None:
        raise ConfigError(f"--program {request.program}: no such program")
    run = open_run(location)
    subject = shown_subject(run, request.subject, request.session)
    folder = _folder(run.root, request.out)
    if viewer in _COPIES:
        _announce(subject, folder)
    room = importlib.import_module(f"somray.commands.view.viewers.{viewer}")
    prepared: ViewerFiles = room.prepare(subject, Storage.at(folder))
    commands = [command_of(viewer, program, one) for one in prepared.arguments]
    notes = [*subject.notes, *prepared.notes]
    opened = False
    if request.opens and request.out is None:
        opened = _opened(
            run.root, viewer, folder, commands if program or viewer == "neuroglancer" else [], notes
        )
    return {
        "viewer": viewer, "subject": request.subject,
        "sessions": [scan.session for scan in subject.scans], "out": str(folder),
        "files": [str(folder / name) for name in prepared.files], "commands": commands,
        "opened": opened, "install": None if program else INSTALL[viewer], "notes": notes,
    }  # fmt: skip


def _folder(root: str, out: Path | None) -> Path:
    if out is None:
        return Path(tempfile.mkdtemp(prefix="somray-view-"))
    folder = out.expanduser().absolute()
    if Storage.at(root).is_local and folder.resolve().is_relative_to(Path(root).resolve()):
        raise ConfigError(f"--out {out}: lies in the run, where nothing but the run writes")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _announce(subject: ShownSubject, folder: Path) -> None:
    """Say how much is written, before it is, and refuse what has no room."""
    needed, free = bytes_of(subject), shutil.disk_usage(folder).free
    if needed > free:
        raise ConfigError(
            f"{folder}: up to {needed / _GIB:.1f} GiB are to be written, {free / _GIB:.1f} are free; name a "
            "roomier --out, or one session"
        )
    size = f"{needed / _GIB:.1f} GiB" if needed >= _GIB else f"{needed / (1 << 20):.0f} MiB"
    say(f"writing up to {size} to {folder}")


def _opened(
    root: str, viewer: str, folder: Path, commands: list[list[str]], notes: list[str]
) -> bool:
    """Open what was written, or note why not."""
    if not commands:
        return False
    if viewer == "neuroglancer":
        if not sys.stdin.isatty():
            notes.append("not served, since nobody is at a terminal to end it")
            return False
        serve = importlib.import_module("somray.commands.view.serve").serve
        serve(root, folder, threading.Event().wait)
        return True
    if not has_display():
        notes.append("not opened, since there is no display here")
        return False
    trouble = start(commands)
    if trouble is not None:
        notes.append(f"not opened: {trouble}")
    return trouble is None
