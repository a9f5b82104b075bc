"""Follow the lesions of one subject: instances, one identity each over all sessions, what changed.

Masks are read slab by slab, twice: once to find what belongs together, once to measure and to write
`labels/lesions`. What stays in memory are the coordinates of lesion voxels, never a volume.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from somray.config import LesionConfig
from somray.domain.run import ScanPlace
from somray.domain.tables import EvolutionRow, LesionRow
from somray.domain.work import WORKER_BYTES, Needs, Result
from somray.io.ome_zarr import (
    ScanMeta,
    create_labels,
    finish_labels,
    read_label_slab,
    read_meta,
    read_slab,
    slabs,
    write_label_slab,
)
from somray.io.storage import Storage
from somray.kernels.evolution import ChangeThresholds, SessionLesions, follow
from somray.kernels.instances import LesionMeter, SlabLabeller, smallest_count, sparse_voxels

__all__ = ["EvolveItem", "SessionItem", "needs", "run"]

MIN_VOXELS = 5  # of a lesion, where the configuration names no volume: less is noise of a pixel map
FLOOR_VOXELS = 20  # of a change
REACH_PIXELS = 5.0  # of a lesion's centroid between sessions


@dataclass(frozen=True)
class SessionItem:
    """One session of the subject.

    Args:
        place: the scan.
        to_first: 16 numbers, row-major 4×4 LPS mm of this session to the first; None when refused.
    """

    place: ScanPlace
    to_first: tuple[float, ...] | None


@dataclass(frozen=True)
class EvolveItem:
    """One subject of a protocol.

    Args:
        sessions: in time order.
        method: som or student, whose mask is followed.
        value: label value of the target in that method's label group.
        channel: index of the channel whose intensities are measured.
        config: thresholds.
    """

    sessions: tuple[SessionItem, ...]
    method: str
    value: int
    channel: int
    config: LesionConfig


def needs(slab_bytes: int, lesion_voxels: int) -> Needs:
    """Declare what following takes: a few slabs, and the coordinates of all lesion voxels."""
    return Needs(cpus=1, memory_bytes=WORKER_BYTES + 6 * slab_bytes + 250 * lesion_voxels)


def run(item: EvolveItem, shared: object = None) -> Result:
    """Find, identify, measure and write the lesions; rows of `lesions` and `evolution`."""
    storage = Storage.at(item.sessions[0].place.root)
    metas = [read_meta(storage, s.place.name) for s in item.sessions]
    found = [
        _instances(storage, session.place, meta, item, t=0)
        for session, meta in zip(item.sessions, metas, strict=True)
    ]
    transforms = [
        None if s.to_first is None else np.asarray(s.to_first).reshape(4, 4) for s in item.sessions
    ]
    evolution = follow(found, transforms, _thresholds(item.config, metas[0]))
    subject = item.sessions[0].place.subject
    changes = []
    for change in evolution.changes:
        facts = {f.name: getattr(change, f.name) for f in fields(change)}
        facts["linked_ids"] = list(change.linked_ids)
        changes.append(EvolutionRow(subject=subject, **facts))
    rows: list[LesionRow] = []
    highest = max((i for ids in evolution.identities for i in ids.values()), default=0)
    for session, meta, ids, first in zip(
        item.sessions, metas, evolution.identities, found, strict=True
    ):
        measured, highest = _write(storage, session.place, meta, item, (first, ids, highest))
        rows += measured
    return Result(rows={"lesions": rows, "evolution": changes})


def _thresholds(config: LesionConfig, meta: ScanMeta) -> ChangeThresholds:
    voxel_mm3, pixel_mm = meta.geometry.voxel_mm3, meta.geometry.spacing_mm[2]
    floor, reach = config.change_floor_mm3, config.reach_mm
    return ChangeThresholds(
        change_fraction=config.change_fraction,
        change_floor_mm3=FLOOR_VOXELS * voxel_mm3 if floor is None else floor,
        reach_mm=REACH_PIXELS * pixel_mm if reach is None else reach,
    )


def _masks(
    storage: Storage, place: ScanPlace, meta: ScanMeta, item: EvolveItem, t: int
) -> Iterator[tuple[int, int, NDArray[np.bool_]]]:
    for z0, z1 in slabs(meta.shape[2], meta.slab_depth):
        yield z0, z1, read_label_slab(storage, place.name, item.method, t, z0, z1) == item.value


def _instances(
    storage: Storage, place: ScanPlace, meta: ScanMeta, item: EvolveItem, t: int
) -> SessionLesions:
    """Find the lesions of one time point as sparse voxels."""
    labeller, index, provisional = SlabLabeller(), [], []
    for z0, _, mask in _masks(storage, place, meta, item, t):
        labels = labeller.add(mask)
        where, numbers = sparse_voxels(labels, z0)
        index.append(where)
        provisional.append(numbers)
    volume = item.config.min_volume_mm3
    least = MIN_VOXELS if volume is None else smallest_count(volume, meta.geometry.voxel_mm3)
    final = labeller.finish(least)[np.concatenate(provisional)]
    kept = final > 0
    return SessionLesions(
        place.session, meta.geometry, np.concatenate(index)[kept], final[kept].astype(np.int32)
    )


def _write(
    storage: Storage,
    place: ScanPlace,
    meta: ScanMeta,
    item: EvolveItem,
    first: tuple[SessionLesions, dict[int, int], int],
) -> tuple[list[LesionRow], int]:
    """Write labels/lesions and measure; lesions after t 0 keep the id of what they overlap most.

    Returns:
        Rows, and the highest id in use.
    """
    at_zero, identities, highest = first
    base = _with_ids(at_zero, identities)
    create_labels(storage, place.name, "lesions", "int32")
    rows: list[LesionRow] = []
    for t in range(meta.shape[0]):
        if t == 0:
            voxels, ids = base
        else:
            later = _instances(storage, place, meta, item, t)
            identities, highest = _carried(base, later, highest)
            voxels, ids = _with_ids(later, identities)
        rows += _write_time(storage, place, meta, (t, item.channel), (voxels, ids))
    finish_labels(storage, place.name, "lesions", {})
    return rows, highest


def _with_ids(
    found: SessionLesions, identities: dict[int, int]
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    lookup = np.zeros(int(found.instance.max(initial=0)) + 1, dtype=np.int32)
    for number, lesion_id in identities.items():
        lookup[number] = lesion_id
    return found.index, lookup[found.instance]


def _carried(
    base: tuple[NDArray[np.int32], NDArray[np.int32]], later: SessionLesions, highest: int
) -> tuple[dict[int, int], int]:
    """Give the lesions of a later time point of the same scan the ids of t 0, by largest overlap."""
    shape = later.geometry.shape
    where = {int(v): int(i) for v, i in zip(_flat(base[0], shape), base[1], strict=True)}
    identities: dict[int, int] = {}
    flat = _flat(later.index, shape)
    for number in np.unique(later.instance).tolist():
        met = [where[v] for v in flat[later.instance == number].tolist() if v in where]
        if met:
            values, counts = np.unique(met, return_counts=True)
            identities[number] = int(values[counts.argmax()])
        else:
            highest += 1
            identities[number] = highest
    return identities, highest


def _flat(index: NDArray[np.int32], shape: tuple[int, int, int]) -> NDArray[np.int64]:
    return np.asarray(np.ravel_multi_index(tuple(index.T), shape), dtype=np.int64)


def _write_time(
    storage: Storage,
    place: ScanPlace,
    meta: ScanMeta,
    which: tuple[int, int],
    lesions: tuple[NDArray[np.int32], NDArray[np.int32]],
) -> list[LesionRow]:
    """Write one time point's lesion ids slab by slab, measuring on the way."""
    (t, channel), (index, ids) = which, lesions
    meter = LesionMeter(meta.geometry)
    for z0, z1 in slabs(meta.shape[2], meta.slab_depth):
        inside = (index[:, 0] >= z0) & (index[:, 0] < z1)
        labels = np.zeros((z1 - z0, *meta.shape[3:]), dtype=np.int32)
        z, y, x = index[inside].T
        labels[z - z0, y, x] = ids[inside]
        write_label_slab(storage, place.name, "lesions", t, z0, labels)
        image = read_slab(storage, place.name, t, z0, z1)[channel]
        meter.add(labels, image, z0)
    return [
        LesionRow(
            subject=place.subject,
            session=place.session,
            t=t,
            lesion_id=m.instance,
            volume_mm3=m.volume_mm3,
            centroid_x_mm=m.centroid_mm[0],
            centroid_y_mm=m.centroid_mm[1],
            centroid_z_mm=m.centroid_mm[2],
            longest_axis_mm=m.longest_axis_mm,
            mean_intensity=m.mean_intensity,
            max_intensity=m.max_intensity,
            min_intensity=None,
            std_intensity=None,
        )
        for m in meter.finish()
    ]
