"""How a command ends: every error becomes one sentence on stderr, a code, and with `--json` an object on stdout.

The object is `{"error": {"kind", "exit_code", "message"}}`, with `code` (a key of `QUARANTINE_CODES`) where one scan is
at fault; a plan that cannot fit stands beside it. Kinds: usage, config, plan, data, shape, export, storage, schema,
stopped, internal.
"""

import contextlib
import errno
import os
import re
import traceback
from collections.abc import Callable
from typing import Any

import typer

from somray.commands.console import (
    DONE,
    FAILED,
    INTERRUPTED,
    USAGE,
    give_json,
    only_json,
    plain_threads,
    say,
)
from somray.errors import (
    REMEDIES,
    ConfigError,
    DataError,
    ExportError,
    PlanError,
    SchemaError,
    ShapeError,
    SomrayError,
    StoreError,
)

__all__ = ["StoppedError", "ended"]

_KINDS: tuple[tuple[type[Exception], str], ...] = (
    (ConfigError, "config"), (PlanError, "plan"), (DataError, "data"), (ShapeError, "shape"),
    (ExportError, "export"), (StoreError, "storage"), (SchemaError, "schema"),
)  # fmt: skip
_ADVICE = {
    errno.ENOSPC: "the disk is full; make room, then give the same command again",
    errno.EDQUOT: "your quota is used up; make room, then give the same command again",
    errno.EACCES: "you may not read or write there; correct the path or its permissions",
    errno.EPERM: "you may not do that there; correct the path or its permissions",
    errno.EROFS: "that disk can only be read; name another place",
    errno.ENOENT: "there is no such file or folder",
    errno.ENOTDIR: "a part of that path is a file, where a folder is needed",
    errno.EISDIR: "that is a folder, where a file is needed",
    errno.EMFILE: "too many files are open; raise the limit (ulimit -n)",
    errno.ENAMETOOLONG: "that name is too long for the disk",
}
_PLAIN = (
    (r"Missing (argument|option) '?(.*?)'?\.$", r"the \1 \2 is missing"),
    (r"Invalid value for '?(.*?)'?: ", r"\1: "),
    (r"Input should be a valid integer.*", "a whole number is expected"),
    (r"Input should be a valid number.*", "a number is expected"),
    (r"Input should be greater than or equal to (\S+)", r"must be at least \1"),
    (r"Input should be less than or equal to (\S+)", r"must be at most \1"),
    (r"Got unexpected extra arguments?(?:\(s\))? \((.*)\)", r"more words than expected: \1"),
    (r"No such option: (\S+)", r"there is no option \1"),
    (r"\(Possible options: (.*)\)", r"; did you mean \1?"),
    (r" ; ", "; "),
    (r"No such command (\S+)\.", r"there is no verb \1."),
)
"""Typer's words and ours."""


class StoppedError(Exception):
    """A person or the system stopped a command; the message says what becomes of what it did."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


def ended(command: Callable[[], Any], as_json: bool) -> int:  # Any: what typer returns
    """Call a command and return its exit code; whatever goes wrong is told."""
    plain_threads()
    with only_json() if as_json else contextlib.nullcontext():
        try:
            code = command()
        except SystemExit as stop:
            code = stop.code
        except (KeyboardInterrupt, typer.Abort):
            code = INTERRUPTED
        except Exception as error:
            return _told(error, as_json)
        if code == INTERRUPTED:
            return _told(StoppedError("stopped", INTERRUPTED), as_json)
        return code if isinstance(code, int) else DONE


def _told(error: Exception, as_json: bool) -> int:
    """Tell an error; return the exit code."""
    kind, code, message = _judged(error)
    if kind == "internal":
        say("".join(traceback.format_exception(error)).rstrip())
    say(message if message.startswith("Usage:") else f"somray: {message}")
    if as_json:
        told: dict[str, Any] = {"kind": kind, "exit_code": code, "message": message}
        if isinstance(error, DataError):
            told["code"] = error.code
        with contextlib.suppress(OSError):  # it may be what went wrong
            give_json({"error": told, **(error.plan if isinstance(error, PlanError) else {})})
    return code


def _judged(error: Exception) -> tuple[str, int, str]:
    """Return kind, exit code and sentence of an error."""
    if isinstance(error, StoppedError):
        return "stopped", error.code, str(error)
    if hasattr(error, "format_message"):  # typer's own, of whichever version
        return "usage", USAGE, _usage(error)
    if isinstance(error, SomrayError):
        kind = next((name for known, name in _KINDS if isinstance(error, known)), "internal")
        is_bare = isinstance(error, DataError) and ";" not in error.message
        advice = f"; {REMEDIES[error.code]}" if isinstance(error, DataError) and is_bare else ""
        return kind, USAGE if isinstance(error, ConfigError) else FAILED, f"{error}{advice}"
    return _judged_foreign(error)


def _stands() -> bool:
    """Whether the working folder is still there."""
    try:
        os.getcwd()
    except OSError:
        return False
    return True


def _judged_foreign(error: Exception) -> tuple[str, int, str]:
    """Judge what others raise."""
    if isinstance(error, FileNotFoundError) and not error.filename and not _stands():
        return (
            "storage",
            FAILED,
            "the folder that this was started in has been removed; change to one that exists",
        )
    if isinstance(error, OSError) and error.errno in _ADVICE:
        where = f"{error.filename}: " if error.filename else ""
        return "storage", FAILED, f"{where}{_ADVICE[error.errno]}"
    if isinstance(error, MemoryError):
        return (
            "plan",
            FAILED,
            "this machine's memory is not enough; end other programs, or take a larger one",
        )
    what = f"{type(error).__name__}: {error}".rstrip(": ")
    # fsspec's words, with the line to type
    if isinstance(error, ImportError) and "install" in str(error).lower():
        return (
            "config",
            USAGE,
            f"a package is missing: {error} (for s3://: pip install 'somray[s3]')",
        )
    if isinstance(error, ValueError) and "Protocol not known" in str(error):
        scheme = str(error).rpartition(" ")[2]
        return (
            "config",
            USAGE,
            f"{scheme}:// is no place that can be read; write a path, s3://, gs:// or https://",
        )
    return (
        "internal",
        FAILED,
        f"an error in somray itself ({what}); please report it with the lines above",
    )


def _usage(error: Any) -> str:  # Any: an exception of typer's
    """Say what is wrong with a command line, and where it is explained."""
    message = str(error.format_message()).strip()
    context = getattr(error, "ctx", None)
    if message.startswith("Usage:") or context is None:
        return message
    for pattern, words in _PLAIN:
        message = re.sub(pattern, words, message)
    what = getattr(getattr(error, "param", None), "help", None)
    if what and "is missing" in message:
        message = f"{message}: {what.rstrip('.')}"
    return f"{message.rstrip('.')} ({context.command_path} --help tells more)"
