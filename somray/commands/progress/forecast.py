"""When a run will be done: its plan, weighed by what the stages cost, at the pace that it has had so far.

There is no forecast before there is ground for one: a plan, half a minute of work of this run's own, and a tenth
of what was left done in it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from somray.commands.words import ended_units

__all__ = ["Forecast", "StageCost"]

SETTLING_SECONDS = 15.0  # workers start, and what earlier runs did is looked up
CATCHING_UP_SECONDS = 300.0  # at most until what an earlier run did has been looked up
LEAST_SECONDS = 30.0
LAST = "report"
"""The stage that begins when all others have ended."""
LEAST_SHARE = 0.1

Stages = Sequence[Mapping[str, Any]]  # Any: JSON


@dataclass(frozen=True)
class StageCost:
    """What a plan says of one stage.

    Args:
        units: of work.
        seconds: of one core, for all of them; good to a factor of two.
        peak_bytes: of memory, of its largest unit.
    """

    units: float
    seconds: float
    peak_bytes: int = 0

    @property
    def each(self) -> float:
        """Seconds of one unit."""
        return self.seconds / self.units if self.units else 0.0


class Forecast:
    """Looks at the counts of a run and says how long the rest will take.

    Args:
        before: units that earlier runs of the same output had done or failed, by stage; this one does not do them.
    """

    def __init__(self, before: Mapping[str, int] | None = None) -> None:
        """Begin without a plan."""
        self._before = dict(before or {})
        self._plan: dict[str, StageCost] = {}
        self._start: float | None = None
        self._base = (0.0, 0.0)  # when this run's own work began, and how much had been done then
        self._last = (0.0, 0.0)
        self._stages: Stages = ()
        self._since: dict[str, tuple[int, float]] = {}

    def learn(self, plan: Mapping[str, StageCost]) -> None:
        """Take a plan."""
        self._plan = dict(plan)
        self._start = None

    def expected(self, stage: Mapping[str, Any]) -> int:
        """Return how many units a stage has: those that are known, or more by the plan."""
        known = ended_units(stage) + int(stage["left"])
        cost = self._plan.get(str(stage["stage"]))
        return known if cost is None else max(known, round(cost.units))

    def look(self, stages: Stages, now: float) -> None:
        """Take the newest counts, at a time in seconds."""
        self._stages = stages
        others = sum(ended_units(stage) for stage in stages if stage["stage"] != LAST)
        for stage in stages:
            name, ended = str(stage["stage"]), ended_units(stage)
            ended = (
                others if name == LAST else ended
            )  # it waits for all others, and counts as left from the start
            if stage["left"] and self._since.get(name, (-1, now))[0] != ended:
                self._since[name] = (ended, now)
        if not self._plan:
            return
        self._start = now if self._start is None else self._start
        done = sum(self._each(stage) * ended_units(stage) for stage in stages)
        earlier = sum(cost.each * self._before.get(name, 0) for name, cost in self._plan.items())
        age, was_behind = now - self._start, self._last[1] < earlier
        if age <= SETTLING_SECONDS or (was_behind and age <= CATCHING_UP_SECONDS):
            self._base = (now, done)  # what went before is no pace of this run's own
        self._last = (now, done)

    def seconds_left(self) -> float | None:
        """Return how long the rest will take; None where there is no ground for saying so."""
        (since, before), (now, done) = self._base, self._last
        total = sum(self._each(stage) * self.expected(stage) for stage in self._stages)
        alone = self._last_alone(now)
        own, passed = done - before, now - alone - since
        if passed < LEAST_SECONDS or own <= 0 or own < LEAST_SHARE * (total - before):
            return None
        left = (total - done) * passed / own - alone
        return (
            max(left, self._longest_way(now)) if left > 0 else None
        )  # it took longer than was thought

    def _last_alone(self, now: float) -> float:
        """Return since how many seconds nothing but the last stage, is under way: no pace shows there."""
        for stage in self._stages:
            if stage["stage"] != LAST and ended_units(stage) < self.expected(stage):
                return 0.0
        return now - self._since[LAST][1] if LAST in self._since else 0.0

    def _each(self, stage: Mapping[str, Any]) -> float:
        cost = self._plan.get(str(stage["stage"]))
        return 0.0 if cost is None else cost.each

    def _longest_way(self, now: float) -> float:
        """Return what one core would need for one unit of each unfinished stage: more workers do not help there."""
        total = 0.0
        for stage in self._stages:
            if ended_units(stage) >= self.expected(stage):
                continue
            under_way = now - self._since[str(stage["stage"])][1] if stage["left"] else 0.0
            total += max(0.0, self._each(stage) - under_way)
        return total
