"""What every verb shares: words to a person on stderr, `--json` on stdout."""

import json
import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer

__all__ = ["DONE", "FAILED", "QUARANTINED", "USAGE", "Json", "RunFolder", "give", "say"]

DONE, USAGE, QUARANTINED, FAILED = 0, 2, 3, 4
"""Exit codes: done; usage, configuration or manifest; done, some scans set aside; failed."""

Json = Annotated[
    bool, typer.Option("--json", help="One JSON object on stdout, nothing else there.")
]
RunFolder = Annotated[str, typer.Argument(metavar="RUN")]


def say(text: str) -> None:
    """Tell a person something."""
    sys.stderr.write(text + "\n")


def give(value: dict[str, Any], as_json: bool, text: Callable[[], str]) -> None:
    """Give the result: JSON on stdout, or words."""
    if as_json:
        sys.stdout.write(json.dumps(value) + "\n")
    else:
        say(text())
