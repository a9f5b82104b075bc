"""Progress for people: bars on a terminal, one line a minute elsewhere; always on stderr."""

import contextlib
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table

from somray.commands.console import say
from somray.commands.progress.forecast import LAST, LEAST_SHARE, Forecast, StageCost
from somray.commands.words import duration, end_words, ended_units
from somray.errors import SomrayError

__all__ = ["ProgressView"]

LINE_SECONDS = 60.0
LEAST_WIDTH, MOST_BAR, BESIDE = 60, 24, 48  # of a terminal; of a bar; of what stands beside it

Plan = Mapping[str, StageCost] | None


class ProgressView:
    """Shows the counts of every stage while a run goes on, and when it will end.

    `before` are units that earlier runs had ended, by stage. `plan` gives what there will be to do, once that is
    known; nothing is said of the end where it is None. `keep` is told once a minute how many seconds are left, None
    where nobody knows.
    """

    def __init__(
        self,
        quiet: bool = False,
        before: Mapping[str, int] | None = None,
        plan: Callable[[], Plan] | None = None,
        keep: Callable[[float | None], object] = lambda seconds: None,
    ) -> None:
        """Choose bars or lines by what stderr is."""
        self._quiet, self._plan, self._keep = quiet, plan, keep
        self._console = Console(stderr=True)
        self._live: Live | None = None
        self._last = self._start = time.monotonic()
        self._begun: dict[str, tuple[float, int]] = {}
        self._forecast, self._has_plan = Forecast(before), False

    @property
    def seconds(self) -> float:
        """How long it has been shown."""
        return time.monotonic() - self._start

    def __enter__(self) -> "ProgressView":
        """Begin to show."""
        console = self._console
        able = console.is_terminal and not console.is_dumb_terminal
        if not self._quiet and able and console.width >= LEAST_WIDTH:
            self._live = Live(console=console, refresh_per_second=4, transient=True)
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *exc: object) -> None:
        """Stop showing; an end by a signal takes some seconds more."""
        if self._live is not None:
            live, self._live = self._live, None
            with contextlib.suppress(OSError, ValueError):  # the terminal may be gone
                live.stop()
        if kind in (KeyboardInterrupt, SystemExit) and not self._quiet:
            say("stopping …")

    def __call__(self, stages: Sequence[dict[str, Any]]) -> None:
        """Take the newest counts."""
        now = time.monotonic()
        if self._plan and not self._has_plan and (plan := self._plan()) is not None:
            self._forecast.learn(plan)
            self._has_plan = True
        self._forecast.look(stages, now)
        for stage in stages:
            if stage["left"]:
                self._begun.setdefault(stage["stage"], (now, ended_units(stage)))
        is_due = now - self._last >= LINE_SECONDS
        if is_due:
            self._last = now
            with contextlib.suppress(SomrayError):  # whoever needs storage will tell
                self._keep(self._forecast.seconds_left())
        if self._quiet:
            return
        if self._live is not None:
            with contextlib.suppress(OSError, ValueError):
                self._live.update(self._table(stages, now))
        elif is_due:
            say(f"somray {(now - self._start) / 60:.0f} min: {self._line(stages, now)}")

    def _line(self, stages: Sequence[dict[str, Any]], now: float) -> str:
        """Say what is under way with the time left of each stage, what has ended, what is to come, and the end."""
        under_way, ended, to_come = [], [], []
        is_last = all(s["stage"] == LAST or not s["left"] for s in stages)
        for stage in stages:
            expected = self._forecast.expected(stage)
            if expected and ended_units(stage) >= expected:
                ended.append(_counted(stage, expected))
            elif (stage["left"] or ended_units(stage)) and (is_last or stage["stage"] != LAST):
                under_way.append(_counted(stage, expected, self._time_left(stage, expected, now)))
            elif expected:
                to_come.append(str(stage["stage"]))
        parts = [
            ", ".join(under_way),
            f"ended: {', '.join(ended)}" if ended else "",
            f"to come: {', '.join(to_come)}" if to_come else "",
            self._end(),
        ]
        return "; ".join(part for part in parts if part)

    def _end(self) -> str:
        if self._plan is None:
            return ""
        left = self._forecast.seconds_left()
        return "the end is not known yet" if left is None else f"ends {end_words(left)}"

    def _time_left(self, stage: dict[str, Any], expected: int, now: float) -> str:
        """Say how long a stage will still take at its pace so far; "" where it had none, or too little to go by."""
        ended = ended_units(stage)
        since, before = self._begun.get(stage["stage"], (now, ended))
        if (
            not stage["left"]
            or ended <= before
            or ended - before < LEAST_SHARE * (expected - before)
        ):
            return ""  # one pair of 92, and then a student's training: that is no pace of the pairs
        return f"{duration((now - since) / (ended - before) * (expected - ended))} left"

    def _table(self, stages: Sequence[dict[str, Any]], now: float) -> Table:
        table = Table(box=None, padding=(0, 1), show_footer=False)
        for heading in ("stage", "", "done", "failed", "left"):
            side = "left" if heading in ("stage", "") else "right"
            table.add_column(heading, justify=side, no_wrap=True)  # type: ignore[arg-type]
        expected = {stage["stage"]: self._forecast.expected(stage) for stage in stages}
        shown = [stage for stage in stages if expected[stage["stage"]]]
        if len(shown) > self._console.height - 4:
            shown = [s for s in shown if s["left"]] or shown
        for stage in shown[: max(1, self._console.height - 4)]:
            total = expected[stage["stage"]]
            left = self._time_left(stage, total, now).removesuffix(" left")
            failed = str(stage["failed"] or "")
            bar = self._bar(ended_units(stage) / total)
            table.add_row(stage["stage"], bar, f"{ended_units(stage)}/{total}", failed, left)
        told = (f"{duration(now - self._start)} so far", self._end())
        table.caption = "; ".join(part for part in told if part)
        table.caption_justify = "left"
        return table

    def _bar(self, share: float) -> str:
        full, empty = ("#", "-") if self._console.options.ascii_only else ("━", "╌")
        size = max(4, min(MOST_BAR, self._console.width - BESIDE))
        filled = min(size, math.floor(size * share))
        return full * filled + empty * (size - filled)


def _counted(stage: dict[str, Any], expected: int, time_left: str = "") -> str:
    """Say how far a stage is."""
    more = [f"{stage['failed']} failed"] if stage["failed"] else []
    more += [time_left] if time_left else []
    text = f"{stage['stage']} {ended_units(stage)}/{expected}"
    return f"{text} ({', '.join(more)})" if more else text
