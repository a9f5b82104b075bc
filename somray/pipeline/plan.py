"""The plan of a run: its own walk, on an executor that counts and a record that has no run behind it.

Headers are read and nothing is written. What a unit would tell the next ones is made up where they ask for it,
so that every unit is asked for that the run will ask for; what only pixels tell stands in `STAGES`.

Hours are for planning, good to a factor of two.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from somray.config import CohortConfig
from somray.domain.repairs import REPAIRS
from somray.domain.scan import Scan
from somray.domain.tables import Row
from somray.domain.teacher import TeacherModel
from somray.domain.work import (
    MIB,
    Mapper,
    Outcome,
    Result,
    StageFunction,
    Trainer,
    Unit,
)
from somray.errors import DataError, PlanError
from somray.io.cohort.copies import copies
from somray.io.ledger import Entry, entry_of
from somray.pipeline.bounds.foreseen import foresee, made_up_teacher, same_pixels
from somray.pipeline.bounds.memory import refuse_unheld
from somray.pipeline.bounds.sizes import fine_pixels, odd_sizes
from somray.pipeline.bounds.space import space_note
from somray.pipeline.cohort import Cohort, walk
from somray.pipeline.record import FailureRows, Record
from somray.pipeline.stages import STAGES
from somray.pipeline.units.scan_state import SLICE_PIXELS, scan_name
from somray.stages import ingest, truth
from somray.stages.teacher import fit as teacher

__all__ = ["CORES_OF_A_GPU", "CountingExecutor", "RunPlan", "StagePlan", "count_plan", "make_plan"]

MOST_NAMED = 5  # scans named in one note
_PATIENTS = ("CT", "MR", "PET", "PETCT")  # modalities whose objects are found by rules for patients
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
        refused: for people: units that fail beside those of scans that are set aside.
        unfitted: for people: teachers that cannot be fitted, without which a protocol is left undone.
        notes: for people: what headers leave open or readers will change.
    """

    scans: int
    quarantine: list[dict[str, str]] = field(default_factory=list)
    stages: dict[str, StagePlan] = field(
        default_factory=lambda: {stage: StagePlan(stage) for stage in STAGES}
    )
    refused: list[str] = field(default_factory=list)
    unfitted: list[str] = field(default_factory=list)
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
    """Read every header, count the work, and refuse what has no room.

    Raises:
        PlanError: a unit would need more memory than `resources.task_memory_mb` allows, or the run more space
            than is free; says which, and holds the plan.
    """
    plan = count_plan(cohort)
    stages = plan.stages.values()
    try:
        limit = cohort.config.resources.task_memory_mb * MIB
        refuse_unheld({stage.stage: stage.peak_bytes for stage in stages}, limit)
        note = space_note(cohort.storage, sum(stage.bytes for stage in stages))
    except PlanError as error:
        raise PlanError(str(error), plan.as_json()) from None
    plan.notes += [] if note is None else [note]
    return plan


def count_plan(cohort: Cohort) -> RunPlan:
    """Read every header and count the work, whether there is room for it or not."""
    plan = RunPlan(len(cohort.scans))
    sources = (path for scan in cohort.scans for path in scan.paths if path is not None)
    executor = CountingExecutor(plan, copies(sources))
    asyncio.run(walk(cohort, PlannedRecord(cohort, plan, executor), executor))
    place = {(scan.subject, scan.session): n for n, scan in enumerate(cohort.scans)}
    plan.quarantine.sort(key=lambda one: place[one["subject"], one["session"]])
    plan.notes += [
        *plan.unfitted,
        *plan.refused,
        *odd_sizes(executor.sizes),
        *fine_pixels(executor.sizes, _patients(cohort.config)),
        *_notes(executor.repairs),
    ]
    return plan


def _patients(config: CohortConfig) -> dict[str, str]:
    """Return the modality of protocols whose objects are found by a rule for patients."""
    protocols = config.protocols.items()
    return {
        n: p.modality for n, p in protocols if p.modality in _PATIENTS and p.objects.rule != "none"
    }


def _notes(repairs: Mapping[str, list[str]]) -> list[str]:
    """Say per repair what it means and which scans it is done to."""
    notes = []
    for code, scans in sorted(repairs.items()):
        more = len(scans) - MOST_NAMED
        named = ", ".join(scans[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
        notes.append(f"{code}: {REPAIRS[code]} ({named})")
    return notes


def _tell(reason: str, reasons: list[str]) -> None:
    """Note once what several units fail for."""
    if reason not in reasons:
        reasons.append(reason)


class CountingExecutor:
    """Counts units instead of running them; see `domain.work.Executor`."""

    def __init__(self, plan: RunPlan, firsts: Mapping[str, str] = MappingProxyType({})) -> None:
        """Count into a plan; `firsts` are the paths that others are copies of."""
        self._plan, self._firsts = plan, firsts
        self.repairs: dict[str, list[str]] = {}
        self.sizes: dict[str, dict[str, tuple[float, float, float]]] = {}
        self._depths: dict[tuple[str, str], int] = {}

    async def submit(
        self, function: StageFunction, unit: Unit, shared: object = None, actor: str | None = None
    ) -> Outcome:
        """Count a unit and make up what it would tell."""
        try:
            result = foresee(function, unit)
        except DataError as error:
            self._plan.add(unit)
            if function is truth.run:
                reason = f"{unit.subject} {unit.session} has no truth: {error.message}"
                _tell(reason, self._plan.refused)
            if function is teacher.missing:
                _tell(f"the teacher cannot be fitted: {error.message}", self._plan.unfitted)
            return Outcome(unit.stage, unit.name, None, error.code, error.message, True)
        for note in result.value.get("notes", ()):
            _tell(f"{unit.subject} {unit.session}: {note}", self._plan.notes)
        if function is ingest.run:  # its size is known now
            name = f"{unit.subject} {unit.session}"
            pixels = same_pixels(unit.item, self._firsts)
            told = {**result.value, "pixel_digest": pixels, "source_digest": pixels}
            result = replace(result, value=told)
            for code in result.value["repairs"]:
                self.repairs.setdefault(code, []).append(name)
            self.sizes.setdefault(unit.protocol, {})[name] = tuple(result.value["spacing_mm"])
            t, c, z, y, x = result.value["shape"]
            self._depths[unit.item.scan.subject, unit.item.scan.session] = z
            size = t * c * z * y * x
            if "parts" not in result.value:
                written = 4 * size // (3 if result.value["in_place"] else 1)  # smaller levels alone
                unit = replace(unit, work=size / SLICE_PIXELS, written=written)
        if function is teacher.run:
            for reason in self._absent(unit.item.scans):
                _tell(reason, self._plan.unfitted)
        self._plan.add(unit)
        return Outcome(unit.stage, unit.name, result)

    def _absent(self, references: Sequence[teacher.ReferenceScan]) -> Iterator[str]:
        """Name slices of a teacher's references that the scans do not have."""
        for one in references:
            depth = self._depths[one.place.subject, one.place.session]
            if beyond := [z for z in one.slices or () if z >= depth]:
                yield (
                    f"the teacher cannot be fitted: {one.place.subject} {one.place.session} has slices 0 to "
                    f"{depth - 1}, no {', '.join(map(str, beyond))}; correct teacher.reference"
                )

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


class PlannedRecord(Record):
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

    async def teacher(self, protocol: str) -> TeacherModel:
        """Make up a teacher with the protocol's classes."""
        return made_up_teacher(self._cohort.config.protocols[protocol])
