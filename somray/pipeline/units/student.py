"""The unit that trains a protocol's student."""

from collections.abc import Sequence

from somray.domain.work import Unit, digest_of
from somray.pipeline.digests import code_digest
from somray.pipeline.units.protocol import ScanState, Units
from somray.stages.student import fit as student
from somray.stages.student.lessons import LessonScan

__all__ = ["student_unit"]


def student_unit(
    units: Units,
    state: ScanState,
    reference: int,
    teacher_digest: str,
    cohort: Sequence[ScanState] = (),
) -> Unit:
    """Train the rounds from the reference scan's slice on, then over the cohort's scans."""
    config, seed = units.config.student, units.cohort.seed
    target = units.config.teacher.target
    facts = [state.source_digest, reference, teacher_digest, target, seed]
    facts.append(config.model_dump(mode="json", exclude={"trainer", "confidence"}))
    facts.append([scan.source_digest for scan in cohort])
    digest = digest_of("student", units.protocol, code_digest(), *facts)
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
    slice_bytes = max(scan.slice_bytes for scan in scans)
    needs = student.needs(config, slice_bytes, sum(map(units.student_voxels, scans)))
    return units.unit("student", units.protocol, item, needs, digest)
