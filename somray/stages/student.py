"""Train a protocol's student: rounds A, A+B, A+B+C … outward from the reference slice, then over further scans."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from somray.config import StudentConfig
from somray.domain.run import RunLayout, ScanPlace
from somray.domain.tables import AgreementRow, ConvergenceRow, TrainingRow
from somray.domain.teacher import TeacherModel
from somray.domain.work import MIB, WORKER_BYTES, Needs, Result
from somray.io import models
from somray.io.storage import Storage
from somray.kernels.student.centroids import centroids_of
from somray.kernels.student.lesson import Lesson
from somray.kernels.student.spec import StudentSpec
from somray.stages.student_lessons import LessonScan, LessonSlice, choose_slices, read_lesson

__all__ = ["StudentItem", "StudentShared", "needs", "run"]


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
        further: scans that the last rounds take a slice of.
    """

    scan: LessonScan
    protocol: str
    reference: int
    target: str
    config: StudentConfig
    seed: int
    digest: str
    further: tuple[LessonScan, ...] = ()

    @property
    def place(self) -> ScanPlace:
        """The reference scan's."""
        return self.scan.place


@dataclass(frozen=True)
class StudentShared:
    """The teacher, and how training is run where the executor is.

    Args:
        teacher: the protocol's fitted teacher.
        train: as `kernels.student.rounds.train_rounds`, with `name` and `storage_path` for checkpoints.
        trainer: what the training is run by, in words for the model's history.
    """

    teacher: TeacherModel
    train: Callable[..., Any]
    trainer: str = ""


def needs(config: StudentConfig, slice_bytes: int, slab_bytes: int = 0) -> Needs:
    """Declare what training takes: activations of a batch, the slices with their inputs, one predicted.

    Args:
        config: rounds, neighbours, threads.
        slice_bytes: of one slice with all channels, of the largest scan that takes part.
        slab_bytes: of one slab, where further scans are searched for their most worthwhile slice.
    """
    held = 60 + 4 * config.neighbours  # planes of a noisy slice, and what it is made worse from
    return Needs(
        cpus=config.threads,
        memory_bytes=WORKER_BYTES
        + 300 * MIB
        + max((held * config.rounds + 120) * slice_bytes, 2 * slab_bytes),
    )


def run(item: StudentItem, shared: StudentShared) -> Result:
    """Train all rounds, store the student, report agreement with the teacher (not accuracy).

    Returns:
        Rows of `agreement`, `convergence`, `training`; value: digest of the weights.
    """
    storage = Storage.at(item.place.root)
    reference = LessonSlice(item.scan, item.reference)
    chosen = choose_slices(reference, item.further, item.config.rounds, shared.teacher)
    lessons = [read_lesson(z, shared.teacher, item.target, item.config) for z in chosen]
    spec = StudentSpec(
        channels=shared.teacher.channels,
        windows=lessons[0].windows or shared.teacher.windows,
        feature_names=shared.teacher.features,
        rounds=item.config.rounds,
        tolerance=item.config.tolerance,
        steps=item.config.steps,
        threads=item.config.threads,
        seed=item.seed,
        target=item.target,
        spacing_mm=lessons[0].spacing_mm or shared.teacher.spacing_mm,
        neighbours=item.config.neighbours,
        labels=item.config.labels,
        **_beginning(item, shared.teacher, lessons[0]),
    )
    kept = f"{RunLayout.training}/{item.protocol}"
    result = shared.train(lessons, spec, name=item.digest[:16], storage_path=storage.uri(kept))
    history = _history(item, shared, result.model.history)
    models.write_student(storage, item.protocol, replace(result.model, history=history))
    storage.remove(kept)  # the student stands: nobody goes on from there
    return Result(rows=_rows(chosen, result), value={"digest": _digest(result.model.weights)})


def _history(
    item: StudentItem, shared: StudentShared, told: Mapping[str, Any]
) -> dict[str, Any]:  # Any: JSON
    """Add to what the rounds say of themselves where they came from and who ran them."""
    asked, scans = item.config.scans, 1 + len(item.further)
    few = f"{asked} scans asked, slices of {scans} taken" if asked not in ("all", scans) else ""
    note = "; ".join(part for part in (str(told["note"]), few) if part)
    return {**told, "note": note, "scans": scans, "trainer": shared.trainer}


def _beginning(item: StudentItem, teacher: TeacherModel, first: Lesson) -> dict[str, Any]:
    """Say what the student starts from: the teacher's centroids, unless labels alone are asked for."""
    target = teacher.value_of(item.target)
    start = centroids_of(teacher, target) if item.config.start == "centroids" else None
    there = [] if first.classes is None else [int(v) for v in np.unique(first.classes[first.known])]
    classes = tuple(there) if target in there and len(there) > 1 else ()
    return {"start": start, "classes": classes, "target_value": target}


def _rows(chosen: Sequence[LessonSlice], result: Any) -> dict[str, Any]:
    agreement = []
    for found in result.agreement:
        facts = {k: v for k, v in found.items() if k != "slice"}
        lesson = chosen[found["slice"]]
        place = lesson.scan.place
        agreement.append(AgreementRow(place.subject, place.session, t=0, z=lesson.z, **facts))
    return {
        "agreement": agreement,
        "convergence": [ConvergenceRow(**found) for found in result.convergence],
        "training": [TrainingRow(**found) for found in result.training],
    }


def _digest(weights: Mapping[str, NDArray[Any]]) -> str:
    """Hash the weights in name order."""
    found = hashlib.sha256()
    for name in sorted(weights):
        found.update(name.encode())
        found.update(np.ascontiguousarray(weights[name]).tobytes())
    return found.hexdigest()[:32]
