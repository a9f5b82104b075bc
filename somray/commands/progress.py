"""Progress for people: a bar on a terminal, one line a minute elsewhere; always on stderr."""

import sys
import time
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table

__all__ = ["ProgressView"]

LINE_SECONDS = 60.0


class ProgressView:
    """Shows the counts of every stage while a run goes on.

    Args:
        quiet: show nothing.
    """

    def __init__(self, quiet: bool = False) -> None:
        """Choose bar or lines by what stderr is."""
        self._quiet = quiet
        self._console = Console(stderr=True)
        self._live: Live | None = None
        self._last = time.monotonic()
        self._start = self._last

    def __enter__(self) -> "ProgressView":
        """Begin to show."""
        if not self._quiet and self._console.is_terminal:
            self._live = Live(console=self._console, refresh_per_second=4, transient=True)
            self._live.start()
        return self

    def __exit__(self, *exc: object) -> None:
        """Stop showing."""
        if self._live is not None:
            self._live.stop()

    def __call__(self, stages: Sequence[dict[str, Any]]) -> None:
        """Take the newest counts."""
        if self._quiet:
            return
        if self._live is not None:
            self._live.update(_table(stages))
        elif time.monotonic() - self._last >= LINE_SECONDS:
            self._last = time.monotonic()
            sys.stderr.write(f"{_line(stages, self._last - self._start)}\n")
            sys.stderr.flush()


def _table(stages: Sequence[dict[str, Any]]) -> Table:
    table = Table(box=None, padding=(0, 2))
    for heading in ("stage", "", "done", "left", "failed"):
        table.add_column(heading, justify="left" if heading in ("stage", "") else "right")
    for stage in stages:
        total = stage["done"] + stage["left"] + stage["failed"]
        filled = round(24 * (stage["done"] + stage["failed"]) / total) if total else 0
        bar = "━" * filled + "╌" * (24 - filled)
        counts = (str(stage["done"]), str(stage["left"]), str(stage["failed"]))
        table.add_row(stage["stage"], bar, *counts)
    return table


def _line(stages: Sequence[dict[str, Any]], seconds: float) -> str:
    busy = [
        f"{s['stage']} {s['done']}/{s['done'] + s['left'] + s['failed']}"
        + (f" ({s['failed']} failed)" if s["failed"] else "")
        for s in stages
        if s["done"] or s["left"] or s["failed"]
    ]
    return f"somray {seconds / 60:.0f} min: {', '.join(busy)}"
