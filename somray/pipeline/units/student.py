"""The unit that trains a protocol's student."""

from collections.abc import Sequence

from somray.domain.work import Unit, digest_of
from somray.kernels.student.rounds.steps import all_steps
from somray.pipeline.digests import code_digest
from somray.pipeline.units.protocol import Units
from somray.pipeline.units.scan_state import ScanState
from somray.stages.student import fit as student
from somray.stages.student.lessons import LessonScan

__all__ = ["student_unit"]

STEPS_OF_A_SLICE = (
    0.2  # a slice of one channel that is looked at takes as long as so much of a step
)


def student_unit(
    units: Units,
    state: ScanState,
    reference: int,
    teacher_digest: str,
    cohort: Sequence[ScanState] = (),
    encoder: str | None = None,
) -> Unit:
    """Train the rounds from the reference scan's slice on, then over the cohort's scans; `encoder` names its start."""
    config, seed = units.config.student, units.cohort.seed
    target = units.config.teacher.target
    facts = [state.source_digest, reference, teacher_digest, target, seed]
    facts.append(config.model_dump(mode="json", exclude={"trainer", "confidence", "encoder"}))
    facts.append([scan.source_digest for scan in cohort])
    facts += [] if encoder is None else [encoder]
    digest = digest_of("student", units.protocol, code_digest("student"), *facts)
    item = student.StudentItem(
        LessonScan(state.place, state.level),
        units.protocol,
        reference,
        target,
        config,
        seed,
        digest,
        tuple(LessonScan(scan.place, scan.level) for scan in cohort),
    )
    scans = (state, *cohort)
    channels, voxels = state.shape[1], sum(map(units.student_voxels, scans))
    pixels = max(scan.tile_bytes for scan in scans) // (4 * channels)
    needs = student.needs(config, pixels, channels, voxels)
    looked_at = sum(scan.shape[1] * scan.slices() for scan in cohort)
    dimensions = 3 if units.volume_rule else 2
    steps = all_steps(dimensions, config.rounds, config.steps, cohort=bool(cohort))
    work = steps * config.workers + STEPS_OF_A_SLICE * looked_at
    name = units.protocol
    return units.unit("student", name, item, needs, [digest], of=state.scan, work=work)
