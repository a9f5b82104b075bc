"""Read what a student learns from: slices A, B, C … round the reference, then the cohort's images.

Where uptake is measured the student sees volumes (`student_volumes`); else slices, at the reference's pixel
size. The cohort's slices lie evenly spaced in scans spread over subjects, so that reading them costs the same
whatever the cohort's size. They are taught by direct transfer; on MR by the objects of heads, where there are
any. Of slices with more than a million pixels a window is learned from (`kernels.student.window`), the same of
A, B, C …, so that lessons stay small; agreement is measured there.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from somray.domain.brick import Brick
from somray.domain.run import ScanPlace
from somray.domain.teacher import NO_DATA, TeacherModel
from somray.errors import DataError
from somray.io.ome.image import read_meta
from somray.io.storage import Storage
from somray.kernels.features.view import ScanSlices
from somray.kernels.objects.found import DOUBT, LESION
from somray.kernels.objects.scan_rule import ScanRule, rule_for
from somray.kernels.student.rounds.lesson import Lesson
from somray.kernels.student.spacing import at_shape, shape_at
from somray.kernels.student.window import Window, lesson_window
from somray.kernels.teacher.apply import apply_teacher, scaled_windows
from somray.stages.reading.slices import read_seen
from somray.stages.reading.volume import Target, read_volumes
from somray.stages.student.cut_slices import taught_part
from somray.stages.student.volumes import (
    TaughtVolume,
    near_planes,
    plane_lesson,
    taught_lesson,
    taught_volume,
)

__all__ = ["Asked", "LessonScan", "outward", "read_lessons", "sees_volumes"]

COHORT_SLICES = 16
"""Slices that the cohort teaches, over all its scans."""
MAP_SLICES = 24
"""Slices of a scan that the map is asked about where its objects teach."""
COHORT_VOXELS = 2**24
"""Of the cohort's volumes together."""


@dataclass(frozen=True)
class LessonScan:
    """A scan that a student learns from.

    Args:
        place: where it lies.
        level: the scan's own level of uptake, where a channel is PET.
    """

    place: ScanPlace
    level: float | None = None


@dataclass(frozen=True)
class Asked:
    """What lessons are asked for.

    Args:
        reference: the scan of slice A.
        z: slice A.
        rounds: slices A, B, C … wanted.
        cohort: further scans for the cohort's round, the reference among them if it is to teach.
        target: class that is learned.
    """

    reference: LessonScan
    z: int
    rounds: int
    cohort: tuple[LessonScan, ...]
    target: str


def sees_volumes(rule: ScanRule) -> bool:
    """Tell whether a protocol's student sees volumes, on the grid of its objects; else slices."""
    return rule.has_uptake


def outward(reference: int, depth: int, count: int, step: int = 1) -> tuple[int, ...]:
    """List slices A, B, C …: the reference, then neighbours by distance, the upper one first."""
    known = range(reference % step, depth, step)
    order = sorted(known, key=lambda z: (abs(z - reference), z < reference))
    return tuple(order[:count])


def read_lessons(asked: Asked, teacher: TeacherModel) -> tuple[list[Lesson], tuple[int, ...]]:
    """Read all lessons of a student, and which slices A, B, C … are."""
    rule = rule_for(teacher.modality, teacher.channels)
    return _volumes(asked, teacher, rule) if sees_volumes(rule) else _slices(asked, teacher, rule)


# -- slices --------------------------------------------------------------------------------------


def _slices(
    asked: Asked, teacher: TeacherModel, rule: ScanRule
) -> tuple[list[Lesson], tuple[int, ...]]:
    meta = read_meta(Storage.at(asked.reference.place.root), asked.reference.place.name)
    chosen = outward(asked.z, meta.shape[2], asked.rounds)
    first, window = _labelled(asked, asked.reference, asked.z, teacher)
    further = (_labelled(asked, asked.reference, z, teacher, window)[0] for z in chosen[1:])
    lessons = [first, *further]
    each = max(1, COHORT_SLICES // max(1, len(asked.cohort)))
    for scan in asked.cohort[:COHORT_SLICES]:
        try:
            lessons += _taught(asked, scan, each, teacher, rule)
        except DataError as error:
            if error.code != "no_space":  # else its pixels are of no size that the map can label
                raise
    return lessons, chosen


def _labelled(
    asked: Asked,
    scan: LessonScan,
    z: int,
    teacher: TeacherModel,
    window: Window | None = None,
) -> tuple[Lesson, Window]:
    """Read a slice and label it by the teacher; return what is learned from, and which part of it that is."""
    meta = read_meta(Storage.at(scan.place.root), scan.place.name)
    if meta.is_cut:
        part = taught_part((scan.place, scan.level), z, teacher, asked.target, window)
        _, dy, dx = meta.geometry.spacing_mm
        whole = slice(0, part.mask.shape[0]), slice(0, part.mask.shape[1])
        lesson, _ = _lesson(part.image, part.mask, part.valid, (scan, (dy, dx), teacher), whole)
        return lesson, part.window
    seen, mask, valid = _by_teacher(asked, scan, z, teacher)
    of = scan, seen.spacing_mm, teacher
    return _lesson(seen.images[seen.inner[0]], mask, valid, of, window)


def _by_teacher(
    asked: Asked, scan: LessonScan, z: int, teacher: TeacherModel
) -> tuple[ScanSlices, NDArray[np.bool_], NDArray[np.bool_]]:
    """Return a slice as it is seen, the teacher's target (y, x) on it, and which pixels count."""
    seen = read_seen(scan.place, (0, z, z + 1), scan.level, teacher.dimensions)
    labels = apply_teacher(
        teacher,
        seen.images,
        seen.spacing_mm,
        scan.level,
        context=seen.context,
        spacing_z_mm=seen.spacing_z_mm,
    ).labels[0]
    return seen, labels == teacher.value_of(asked.target), labels != NO_DATA


def _lesson(
    image: NDArray[np.float32],
    mask: NDArray[np.bool_],
    valid: NDArray[np.bool_],
    of: tuple[LessonScan, tuple[float, float], TeacherModel],
    window: Window | None = None,
) -> tuple[Lesson, Window]:
    """Bring a slice, or the part of it that is worth most, to the pixel size of the teacher's reference."""
    scan, spacing_mm, teacher = of
    window = window or lesson_window(mask, valid)
    image, mask, valid = image[(slice(None), *window)], mask[window], valid[window]
    shape = shape_at((image.shape[1], image.shape[2]), spacing_mm, teacher.spacing_mm)
    share = at_shape(np.where(valid, mask, np.nan).astype(np.float32)[None], shape)[0]
    lesson = Lesson(
        values=np.ascontiguousarray(at_shape(image, shape)),
        target=np.nan_to_num(share),
        weight=np.isfinite(share).astype(np.float32),
        windows=scaled_windows(teacher, scan.level),
    )
    return lesson, window


def _taught(
    asked: Asked, scan: LessonScan, count: int, teacher: TeacherModel, rule: ScanRule
) -> list[Lesson]:
    """Read slices of a scan of the cohort, evenly spaced, with what teaches them."""
    meta = read_meta(Storage.at(scan.place.root), scan.place.name)
    depth = meta.shape[2]
    places = np.unique(((np.arange(count) + 0.5) * depth / count).astype(int))
    if rule.name == "intensity" and not meta.is_cut:
        found = _by_objects(asked, scan, places, (teacher, rule))
        if found is not None:
            return found
    lessons = [_labelled(asked, scan, int(z), teacher)[0] for z in places]
    return [replace(lesson, cohort=True) for lesson in lessons]


def _by_objects(
    asked: Asked, scan: LessonScan, places: NDArray[np.int64], by: tuple[TeacherModel, ScanRule]
) -> list[Lesson] | None:
    """Let a scan's objects teach its slices; None where the map's word stands."""
    teacher, rule = by
    meta = read_meta(Storage.at(scan.place.root), scan.place.name)
    size_mm = rule.grid_mm(meta.geometry.shape, meta.geometry.spacing_mm)
    target = _map_of(asked, scan, meta.shape[2], teacher)
    seen = read_volumes(scan.place, (size_mm,), 0, target)[0]
    found = rule.find(seen.means, seen.grid)
    if found.keeps_mask:
        return None
    calls = {o.number: o.called for o in found.objects}
    lesions = [n for n, call in calls.items() if call == LESION]
    doubts = [n for n, call in calls.items() if call == DOUBT]
    _, dy, dx = seen.meta.geometry.spacing_mm
    lessons = []
    for z in places:
        image = read_seen(scan.place, (0, int(z), int(z) + 1), scan.level).images[0]
        drawn = seen.grid.draw(found.labels, int(z), int(z) + 1)[0]
        valid = np.isfinite(image).all(axis=0) & ~np.isin(drawn, doubts)
        of = scan, (dy, dx), teacher
        lesson, _ = _lesson(image, np.isin(drawn, lesions), valid, of)
        lessons.append(replace(lesson, cohort=True))
    return lessons


def _map_of(asked: Asked, scan: LessonScan, depth: int, teacher: TeacherModel) -> Target:
    """Return what the map says of a scan, read on evenly spaced slices and taken from the nearest."""
    count = min(MAP_SLICES, depth)
    known = ((np.arange(count) + 0.5) * depth / count).astype(int)
    masks = [_by_teacher(asked, scan, int(z), teacher)[1] for z in known]

    def read(box: Brick) -> NDArray[np.float32]:
        nearest = [int(np.argmin(np.abs(known - z))) for z in range(box.z0, box.z1)]
        return np.stack([masks[n] for n in nearest]).astype(np.float32)

    return read


# -- volumes -------------------------------------------------------------------------------------


def _volumes(
    asked: Asked, teacher: TeacherModel, rule: ScanRule
) -> tuple[list[Lesson], tuple[int, ...]]:
    def read(scan: LessonScan) -> TaughtVolume:
        return taught_volume(scan.place, rule, teacher.windows)

    first = read(asked.reference)
    step = first.seen.grid.factors[0]
    chosen = outward(asked.z, first.seen.meta.shape[2], asked.rounds, step)
    lessons = near_planes([_plane(asked, first, z, teacher) for z in chosen])
    voxels = 0
    for scan in asked.cohort:
        lesson = taught_lesson(first if scan == asked.reference else read(scan))
        voxels += lesson.target.size
        if voxels > COHORT_VOXELS:
            break
        lessons.append(lesson)
    return lessons, chosen


def _plane(asked: Asked, taught: TaughtVolume, z: int, teacher: TeacherModel) -> Lesson:
    _, mask, valid = _by_teacher(asked, asked.reference, z, teacher)
    return plane_lesson(taught, z, mask, valid)
