"""Progress for people: a bar on a terminal, one line a minute elsewhere; always on stderr."""

import math
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
        self._begun: dict[str, tuple[float, int]] = {}

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
        now = time.monotonic()
        for stage in stages:
            if stage["left"]:
                self._begun.setdefault(stage["stage"], (now, _ended(stage)))
        if self._live is not None:
            self._live.update(_table(stages))
        elif now - self._last >= LINE_SECONDS:
            self._last = now
            words = [self._words(stage, now) for stage in stages if _ended(stage) or stage["left"]]
            sys.stderr.write(f"somray {(now - self._start) / 60:.0f} min: {', '.join(words)}\n")
            sys.stderr.flush()

    def _words(self, stage: dict[str, Any], now: float) -> str:
        """Say how far a stage is, and how long it will still take at the pace that it had so far.

        What is left are the units that are known by now: earlier stages may bring more.
        """
        ended = _ended(stage)
        text = f"{stage['stage']} {ended}/{ended + stage['left']}"
        more = [f"{stage['failed']} failed"] if stage["failed"] else []
        since, before = self._begun.get(stage["stage"], (now, ended))
        if stage["left"] and ended > before:
            minutes = (now - since) / (ended - before) * stage["left"] / 60
            more.append(f"{math.ceil(minutes)} min left")
        return f"{text} ({', '.join(more)})" if more else text


def _table(stages: Sequence[dict[str, Any]]) -> Table:
    table = Table(box=None, padding=(0, 2))
    for heading in ("stage", "", "done", "left", "failed"):
        table.add_column(heading, justify="left" if heading in ("stage", "") else "right")
    for stage in stages:
        total = _ended(stage) + stage["left"]
        filled = round(24 * _ended(stage) / total) if total else 0
        bar = "━" * filled + "╌" * (24 - filled)
        counts = (str(stage["done"]), str(stage["left"]), str(stage["failed"]))
        table.add_row(stage["stage"], bar, *counts)
    return table


def _ended(stage: dict[str, Any]) -> int:
    return int(stage["done"]) + int(stage["failed"])
