"""Follow the lesions of one subject: instances, one identity each over all sessions, what changed.

Objects that were called lesion (or the masks themselves, where a modality has no object step) are read slab
by slab: once to find what belongs together, once more to measure and to write `labels/lesions`. What stays in
memory are the coordinates of lesion voxels, never a volume.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from somray.config import LesionConfig
from somray.domain.geometry import Geometry
from somray.domain.run import ScanPlace
from somray.domain.tables import EvolutionRow, LinkRow, values_for
from somray.domain.work import WORKER_BYTES, Needs, Result
from somray.io.ome.image import create_labels, finish_labels, read_label_slab, read_meta, slabs
from somray.io.storage import Storage
from somray.kernels.evolution.follow import (
    ChangeThresholds,
    SessionLesions,
    follow,
)
from somray.kernels.evolution.surroundings import doubted
from somray.kernels.evolution.time_points import carry_over_time, with_identities
from somray.kernels.lesions.instances import SlabLabeller, sparse_voxels
from somray.kernels.lesions.surface import BLOCK_VOXELS
from somray.stages.evolution.burden import MeasuredSession, burden_rows
from somray.stages.evolution.lesion_labels import SessionScan, write_time_point
from somray.stages.evolution.surroundings import POINTS_AT_ONCE, surroundings
from somray.stages.objects import GROUP as OBJECTS
from somray.stages.registration.rows import matrix_of

__all__ = ["EvolveItem", "EvolveSession", "needs", "run", "thresholds_of"]

# Where the configuration names none, in voxels and pixels of the subject's coarsest session.
MIN_VOXELS = 5  # of a lesion: less is noise of a pixel map
FLOOR_VOXELS = 20  # of a change
REACH_PIXELS = 5.0  # of a lesion's centroid between sessions


@dataclass(frozen=True)
class EvolveSession:
    """One session of the subject.

    Args:
        place: the scan.
        to_first: 16 numbers, row-major 4×4 LPS mm of this session to the first; None when refused.
        objects: per time index the numbers in `labels/objects` that were called lesion; None where lesions
            are what the method's mask draws.
    """

    place: ScanPlace
    to_first: tuple[float, ...] | None
    objects: tuple[tuple[int, ...], ...] | None = None


@dataclass(frozen=True)
class EvolveItem:
    """One subject of a protocol.

    Args:
        sessions: in time order.
        method: som or student, whose mask is followed.
        value: label value of the target in that method's label group.
        channel: index of the channel whose intensities are measured.
        config: thresholds.
        apart: whether every object is one lesion, however it touches others; else what is connected is one.
    """

    sessions: tuple[EvolveSession, ...]
    method: str
    value: int
    channel: int
    config: LesionConfig
    apart: bool = True


def needs(slab_bytes: int, lesion_voxels: int) -> Needs:
    """Declare what following takes: a few slabs, the coordinates of all lesion voxels, and shells."""
    held = 12 * slab_bytes + 250 * lesion_voxels + 150 * POINTS_AT_ONCE + 4 * BLOCK_VOXELS
    return Needs(cpus=1, memory_bytes=WORKER_BYTES + held)


def run(item: EvolveItem, shared: object = None) -> Result:
    """Find, identify, measure and write the lesions.

    Returns:
        Rows of `lesions`, `evolution`, `links`, `burden`, `porosity` and, for the method `lesions`, of `slices`.
    """
    storage = Storage.at(item.sessions[0].place.root)
    scans = [SessionScan(storage, s.place, read_meta(storage, s.place.name)) for s in item.sessions]
    found = [_instances(scan, s, item) for scan, s in zip(scans, item.sessions, strict=True)]
    transforms = [matrix_of(s.to_first) for s in item.sessions]
    thresholds = thresholds_of(item.config, [scan.meta.geometry for scan in scans])
    evolution = follow(found, transforms, thresholds)
    changes = doubted(evolution.changes, surroundings(evolution, scans))
    highest = max((i for ids in evolution.identities for i in ids.values()), default=0)
    measured: list[MeasuredSession] = []
    for n, scan in enumerate(scans):
        session = item.sessions[n]
        create_labels(storage, scan.place.name, "lesions", "int32")
        at_zero = with_identities(found[n], evolution.identities[n])
        points = [write_time_point(scan, 0, item.channel, at_zero)]
        for t in range(1, scan.meta.shape[0]):
            later = _instances(scan, session, item, t)
            ids, highest = carry_over_time(at_zero, later, thresholds.min_volume_mm3, highest)
            points.append(write_time_point(scan, t, item.channel, with_identities(later, ids)))
        finish_labels(storage, scan.place.name, "lesions", {})
        measured.append(MeasuredSession(scan, session.to_first is not None, points))
    subject, points = item.sessions[0].place.subject, [p for one in measured for p in one.points]
    return Result(
        rows={
            "lesions": [row for point in points for row in point.rows],
            "slices": [row for point in points for row in point.slices],
            "porosity": [row for point in points for row in point.porosity],
            "evolution": [
                EvolutionRow(subject=subject, **values_for(EvolutionRow, c)) for c in changes
            ],
            "links": [LinkRow(subject=subject, **values_for(LinkRow, k)) for k in evolution.links],
            "burden": burden_rows(measured, item.channel, changes, item.config),
        }
    )


def thresholds_of(config: LesionConfig, grids: Sequence[Geometry]) -> ChangeThresholds:
    """Choose one set of thresholds for all sessions of a subject.

    What the configuration leaves out follows the coarsest session, so that a lesion of one size counts in
    all of them or in none.
    """
    voxel_mm3 = max(grid.voxel_mm3 for grid in grids)
    pixel_mm = max(grid.spacing_mm[2] for grid in grids)
    least, floor, reach = config.min_volume_mm3, config.change_floor_mm3, config.reach_mm
    return ChangeThresholds(
        change_fraction=config.change_fraction,
        change_floor_mm3=FLOOR_VOXELS * voxel_mm3 if floor is None else floor,
        reach_mm=REACH_PIXELS * pixel_mm if reach is None else reach,
        min_volume_mm3=MIN_VOXELS * voxel_mm3 if least is None else least,
    )


def _slabs(
    scan: SessionScan, session: EvolveSession, item: EvolveItem, t: int
) -> Iterator[tuple[int, NDArray[np.integer[Any]]]]:
    """Read what is followed slab by slab: 0 outside, else an object's number, or 1 where a mask is followed."""
    for z0, z1 in slabs(scan.meta.shape[2], scan.meta.slab_depth):
        if session.objects is None:
            labels = read_label_slab(scan.storage, scan.place.name, item.method, t, z0, z1)
            yield z0, (labels == item.value).astype(np.uint8)
            continue
        labels = read_label_slab(scan.storage, scan.place.name, OBJECTS, t, z0, z1)
        chosen = np.isin(labels, np.asarray(session.objects[t], dtype=labels.dtype))
        yield z0, np.where(chosen, labels, 0)


def _instances(
    scan: SessionScan, session: EvolveSession, item: EvolveItem, t: int = 0
) -> SessionLesions:
    """Find all lesions of one time point as sparse voxels, the smallest ones too."""
    labeller, index, numbers = SlabLabeller(), [], []
    apart = session.objects is not None and item.apart
    for z0, slab in _slabs(scan, session, item, t):
        where, own = sparse_voxels(slab if apart else labeller.add(slab > 0), z0)
        index.append(where)
        numbers.append(own)
    final = np.concatenate(numbers)
    if not apart:
        final = labeller.finish()[final].astype(np.int32)
    return SessionLesions(scan.place.session, scan.meta.geometry, np.concatenate(index), final)
