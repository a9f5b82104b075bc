"""What every verb shares: words to a person on stderr, `--json` on stdout."""

import json
import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer

__all__ = ["Json", "RunFolder", "give", "say"]

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
