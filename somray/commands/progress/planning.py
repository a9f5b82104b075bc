"""A plan of the run under way, made beside it by reading headers, as `check` does: what there will be to do."""

import contextlib
import threading
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace

from somray.commands.progress.forecast import StageCost
from somray.domain.scan import Scan
from somray.pipeline.bounds.memory import refuse_unheld
from somray.pipeline.cohort import Cohort
from somray.pipeline.plan import count_plan
from somray.pipeline.run_state import REPORT

__all__ = ["Planning", "planned"]

MOST_SCANS = 60  # of a protocol whose headers are read for it; more are counted as like these
UNIT_SECONDS = 0.3  # of any unit beside its work: handing it over, reading, writing; rates of plans leave it out
REPORT_SECONDS = 10.0, 6.0  # of the report, and of each scan in it
PATIENCE_SECONDS = 5.0  # that a run waits, once Ray is there, for its plan; most are made by then
GUESSED = ("evolve",)  # a unit of these takes memory by what is found, which a plan makes up
ONCE = ("teacher", "pretrain", "student")  # a unit of these serves a whole protocol


class Planning:
    """Makes a plan in a thread of its own; the run does not wait for it and does not fail with it."""

    def __init__(self, cohort: Cohort) -> None:
        """Make nothing yet."""
        self.plan: dict[str, StageCost] | None = None
        """None while there is none, or where none can be made."""
        self._thread = threading.Thread(
            target=self._make, args=(cohort,), name="planning", daemon=True
        )

    def begin(self) -> "Planning":
        """Begin to plan; return itself."""
        self._thread.start()
        return self

    def _make(self, cohort: Cohort) -> None:
        with contextlib.suppress(Exception):  # a forecast is a courtesy
            self.plan = planned(cohort)

    def refuse(self, offered: float, patience: float = PATIENCE_SECONDS) -> None:
        """Refuse a run of which a unit fits no node, where none can join; what is not known in time is found when due.

        Raises:
            PlanError: one does not fit.
        """
        self._thread.join(patience)
        peaks = {
            name: cost.peak_bytes for name, cost in (self.plan or {}).items() if name not in GUESSED
        }
        refuse_unheld(
            peaks,
            offered,
            "what this machine offers",
            "end other programs, or run where there is more memory",
        )


def planned(cohort: Cohort) -> dict[str, StageCost]:
    """Plan a cohort by the first scans of each protocol.

    Returns:
        Units and seconds of one core by stage.

    Raises:
        SomrayError: it cannot be planned.
    """
    units: defaultdict[str, float] = defaultdict(float)
    seconds: defaultdict[str, float] = defaultdict(float)
    peaks: defaultdict[str, int] = defaultdict(int)
    for protocol in cohort.config.protocols:
        scans = [scan for scan in cohort.scans if scan.protocol == protocol]
        if not scans:
            continue
        some = list(_first(cohort, protocol, scans))
        config = cohort.config.model_copy(
            update={"protocols": {protocol: cohort.config.protocols[protocol]}}
        )
        plan = count_plan(replace(cohort, config=config, scans=tuple(some)))
        for name, stage in plan.stages.items():
            times = 1 if name in ONCE and stage.units == 1 else len(scans) / len(some)
            units[name] += times * stage.units
            seconds[name] += 3600 * times * stage.cpu_hours
            peaks[name] = max(peaks[name], stage.peak_bytes)
    found = {
        name: StageCost(units[name], seconds[name] + UNIT_SECONDS * units[name], peaks[name])
        for name in units
    }
    base, each = REPORT_SECONDS
    return {**found, REPORT: StageCost(1, base + each * len(cohort.scans))}


def _first(cohort: Cohort, protocol: str, scans: list[Scan]) -> Iterator[Scan]:
    """Yield whole subjects, those of the teacher's own slices first."""
    named = {one.subject for one in cohort.config.protocols[protocol].teacher.named}
    subjects = dict.fromkeys(scan.subject for scan in scans)
    taken = 0
    for subject in sorted(subjects, key=lambda one: one not in named):
        if taken >= MOST_SCANS:
            return
        own = [scan for scan in scans if scan.subject == subject]
        taken += len(own)
        yield from own
