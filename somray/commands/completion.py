"""What a shell may complete: runs, their subjects, sessions and protocols, and words of which there are few.

Only names of folders on a local disk are read, so that a key press is answered at once. Where nothing is known the
shell completes files, as it does anyway.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import typer

__all__ = ["one_of", "protocols", "run_folders", "sessions", "subjects"]

MOST_NAMES = 10_000  # of one folder that are read for one key press
_SCAN = re.compile(r"sub-(?P<subject>.+?)_ses-(?P<session>.+)\.ome\.zarr")


def one_of(*words: str) -> Callable[[str], list[str]]:
    """Complete one of a few words."""

    def complete(incomplete: str) -> list[str]:
        return [word for word in words if word.startswith(incomplete)]

    return complete


def run_folders(incomplete: str) -> list[str]:
    """Complete folders that are runs; none of the others, so that the shell's own way through folders is kept."""
    head, slash, begun = incomplete.rpartition("/")
    folder = Path(head + slash).expanduser()
    return [
        f"{head}{slash}{name}"
        for name in _names(folder)
        if name.startswith(begun) and _is_run(folder / name)
    ]


def subjects(context: typer.Context, incomplete: str) -> list[str]:
    """Complete subjects of the run that the line names."""
    return _parts(context, "subject", incomplete)


def sessions(context: typer.Context, incomplete: str) -> list[str]:
    """Complete sessions: those of the subject, where the line names one."""
    return _parts(context, "session", incomplete)


def protocols(context: typer.Context, incomplete: str) -> list[str]:
    """Complete protocols of the run that the line names."""
    run = _run(context)
    found = _names(run / "models") if run else []
    return [name for name in found if name.startswith(incomplete)]


def _parts(context: typer.Context, part: str, incomplete: str) -> list[str]:
    run = _run(context)
    scans = map(_SCAN.fullmatch, _names(run / "scans") if run else [])
    named = context.params.get("subject") if part == "session" else None
    wanted = [named] if isinstance(named, str) else named
    found = {scan[part] for scan in scans if scan and (not wanted or scan["subject"] in wanted)}
    return sorted(name for name in found if name.startswith(incomplete))


def _run(context: typer.Context) -> Path | None:
    """Find the run in the line: its argument, or a word where the line cannot be parsed as it stands."""
    words = [context.params.get("run"), *context.args]
    places = [Path(word).expanduser() for word in words if isinstance(word, str)]
    return next((place for place in places if _is_run(place)), None)


def _is_run(place: Path) -> bool:
    return (place / "run.json").exists()


def _names(folder: Path) -> list[str]:
    """List a folder, sorted; nothing where it cannot be read."""

    def read() -> Iterator[str]:
        for number, entry in enumerate(folder.iterdir()):
            if number >= MOST_NAMES:
                return
            yield entry.name

    try:
        return sorted(read())
    except OSError:
        return []
