"""Volumes for a student that sees three dimensions: where uptake is measured, on a coarse grid of its own.

The rounds A, B, C … are planes of the reference scan's volume, with the SOM's word on each; the cohort's round
has the volumes of many scans, with what the object step keeps of each: lesions are target, all else is not,
whatever takes up tracer there.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from somray.domain.run import ScanPlace
from somray.domain.student import StudentModel
from somray.kernels.metrics.overlap import bounding_box
from somray.kernels.objects.found import LESION
from somray.kernels.objects.grid import BlockMeans
from somray.kernels.objects.scan_rule import ScanRule
from somray.kernels.objects.uptake.find import GRID_MM as UPTAKE_GRID_MM
from somray.kernels.objects.uptake.find import uptake_unit
from somray.kernels.student.rounds.lesson import Lesson
from somray.kernels.student.views import SOFT_HU, Window
from somray.stages.reading.volume import ScanVolume, read_volumes

__all__ = [
    "VOLUME_MM",
    "TaughtVolume",
    "near_planes",
    "plane_lesson",
    "taught_lesson",
    "taught_volume",
    "volume_chance",
    "volume_windows",
]

VOLUME_MM = 6.0
"""Blocks that a student of volumes sees: about what PET resolves (benchmarks/LOG.md)."""
MOST_VOXELS = 2**22
"""Of one scan's lesson; a whole body has about a fifth."""
PLANES_BESIDE = 24
"""Planes kept on either side of A, B, C: more than a logit sees."""


@dataclass(frozen=True, eq=False)
class TaughtVolume:
    """A scan's volume with what the object step keeps of it.

    Args:
        seen: on the student's grid.
        target: (z, y, x) float32, share of each block that is lesion.
        weight: (z, y, x) float32, 0 where it has no data.
        windows: per channel; uptake counts in the scan's own unit.
    """

    seen: ScanVolume
    target: NDArray[np.float32]
    weight: NDArray[np.float32]
    windows: tuple[Window, ...]


def taught_volume(place: ScanPlace, rule: ScanRule, windows: tuple[Window, ...]) -> TaughtVolume:
    """Read a scan once, find its objects, and lay them on the student's grid.

    Args:
        place: the scan.
        rule: that finds its objects.
        windows: per channel, of the protocol.
    """
    fine, seen = read_volumes(place, (UPTAKE_GRID_MM, VOLUME_MM), 0)
    found = rule.find(fine.means, fine.grid)
    lesions = [o.number for o in found.objects if o.called == LESION]
    lesion = fine.grid.onto(np.isin(found.labels, lesions).astype(np.float32), seen.grid)
    known: NDArray[np.bool_] = np.asarray(np.isfinite(seen.means[:-1]).all(axis=0))
    weight = known.astype(np.float32)
    own = volume_windows(seen.means[:-1], rule.kinds, windows)
    return TaughtVolume(seen, lesion, weight, own)


def volume_windows(
    means: NDArray[np.float32], kinds: tuple[str, ...], windows: tuple[Window, ...]
) -> tuple[Window, ...]:
    """Return each channel's window for one scan: uptake counts in the body's own unit, CT shows soft tissue.

    Args:
        means: (c, z, y, x) channels on a coarse grid.
        kinds: what each measures; one of them PET.
        windows: of the protocol, for what is neither.
    """
    own = {"PET": (0.0, uptake_unit(means, kinds)), "CT": SOFT_HU}
    return tuple(own.get(kind, window) for kind, window in zip(kinds, windows, strict=True))


def volume_chance(
    model: StudentModel, seen: ScanVolume, rule: ScanRule, device: str = "cpu"
) -> NDArray[np.float32]:
    """Let a student see a volume on its grid: (z, y, x) probabilities."""
    from somray.kernels.student.predict import predict_student  # torch: only here

    windows = volume_windows(seen.means[:-1], rule.kinds, model.windows)
    found: NDArray[np.float32] = predict_student(
        model, seen.means[None, :-1], windows, device=device
    )[0]
    return found


def taught_lesson(taught: TaughtVolume) -> Lesson:
    """Make the cohort's lesson of one scan; of one that is too large, the part round its lesions."""
    box = _box(taught.weight > 0, taught.target >= 0.5)
    values = np.ascontiguousarray(taught.seen.means[:-1][(slice(None), *box)])
    target, weight = (np.ascontiguousarray(part[box]) for part in (taught.target, taught.weight))
    return Lesson(values, target, weight, taught.windows, cohort=True)


def plane_lesson(
    taught: TaughtVolume, z: int, mask: NDArray[np.bool_], valid: NDArray[np.bool_]
) -> Lesson:
    """Make the lesson of one slice: the whole volume, of which one plane counts.

    Args:
        taught: the reference scan.
        z: slice of the scan.
        mask: (y, x) the SOM's target there.
        valid: (y, x) pixels that count.
    """
    blocks = BlockMeans(taught.seen.grid, 1)
    plane = np.where(valid, mask, np.nan).astype(np.float32)
    blocks.add(plane[None, None], z)
    share = blocks.finish()[0]
    weight = np.isfinite(share).astype(np.float32)
    return Lesson(taught.seen.means[:-1], np.nan_to_num(share), weight, taught.windows)


def near_planes(lessons: list[Lesson]) -> list[Lesson]:
    """Cut lessons of one volume to what lies near their planes; they go on sharing their values."""
    together = np.logical_or.reduce([lesson.weight > 0 for lesson in lessons])
    box = [
        slice(max(0, span.start - PLANES_BESIDE), min(size, span.stop + PLANES_BESIDE))
        for span, size in zip(bounding_box(together), together.shape, strict=True)
    ]
    values = np.ascontiguousarray(lessons[0].values[(slice(None), *box)])
    return [
        replace(
            lesson,
            values=values,
            target=np.ascontiguousarray(lesson.target[tuple(box)]),
            weight=np.ascontiguousarray(lesson.weight[tuple(box)]),
        )
        for lesson in lessons
    ]


def _box(known: NDArray[np.bool_], target: NDArray[np.bool_]) -> tuple[slice, ...]:
    """Return the box of what is known, cut along its first axis where it is too large."""
    box = list(bounding_box(known)) if known.any() else [slice(0, 1)] * 3
    height = box[0].stop - box[0].start
    plane = (box[1].stop - box[1].start) * (box[2].stop - box[2].start)
    most = max(1, MOST_VOXELS // plane)
    if height > most:
        rows = np.flatnonzero(target.any(axis=(1, 2)))
        middle = int(rows.mean()) if len(rows) else (box[0].start + box[0].stop) // 2
        first = int(np.clip(middle - most // 2, box[0].start, box[0].stop - most))
        box[0] = slice(first, first + most)
    return tuple(box)
