"""Read the slices that a student's rounds go through, with what the teacher says of them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from somray.config import StudentConfig
from somray.domain.run import ScanPlace
from somray.domain.teacher import NO_DATA, TeacherModel
from somray.io.ome_zarr import read_meta
from somray.io.storage import Storage
from somray.kernels.student.lesson import Lesson
from somray.kernels.target_membership import target_membership
from somray.kernels.teacher_apply import apply_teacher, scaled_windows
from somray.stages.reference_slices import most_worthwhile
from somray.stages.scan_slices import read_beside, read_seen

__all__ = ["LessonScan", "LessonSlice", "choose_slices", "outward", "read_lesson"]


@dataclass(frozen=True)
class LessonScan:
    """A scan that rounds take slices from.

    Args:
        place: where it lies.
        level: the scan's own level of uptake, where a channel is PET.
    """

    place: ScanPlace
    level: float | None = None


@dataclass(frozen=True)
class LessonSlice:
    """A slice z of a scan, at its first time point."""

    scan: LessonScan
    z: int


def outward(reference: int, depth: int, count: int) -> tuple[int, ...]:
    """List slices A, B, C …: the reference, then neighbours by distance, the upper one first."""
    order = sorted(range(depth), key=lambda z: (abs(z - reference), z < reference))
    return tuple(order[:count])


def choose_slices(
    reference: LessonSlice,
    further: tuple[LessonScan, ...],
    rounds: int,
    teacher: TeacherModel,
) -> list[LessonSlice]:
    """Choose the slices of the rounds in their order.

    Args:
        reference: slice A.
        further: scans that each give their most worthwhile slice to one of the last rounds; fewer
            than there are rounds.
        rounds: rounds asked for.
        teacher: decides what is worthwhile: its modality, its windows at each scan's level.

    Returns:
        A, its neighbours outward, then a slice of each further scan; fewer than `rounds` where the
        reference scan has too few slices.
    """
    depth = read_meta(Storage.at(reference.scan.place.root), reference.scan.place.name).shape[2]
    own = outward(reference.z, depth, rounds - len(further))
    found = [LessonSlice(reference.scan, z) for z in own]
    for scan in further:
        windows = scaled_windows(teacher, scan.level)
        z = most_worthwhile(scan.place, teacher.modality, windows, teacher.channels, scan.level)
        found.append(LessonSlice(scan, z))
    return found


def read_lesson(
    wanted: LessonSlice, teacher: TeacherModel, target: str, config: StudentConfig
) -> Lesson:
    """Read a slice as its scan has it, and label it by the teacher.

    Args:
        wanted: the slice.
        teacher: of the protocol.
        target: class that the student learns.
        config: neighbours that are seen, and what of the teacher's labels is learned.
    """
    place, level, z = wanted.scan.place, wanted.scan.level, wanted.z
    seen = read_seen(place, (0, z, z + 1), level, teacher.dimensions)
    labels = apply_teacher(
        teacher,
        seen.images,
        seen.spacing_mm,
        level,
        context=seen.context,
        spacing_z_mm=seen.spacing_z_mm,
    ).labels
    value = teacher.value_of(target)
    soft = config.labels == "soft"
    return Lesson(
        image=seen.images[seen.inner[0]],
        teacher=labels[0] == value,
        valid=labels[0] != NO_DATA,
        windows=scaled_windows(teacher, level),
        spacing_mm=seen.spacing_mm,
        around=_around(place, z, config.neighbours),
        membership=target_membership(teacher, seen, labels, value)[0] if soft else None,
        classes=labels[0] if config.labels == "classes" else None,
    )


def _around(place: ScanPlace, z: int, reach: int) -> NDArray[np.float32] | None:
    """Read the slices (2 reach, c, y, x) on either side."""
    around = read_beside(place, (0, z, z + 1), reach)[1]
    return None if around is None else around[0]
