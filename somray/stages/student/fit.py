"""Train a protocol's student: rounds A, A+B, A+B+C … outward from the reference slice, then on the cohort."""

from dataclasses import dataclass, replace
from typing import Any

from somray.config import PRETRAINED, StudentConfig
from somray.domain.run import RunLayout, ScanPlace
from somray.domain.tables import AgreementRow, ConvergenceRow, TrainingRow
from somray.domain.work import MIB, WORKER_BYTES, Needs, Result
from somray.errors import DataError, ShapeError, StoreError
from somray.io import models
from somray.io.storage import Storage
from somray.kernels.objects.scan_rule import rule_for
from somray.kernels.student.rounds.spec import StudentSpec, Weights, network_of
from somray.kernels.student.shape import NetworkShape
from somray.kernels.student.window import MOST_PIXELS
from somray.stages.student.lessons import (
    COHORT_SLICES,
    COHORT_VOXELS,
    Asked,
    LessonScan,
    read_lessons,
    sees_volumes,
)
from somray.stages.student.training import StudentTraining
from somray.stages.training import TrainingShared, weights_digest

__all__ = ["StudentItem", "needs", "run"]

READ_PLANES = 12
"""Times its bytes that a slice takes while it is read and labelled, beyond what its lesson takes."""
VOXEL_BYTES = 24
"""Held of each of the cohort's voxels: values, target, weight, and where patches may lie."""


@dataclass(frozen=True)
class StudentItem:
    """What a protocol's student learns from.

    Args:
        scan: the reference scan.
        protocol: name of the protocol.
        reference: reference slice (A).
        target: class that the student learns.
        config: rounds, steps, tolerance, threads.
        seed: of initial weights and sampling.
        digest: of everything that decides the result; names the checkpoints.
        cohort: scans of the cohort's round.
    """

    scan: LessonScan
    protocol: str
    reference: int
    target: str
    config: StudentConfig
    seed: int
    digest: str
    cohort: tuple[LessonScan, ...] = ()

    @property
    def place(self) -> ScanPlace:
        """The reference scan's."""
        return self.scan.place


def needs(config: StudentConfig, slice_pixels: int, channels: int, volume_voxels: int = 0) -> Needs:
    """Declare what training takes: activations of a batch, the lessons, one predicted, one slice read.

    Args:
        config: rounds, threads.
        slice_pixels: of one slice of a brick, of the largest scan that takes part.
        channels: of the protocol.
        volume_voxels: on the coarse grid, of all scans together; 0 for a student that sees slices.
    """
    learned = 4 * channels * min(slice_pixels, MOST_PIXELS)
    read = READ_PLANES * 4 * channels * max(0, slice_pixels - MOST_PIXELS)
    slices = (6 * (config.rounds + COHORT_SLICES) + 60) * learned + read
    volumes = VOXEL_BYTES * 4 * min(volume_voxels, COHORT_VOXELS)
    held = volumes if volume_voxels else slices
    return Needs(cpus=config.threads, memory_bytes=WORKER_BYTES + 500 * MIB + held)


def run(item: StudentItem, shared: TrainingShared) -> Result:
    """Train all rounds, store the student, report agreement with the teacher (not accuracy).

    Returns:
        Rows of `agreement`, `convergence`, `training`; value: digest of the weights.
    """
    storage, teacher, config = Storage.at(item.place.root), shared.teacher, item.config
    asked = Asked(item.scan, item.reference, config.rounds, item.cohort, item.target)
    lessons, chosen = read_lessons(asked, teacher)
    rule = rule_for(teacher.modality, teacher.channels)
    spec = StudentSpec(
        channels=teacher.channels,
        kinds=rule.kinds,
        windows=lessons[0].windows or teacher.windows,
        dimensions=3 if sees_volumes(rule) else 2,
        rounds=config.rounds,
        tolerance=config.tolerance,
        steps=config.steps,
        threads=config.threads,
        seed=item.seed,
        target=item.target,
        spacing_mm=teacher.spacing_mm,
    )
    kept = RunLayout.states(item.protocol)
    start, begun = _start(item, spec)
    training = StudentTraining(lessons, spec, start)
    result = shared.train(training, name=item.digest[:16], storage_path=storage.uri(kept))
    scans = {"cohort_scans": len(item.cohort), "trainer": shared.trainer, **begun}
    model = replace(result.model, history={**result.model.history, **scans})
    models.write_student(storage, item.protocol, model)
    storage.remove(kept)  # the student stands: nobody goes on from there
    return Result(rows=_rows(item, chosen, result), value={"digest": weights_digest(model.weights)})


def _start(item: StudentItem, spec: StudentSpec) -> tuple[Weights | None, dict[str, str]]:
    """Return the weights that a student starts from, and what its history tells of them.

    Raises:
        DataError: there is no such encoder, or it fits no student of this protocol.
    """
    named = item.config.encoder
    if named is None:
        return None, {}
    from somray.kernels.pretrain.networks.backbone import student_start  # torch: only here

    try:
        if named == PRETRAINED:
            model = models.read_encoder(Storage.at(item.place.root), item.protocol)
        else:
            model = models.read_encoder_file(named)
        start = student_start(model, NetworkShape.of(network_of(spec)))
    except (ShapeError, StoreError) as error:
        raise DataError("not_fittable", f"student.encoder: {error}") from error
    words = f"an encoder pretrained on {model.target} of {model.history.get('scans', '?')} scans"
    return start, {"start": words}


def _rows(item: StudentItem, chosen: tuple[int, ...], result: Any) -> dict[str, Any]:
    place = item.place
    agreement = []
    for found in result.agreement:
        facts = {k: v for k, v in found.items() if k != "slice"}
        z = chosen[found["slice"]]
        agreement.append(AgreementRow(place.subject, place.session, t=0, z=z, **facts))
    return {
        "agreement": agreement,
        "convergence": [ConvergenceRow(**found) for found in result.convergence],
        "training": [TrainingRow(**found) for found in result.training],
    }
