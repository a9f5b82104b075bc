"""What every verb shares: its common arguments, words to a person on stderr, `--json` on stdout, the codes."""

import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer

from somray.commands.completion import run_folders
from somray.errors import ConfigError, StoreError

__all__ = [
    "DONE", "FAILED", "INTERRUPTED", "QUARANTINED", "USAGE",
    "Json", "RunFolder", "flush", "give", "give_json", "only_json", "open_streams", "out_option",
    "plain_threads",
    "refuse_within", "say",
]  # fmt: skip

DONE, USAGE, QUARANTINED, FAILED = 0, 2, 3, 4
"""Exit codes: done; usage, configuration or manifest; done, some scans set aside; failed."""
INTERRUPTED = 130
"""What shells call an end by Ctrl-C."""

_MARKS = ("run.json", "work/state.json")  # of a run; `RunLayout`, which costs imports
_OWN = ("scans", "models", "tables", "report", "work")  # folders of a run
_stdout: list[TextIO | None] = []


def _checked(context: typer.Context, text: str) -> str:
    """Refuse a local path that is no run, and say what it is instead, before anything heavy is imported.

    Raises:
        StoreError: it is none.
    """
    if context.resilient_parsing or "://" in text:
        return text
    place = Path(text).expanduser()
    if not any((place / mark).exists() for mark in _MARKS):
        raise StoreError(f"{text}: no run of somray: {_instead(place)}")
    try:
        json.loads((place / _MARKS[0]).read_text("utf-8"))
    except FileNotFoundError:
        return text  # it has only begun
    except ValueError:
        raise StoreError(
            f"{place / _MARKS[0]}: is damaged; `somray run` with the run's COHORT.yaml writes it anew"
        ) from None
    return text


def _instead(place: Path) -> str:
    """Say what stands where a run was looked for."""
    if not place.exists():
        near = next((one for one in place.absolute().parents if one.exists()), place)
        return f"there is no such folder; of its path there is {near}"
    if place.is_file():
        return "it is a file; name the folder that `output` of the configuration names"
    inside = sorted(str(mark.parent) for mark in place.glob("*/run.json"))[:3]
    if inside:
        return f"there is no run.json in it; did you mean {' or '.join(inside)}?"
    up = next((one for one in place.absolute().parents if (one / _MARKS[0]).exists()), None)
    if up is not None:
        return f"it is a part of one; name the run itself, {up}"
    return "there is no run.json in it; name the folder that `output` of the configuration names"


def _not_in_a_file(context: typer.Context, out: Any) -> Any:  # Any: a path or text
    """Expand `~` of a folder for results; refuse one that is a file, or lies below one.

    Raises:
        ConfigError: it does.
    """
    if context.resilient_parsing or out is None or "://" in str(out):
        return out
    home = type(out)(Path(out).expanduser()) if str(out).startswith("~") else out
    place = Path(home).absolute()
    near = next((one for one in (place, *place.parents) if one.exists()), place)
    if near.is_file():
        what = "it" if near == place else str(near)
        raise ConfigError(f"--out {out}: {what} is a file; name a folder")
    return home


def refuse_within(out: Path | str, run: str) -> None:
    """Refuse a folder for results that is a run, or one of the folders that a run keeps for itself.

    Raises:
        ConfigError: it is; what the run does not know would be cleared away by the next one, or taken for its own.
    """
    if "://" in str(out) or "://" in run:
        return
    place, root = (Path(one).expanduser().resolve() for one in (out, run))
    if place == root or (place.is_relative_to(root) and place.relative_to(root).parts[0] in _OWN):
        raise ConfigError(f"--out {out}: is a part of the run {run}; choose a folder beside it")


Json = Annotated[
    bool, typer.Option("--json", help="One JSON object on stdout, nothing else there.")
]
RunFolder = Annotated[
    str,
    typer.Argument(
        metavar="RUN",
        help="Folder or URL of a run.",
        callback=_checked,
        autocompletion=run_folders,
    ),
]

"""Of verbs that read a run."""


def out_option(words: str) -> Any:  # Any: typer's
    """Make the option `--out` of a verb."""
    return typer.Option("--out", help=words, callback=_not_in_a_file)


def say(text: str) -> None:
    """Tell a person something; a reader that has gone, or a full disk below a log, stops no run."""
    with contextlib.suppress(OSError):
        _put(sys.stderr, text)


def give(value: dict[str, Any], as_json: bool, text: Callable[[], str]) -> None:
    """Give the result: JSON on stdout, or words."""
    if as_json:
        give_json(value)
    else:
        say(text())


def give_json(value: dict[str, Any]) -> None:
    """Write one object on stdout."""
    _put(_stdout[-1] if _stdout else sys.stdout, json.dumps(value))


@contextlib.contextmanager
def only_json() -> Iterator[None]:
    """Send to stderr what others print, so that stdout holds the one object alone."""
    _stdout.append(sys.stdout)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        _stdout.pop()


def _put(stream: TextIO | None, text: str) -> None:
    """Write a line; a reader that has gone (`| head`, a closed stream) is no error."""
    if stream is None:
        return
    try:
        stream.write(text + "\n")
        stream.flush()
    except (BrokenPipeError, ValueError):
        _mute(stream)


def open_streams() -> None:
    """Put nothing where a standard stream is closed, or the next file that is opened would take its place."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    if sys.stdout is None:
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115  # until the end
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115


def plain_threads() -> None:
    """Make OMP_NUM_THREADS one number, the first of OpenMP's list of levels: others' packages stop at what is none."""
    given = os.environ.get("OMP_NUM_THREADS")
    if given is None:
        return
    first = given.partition(",")[0].strip()
    if first.isdigit() and int(first) > 0:
        os.environ["OMP_NUM_THREADS"] = first
        return
    del os.environ["OMP_NUM_THREADS"]
    if given.strip():
        say(f"note: OMP_NUM_THREADS={given!r} is no number of threads, and is left aside")


def flush() -> None:
    """Empty both streams before Python does, which would complain of a reader that has gone."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            try:
                stream.flush()
            except (OSError, ValueError):
                _mute(stream)


def _mute(stream: TextIO) -> None:
    """Send to nowhere what is still written to a stream whose reader has gone."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
