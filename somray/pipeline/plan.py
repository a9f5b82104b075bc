"""The plan of a run from configuration and headers alone: units, bytes, memory, hours, and what cannot be done.

Hours come from measured rates of this machine's kind (tests/benchmarks/LOG.md); they are for planning, good
to a factor of two.
"""

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from somray.domain.run import ScanPlace
from somray.domain.scan import Scan
from somray.domain.work import MIB, Needs, Unit
from somray.errors import DataError, PlanError
from somray.kernels.registration.space.group import first_pairs
from somray.kernels.student.rounds.steps import all_steps
from somray.pipeline.cohort import Cohort
from somray.pipeline.fitting import over_subjects
from somray.pipeline.objects import find_unit, object_rule
from somray.pipeline.record import STAGES
from somray.pipeline.references import chosen_references
from somray.pipeline.units.protocol import ScanState, Units
from somray.pipeline.units.sessions import align_unit, bridge_unit, session_pair
from somray.pipeline.units.slices import slice_chain, slice_pairs
from somray.pipeline.units.student import student_unit
from somray.stages import ingest, object_calls, truth
from somray.stages.evolution import evolve
from somray.stages.registration import residuals

__all__ = ["Plan", "StagePlan", "make_plan"]

# Core-seconds per million pixels and channel, 2 busy cores of 2026 (tests/benchmarks/LOG.md).
_RATES = {
    "ingest": 0.4, "register": 0.5, "som": 0.25, "student": 0.1, "segment": 3.0, "objects": 0.3,
    "evolve": 0.2,
    "residuals": 0.3, "truth": 0.3,
}  # fmt: skip
_STEP_SECONDS = 0.12  # one optimizer step on one core
_LESION_SHARE = 0.05  # of all voxels, for the memory of following lesions


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
class Plan:
    """What a run will take, and which scans will not be part of it."""

    scans: int
    quarantine: list[dict[str, str]] = field(default_factory=list)
    stages: dict[str, StagePlan] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return the object of `check --json`."""
        return {
            "scans": self.scans,
            "quarantine": self.quarantine,
            "stages": [vars(self.stages[stage]) for stage in STAGES],
        }

    def add(self, needs: Needs, stage: str, hours: float = 0.0, written: int = 0) -> None:
        """Count one unit."""
        plan = self.stages[stage]
        plan.units += 1
        plan.bytes += written
        plan.peak_bytes = max(plan.peak_bytes, needs.memory_bytes)
        plan.cpu_hours += hours


def make_plan(cohort: Cohort) -> Plan:
    """Read every header and count the work.

    Raises:
        PlanError: a unit would need more memory than `resources.task_memory_mb` allows; names them.
    """
    plan = Plan(len(cohort.scans), stages={stage: StagePlan(stage) for stage in STAGES})
    for protocol in cohort.config.protocols:
        units = Units(cohort.storage.root, protocol, cohort.config)
        scans = [scan for scan in cohort.scans if scan.protocol == protocol]
        states = [s for s in (_probe(scan, units, plan) for scan in scans) if s is not None]
        if states:
            _plan_models(plan, units, states)
            for state in states:
                _plan_scan(plan, units, state)
            _plan_subjects(plan, units, states)
    _refuse_what_cannot_fit(plan, cohort)
    return plan


def _probe(scan: Scan, units: Units, plan: Plan) -> ScanState | None:
    unit = units.ingest(scan)
    try:
        facts = ingest.probe(unit.item)
    except DataError as error:
        plan.quarantine.append(
            {
                "subject": scan.subject,
                "session": scan.session,
                "protocol": scan.protocol,
                "code": error.code,
                "message": error.message,
            }
        )
        return None
    t, c, z, y, x = facts["shape"]
    place = ScanPlace(units.root, scan.subject, scan.session)
    state = ScanState(scan, place, (t, c, z, y, x), "", None, facts["spacing_mm"])
    plan.add(unit.needs, "ingest", _hours("ingest", state), written=4 * t * c * z * y * x)
    return state


def _hours(stage: str, state: ScanState, channels: bool = True) -> float:
    t, c, z, y, x = state.shape
    return _RATES[stage] * t * z * y * x * (c if channels else 1) / 1e6 / 3600


def _count(plan: Plan, unit: Unit, hours: float = 0.0, written: int = 0) -> None:
    plan.add(unit.needs, unit.stage, hours, written)


def _plan_models(plan: Plan, units: Units, states: Sequence[ScanState]) -> None:
    chosen = chosen_references(units.config.teacher, states) or [(states[0], None)]
    hours = sum(_hours("som", state) for state, _ in chosen)
    passes = units.config.teacher.epochs + 3 if units.config.teacher.folds else 2
    _count(plan, units.teacher(chosen), passes * hours)
    if units.config.segment == "student":
        config = units.config.student
        reference = chosen[0][0]
        cohort = over_subjects([state.scan for state in states])[: config.cohort]
        teaching = [state for state in states if state.scan in cohort]
        looking = sum(_hours("student", state) for state in teaching)
        unit = student_unit(units, reference, 0, "", teaching)
        dimensions = 3 if units.volume_rule else 2
        steps = all_steps(dimensions, config.rounds, config.steps, cohort=bool(teaching))
        _count(plan, unit, looking + steps * config.workers * _STEP_SECONDS / 3600)


def _plan_scan(plan: Plan, units: Units, state: ScanState) -> None:
    _t, _, z, y, x = state.shape
    labels = {"som": "som", "student": "segment"}
    if units.config.segment == "som":
        del labels["student"]
    slabs = state.slabs()
    for label, stage in labels.items():
        groups = units.label_groups(label)
        for group in groups:
            _count(plan, units.open_labels(state, group, ""))
            _count(plan, units.close_labels(state, group, (), ""))
        hours = _hours(stage, state) / len(slabs)
        for where in slabs:
            written = len(groups) * (where[2] - where[1]) * y * x
            _count(plan, units.slab(state, label, where, ""), hours, written)
    _count(plan, units.drift(state, (), ""))
    rule = object_rule(units, [state.scan])
    if rule is not None:
        found = find_unit(units, state, rule, ("som", 0), "")
        _count(plan, found, _hours("objects", state), written=4 * z * y * x)
        plan.add(object_calls.CALL_NEEDS, "calls")
        if state.scan.truth is not None and "student" in labels:  # the baseline beside the student
            _count(plan, found, _hours("objects", state), written=4 * z * y * x)
    if "slices" in units.config.registration.pairs:
        _plan_slices(plan, units, state)
    _count(plan, units.publish(state, (), ""))
    if state.scan.truth is not None:
        for methods in (len(labels), 1):  # the masks as they are, then the objects
            hours = methods * _hours("truth", state, channels=False)
            plan.add(truth.needs(z * y * x), "truth", hours)


def _plan_slices(plan: Plan, units: Units, state: ScanState) -> None:
    slabs = state.slabs()
    hours = {stage: _hours(stage, state, False) / len(slabs) for stage in ("register", "residuals")}
    for where in slabs:
        _count(plan, slice_pairs(units, state, where), hours["register"])
        plan.add(residuals.needs(state.plane_bytes), "residuals", hours["residuals"])
    for t in range(state.shape[0]):
        _count(plan, slice_chain(units, state, t, ()))


def _plan_subjects(plan: Plan, units: Units, states: Sequence[ScanState]) -> None:
    subjects: dict[str, list[ScanState]] = {}
    for state in states:
        subjects.setdefault(state.scan.subject, []).append(state)
    for sessions in subjects.values():
        sessions.sort(key=lambda s: s.scan.order)
        if "sessions" in units.config.registration.pairs:
            _plan_sessions(plan, units, sessions)
        voxels = sum(s.shape[2] * s.shape[3] * s.shape[4] for s in sessions)
        needs = evolve.needs(max(s.slab_bytes for s in sessions), round(voxels * _LESION_SHARE))
        hours = sum(_hours("evolve", s, channels=False) for s in sessions)
        written = sum(4 * s.shape[0] * s.shape[2] * s.shape[3] * s.shape[4] for s in sessions)
        plan.add(needs, "evolve", hours, written)


def _plan_sessions(plan: Plan, units: Units, sessions: Sequence[ScanState]) -> None:
    """Count the pairs that always run; further ones come only where those contradict each other."""
    for a, b in first_pairs(len(sessions)):
        _count(plan, session_pair(units, sessions[a], sessions[b]), 10 / 3600)
    for fixed, moving in itertools.pairwise(sessions):
        needs = residuals.needs(max(fixed.plane_bytes, moving.plane_bytes))
        plan.add(needs, "residuals", _hours("residuals", fixed, channels=False))
    if len(sessions) > 2:
        _count(plan, bridge_unit(units, sessions, ()))
    if len(sessions) > 1:
        _count(plan, align_unit(units, sessions, ()))


def _refuse_what_cannot_fit(plan: Plan, cohort: Cohort) -> None:
    limit = cohort.config.resources.task_memory_mb * MIB
    worst = Counter({s.stage: s.peak_bytes for s in plan.stages.values() if s.peak_bytes > limit})
    if worst:
        wide = ", ".join(f"{stage} {size / MIB:.0f} MiB" for stage, size in worst.most_common())
        raise PlanError(
            f"the plan cannot fit: a task may take {limit / MIB:.0f} MiB "
            f"(resources.task_memory_mb), but needs are: {wide}; raise the limit if the nodes have "
            "the memory"
        )
