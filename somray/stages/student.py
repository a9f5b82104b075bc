"""Train a protocol's student: rounds A, A+B, A+B+C … outward from the reference slice."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from somray.config import StudentConfig
from somray.domain.run import RunLayout, ScanPlace
from somray.domain.tables import AgreementRow, ConvergenceRow, TrainingRow
from somray.domain.teacher import NO_DATA, TeacherModel
from somray.domain.work import MIB, WORKER_BYTES, Needs, Result
from somray.io import models
from somray.io.ome_zarr import read_meta
from somray.io.storage import Storage
from somray.kernels.student.lesson import lessons_of
from somray.kernels.student.rounds import StudentSpec
from somray.kernels.teacher_apply import apply_teacher, scaled_windows
from somray.stages.scan_slices import read_seen

__all__ = ["StudentItem", "StudentShared", "needs", "outward", "run"]


@dataclass(frozen=True)
class StudentItem:
    """What a protocol's student learns from.

    Args:
        place: the reference scan.
        protocol: name of the protocol.
        reference: reference slice (A).
        target: class that the student learns.
        config: rounds, steps, tolerance, threads.
        seed: of initial weights and sampling.
        digest: of everything that decides the result; names the checkpoints.
        level: the scan's own level of uptake, where a channel is PET.
    """

    place: ScanPlace
    protocol: str
    reference: int
    target: str
    config: StudentConfig
    seed: int
    digest: str
    level: float | None = None


@dataclass(frozen=True)
class StudentShared:
    """The teacher, and how training is run where the executor is.

    Args:
        teacher: the protocol's fitted teacher.
        train: as `kernels.student.rounds.train_rounds`, with `name` and `storage_path` for checkpoints.
    """

    teacher: TeacherModel
    train: Callable[..., Any]


def needs(config: StudentConfig, slice_bytes: int) -> Needs:
    """Declare what training takes: activations of a batch, the slices with their features."""
    return Needs(
        cpus=config.threads,
        memory_bytes=WORKER_BYTES + 300 * MIB + 30 * slice_bytes * config.rounds,
    )


def outward(reference: int, depth: int, count: int) -> tuple[int, ...]:
    """List slices A, B, C …: the reference, then neighbours by distance, the upper one first."""
    order = sorted(range(depth), key=lambda z: (abs(z - reference), z < reference))
    return tuple(order[:count])


def run(item: StudentItem, shared: StudentShared) -> Result:
    """Train all rounds, store the student, report agreement with the teacher (not accuracy).

    Returns:
        Rows of `agreement`, `convergence`, `training`; value: digest of the weights.
    """
    storage = Storage.at(item.place.root)
    meta = read_meta(storage, item.place.name)
    chosen = outward(item.reference, meta.shape[2], item.config.rounds)
    first, last = min(chosen), max(chosen) + 1  # neighbours: no slice between is left out
    seen = read_seen(item.place, (0, first, last), item.level, shared.teacher.dimensions)
    spacing = (meta.geometry.spacing_mm[1], meta.geometry.spacing_mm[2])
    order = np.array(chosen) - first
    images = seen.images[slice(*seen.inner)][order]
    labels = apply_teacher(
        shared.teacher,
        seen.images,
        seen.spacing_mm,
        seen.level,
        context=seen.context,
        spacing_z_mm=seen.spacing_z_mm,
    ).labels[order]
    kept = f"{RunLayout.training}/{item.protocol}"
    result = shared.train(
        lessons_of(images, labels == shared.teacher.value_of(item.target), labels != NO_DATA),
        _spec(item, shared.teacher, spacing),
        name=item.digest[:16],
        storage_path=storage.uri(kept),
    )
    models.write_student(storage, item.protocol, result.model)
    storage.remove(kept)  # the student stands: nobody goes on from there
    return Result(rows=_rows(item, chosen, result), value={"digest": _digest(result.model.weights)})


def _spec(item: StudentItem, teacher: TeacherModel, spacing: tuple[float, float]) -> StudentSpec:
    return StudentSpec(
        channels=teacher.channels,
        windows=scaled_windows(teacher, item.level),
        feature_names=teacher.features,
        rounds=item.config.rounds,
        tolerance=item.config.tolerance,
        steps=item.config.steps,
        threads=item.config.threads,
        seed=item.seed,
        target=item.target,
        spacing_mm=spacing,
    )


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


def _digest(weights: Mapping[str, NDArray[Any]]) -> str:
    """Hash the weights in name order."""
    found = hashlib.sha256()
    for name in sorted(weights):
        found.update(name.encode())
        found.update(np.ascontiguousarray(weights[name]).tobytes())
    return found.hexdigest()[:32]
