"""The plan of a run: its own walk, on an executor that counts and a record that has no run behind it.

Headers are read and nothing is written. What a unit would tell the next ones is made up where they ask for it,
so that every unit is asked for that the run will ask for; what only pixels tell stands in `STAGES`.

Hours are for planning, good to a factor of two.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from somray.config import ProtocolConfig
from somray.domain.repairs import REPAIRS
from somray.domain.scan import Scan
from somray.domain.tables import Row
from somray.domain.teacher import CLASSES, Codebook, TeacherModel
from somray.domain.work import (
    MIB,
    Mapper,
    Outcome,
    Result,
    StageFunction,
    Trainer,
    Unit,
    digest_of,
)
from somray.errors import DataError, PlanError
from somray.io.ledger import Entry, entry_of
from somray.pipeline.bounds.space import space_note
from somray.pipeline.cohort import Cohort, walk
from somray.pipeline.record import FailureRows
from somray.pipeline.stages import STAGES
from somray.pipeline.units.scan_state import SLICE_PIXELS, scan_name
from somray.stages import ingest, object_calls, objects
from somray.stages.segment.scales import run_scales
from somray.stages.segment.som import run_som
from somray.stages.segment.student import run_student
from somray.stages.student import fit as student
from somray.stages.teacher import fit as teacher

__all__ = ["CORES_OF_A_GPU", "CountingExecutor", "RunPlan", "StagePlan", "make_plan"]

MOST_NAMED = 5  # scans named in one note
LESION_SHARE = 0.05  # of all voxels, for how many lesions may have to be followed
CORES_OF_A_GPU = 10  # one GPU is planned to do the work of so many cores; a guess, not measured


@dataclass
class StagePlan:
    """What one stage will take."""

    stage: str
    units: int = 0
    bytes: int = 0
    peak_bytes: int = 0
    cpu_hours: float = 0.0
    gpu_hours: float = 0.0


@dataclass
class RunPlan:
    """What a run will take, which scans will not be part of it, and what was assumed of the others.

    Args:
        scans: of the manifest.
        quarantine: subject, session, protocol, code and message of each that is set aside.
        stages: what each stage takes.
        notes: for people: what headers leave open or readers will change.
    """

    scans: int
    quarantine: list[dict[str, str]] = field(default_factory=list)
    stages: dict[str, StagePlan] = field(
        default_factory=lambda: {stage: StagePlan(stage) for stage in STAGES}
    )
    notes: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return the object of `check --json`."""
        stages = [vars(stage) for stage in self.stages.values()]
        return {"scans": self.scans, "quarantine": self.quarantine, "stages": stages}

    def add(self, unit: Unit) -> None:
        """Count one unit."""
        plan, needs = self.stages[unit.stage], unit.needs
        hours = unit.work * STAGES[unit.stage].seconds / 3600
        if needs.gpus:
            hours /= CORES_OF_A_GPU
        plan.units += 1
        plan.bytes += unit.written
        plan.peak_bytes = max(plan.peak_bytes, needs.memory_bytes)
        plan.cpu_hours += hours
        plan.gpu_hours += needs.gpus * hours


def make_plan(cohort: Cohort) -> RunPlan:
    """Read every header and count the work.

    Raises:
        PlanError: a unit would need more memory than `resources.task_memory_mb` allows, or the run more space
            than is free; says which.
    """
    plan = RunPlan(len(cohort.scans))
    executor = CountingExecutor(plan)
    asyncio.run(walk(cohort, PlannedRecord(cohort, plan, executor), executor))
    place = {(scan.subject, scan.session): n for n, scan in enumerate(cohort.scans)}
    plan.quarantine.sort(key=lambda one: place[one["subject"], one["session"]])
    plan.notes += _notes(executor.repairs)
    _refuse_what_cannot_fit(plan, cohort)
    note = space_note(cohort.storage, sum(stage.bytes for stage in plan.stages.values()))
    plan.notes += [] if note is None else [note]
    return plan


def _notes(repairs: Mapping[str, list[str]]) -> list[str]:
    """Say per repair what it means and which scans it is done to."""
    notes = []
    for code, scans in sorted(repairs.items()):
        more = len(scans) - MOST_NAMED
        named = ", ".join(scans[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
        notes.append(f"{code}: {REPAIRS[code]} ({named})")
    return notes


def _refuse_what_cannot_fit(plan: RunPlan, cohort: Cohort) -> None:
    limit = cohort.config.resources.task_memory_mb * MIB
    worst = Counter({s.stage: s.peak_bytes for s in plan.stages.values() if s.peak_bytes > limit})
    if worst:
        wide = ", ".join(f"{stage} {size / MIB:.0f} MiB" for stage, size in worst.most_common())
        raise PlanError(
            f"the plan cannot fit: a task may take {limit / MIB:.0f} MiB "
            f"(resources.task_memory_mb), but needs are: {wide}; raise the limit if the nodes have "
            "the memory"
        )


class CountingExecutor:
    """Counts units instead of running them; see `domain.work.Executor`."""

    def __init__(self, plan: RunPlan) -> None:
        """Count into a plan."""
        self._plan = plan
        self.repairs: dict[str, list[str]] = {}

    async def submit(
        self, function: StageFunction, unit: Unit, shared: object = None, actor: str | None = None
    ) -> Outcome:
        """Count a unit and make up what it would tell."""
        try:
            result = _FORESEEN.get(function, _nothing)(unit)
        except DataError as error:
            self._plan.add(unit)
            return Outcome(unit.stage, unit.name, None, error.code, error.message, True)
        if function is ingest.run:  # its size is known now
            for code in result.value["repairs"]:
                self.repairs.setdefault(code, []).append(f"{unit.subject} {unit.session}")
            t, c, z, y, x = result.value["shape"]
            size = t * c * z * y * x
            if "parts" not in result.value:
                unit = replace(unit, work=size / SLICE_PIXELS, written=4 * size)
        self._plan.add(unit)
        return Outcome(unit.stage, unit.name, result)

    def share(self, value: object) -> object:
        """Return the value itself."""
        return value

    async def release(self, actor: str) -> None:
        """Do nothing: there are no actors here."""

    def close(self) -> None:
        """Do nothing: nothing is under way."""

    def mapper(self) -> Mapper:
        """Return what nobody calls."""
        return Mapper(lambda function, items, shared, needs: [])

    def trainer(self, workers: int, choice: str) -> Trainer:
        """Return what nobody calls."""
        return Trainer(lambda: None)


def _nothing(unit: Unit) -> Result:
    """Tell nothing, which the walk takes as: nothing found, nothing refused."""
    return Result()


def _ingested(unit: Unit) -> Result:
    """Read the headers; sources that are the same files have the same pixels."""
    item: ingest.IngestItem = unit.item
    facts = ingest.probe(item)
    pixels = digest_of(item.scan.paths, item.modality, item.channels, item.irregular)
    told = {"pixel_digest": pixels, "source_digest": pixels, "uptake_level": None}
    return Result(value={**facts, **told})


def _filled(unit: Unit) -> Result:
    """Refuse what no task can hold, as the unit will."""
    try:
        unit.item.refuse()
    except DataError as error:
        return Result(value={"fault": {"code": error.code, "message": error.message}})
    return Result()


def _closed(unit: Unit) -> Result:
    if (fault := unit.item.fault()) is not None:
        raise fault
    return Result(value=unit.item.opened)


def _segmented(unit: Unit) -> Result:
    voxels = round(LESION_SHARE * unit.written)
    return Result(value={"signature": {}, "voxels": voxels, "counts": []})


def _found(unit: Unit) -> Result:
    voxels = round(LESION_SHARE * unit.written / 4)
    return Result(value={"times": [[]], "heights": [None], "voxels": voxels})


_FORESEEN: Mapping[StageFunction, Callable[[Unit], Result]] = {
    ingest.run: _ingested,
    ingest.fill: _filled,
    ingest.close: _closed,
    teacher.run: lambda unit: Result(value={"digest": "", "slices": [0]}),
    teacher.missing: lambda unit: teacher.missing(unit.item),  # it fails whatever the pixels are
    student.run: lambda unit: Result(value={"digest": ""}),
    run_scales: lambda unit: Result(value={"scales": []}),
    run_som: _segmented,
    run_student: _segmented,
    objects.find: _found,
    object_calls.call: lambda unit: Result(value={"lesions": [[]]}),
}
"""What is made up of the units whose word decides which further ones there are, or what these need."""


class PlannedRecord:
    """A record without a run: every unit is due, nothing is kept; see `record.Record`."""

    def __init__(self, cohort: Cohort, plan: RunPlan, executor: CountingExecutor) -> None:
        """Set scans aside in a plan."""
        self._cohort, self._plan, self._executor = cohort, plan, executor

    async def do(
        self,
        function: StageFunction,
        unit: Unit,
        *,
        shared: object = None,
        actor: str | None = None,
        on_failure: FailureRows | None = None,
    ) -> Entry:
        """Have a unit counted."""
        outcome = await self._executor.submit(function, unit, shared, actor)
        entry = entry_of(unit, outcome, outcome.result or Result())
        if unit.stage == "ingest" and not entry.ok:
            self._set_aside(unit.item.scan, entry)
        return entry

    async def renew(self, function: StageFunction, unit: Unit) -> None:
        """Do nothing: nothing was done before."""

    async def is_due(self, unit: Unit) -> bool:
        """Say no: what is counted once is not asked for again."""
        return False

    async def replace(self, entry: Entry, code: str, message: str, rows: Sequence[Row]) -> None:
        """Set a duplicate, or a scan in another unit, aside."""
        name = entry.name.partition("+")[0]
        scan = next(s for s in self._cohort.scans if scan_name(s) == name)
        self._set_aside(scan, replace(entry, code=code, message=message))

    def _set_aside(self, scan: Scan, entry: Entry) -> None:
        self._plan.quarantine.append(
            {
                "subject": scan.subject,
                "session": scan.session,
                "protocol": scan.protocol,
                "code": entry.code or "",
                "message": entry.message or "",
            }
        )

    async def forget(self, entry: Entry) -> None:
        """Do nothing: nothing is kept."""

    async def has_scan(self, name: str) -> bool:
        """Say that what was counted stands."""
        return True

    async def has_group(self, name: str) -> bool:
        """Say that what was counted stands."""
        return True

    async def remove(self, name: str) -> None:
        """Do nothing: nothing was written."""

    async def teacher(self, protocol: str) -> TeacherModel:
        """Make up a teacher with the protocol's classes."""
        return _made_up(self._cohort.config.protocols[protocol])

    async def student(self, protocol: str) -> None:
        """Return none: nobody looks inside."""


def _made_up(config: ProtocolConfig) -> TeacherModel:
    """Return a teacher of one node that knows every class a configuration names."""
    settings, channels = config.teacher, tuple(config.channels)
    own = [] if isinstance(settings.classes, str) else list(settings.classes)
    further = [n for n in dict.fromkeys([settings.target, *own]) if n not in CLASSES.values()]
    size = len(channels) * len(settings.feature_names)
    flat = np.zeros(size, dtype=np.float32)
    return TeacherModel(
        codebook=Codebook(flat[None], (1, 1)),
        modality=config.modality,
        channels=channels,
        windows=((0.0, 1.0),) * len(channels),
        features=settings.feature_names,
        center=flat,
        scale=flat + 1,
        feature_weights=flat + 1,
        node_classes=np.zeros(1, dtype=np.uint8),
        class_names={**CLASSES, **dict(enumerate(further, start=len(CLASSES) + 1))},
    )
