"""Fit a protocol's teacher on its reference, or carry an earlier one over, and store it.

The reference is one slice or a few of one scan, held in memory, or the slices of several scans, which are
spread over the cluster as a fold (`cohort`). Slices that are cut into tiles are always a fold, a tile a part.
"""

import hashlib
from dataclasses import dataclass, replace

import numpy as np

from somray.domain.channel import Channel, channels_of
from somray.domain.run import ScanPlace
from somray.domain.tables import NoteRow
from somray.domain.teacher import TeacherModel
from somray.domain.work import WORKER_BYTES, Mapper, Needs, Result
from somray.errors import DataError, ShapeError, StoreError
from somray.io import models
from somray.io.ome.image import read_meta, slabs
from somray.io.ome.metadata import tile_shape
from somray.io.storage import Storage
from somray.kernels.classes.told import joined_told
from somray.kernels.features.view import FeatureView, carried_view
from somray.kernels.features.windows import auto_window
from somray.kernels.teacher.fit import TeacherFit, TeacherSpec, choose_view, fit_reference
from somray.kernels.teacher.reference import ArrayReference
from somray.stages.reading.reference import most_worthwhile, read_slices, sample_tiles
from somray.stages.teacher.cohort import (
    CohortPart,
    CohortReference,
    part_needs,
    raw_features,
    told_classes,
)
from somray.stages.teacher.tiles import ReferenceSlice, tile_parts, tile_view

__all__ = ["MissingReference", "ReferenceScan", "TeacherItem", "missing", "needs", "run"]

Windows = tuple[tuple[float, float] | None, ...]
WINDOW_SLICES = 16  # slices spread over the scan that automatic windows are chosen from
TILE_ROWS = 4  # of a tile every so many-th row, where slices are cut
MOST_NAMED = 64  # reference slices that the model names one by one
MOST_PASSED = 3  # scans named that could teach nothing


@dataclass(frozen=True)
class ReferenceScan:
    """One scan of a teacher's reference.

    Args:
        place: the scan.
        slices: its reference slices; None for the most worthwhile one, or for every n-th of a cohort.
        level: the scan's own level of uptake, where a channel is PET.
    """

    place: ScanPlace
    slices: tuple[int, ...] | None = None
    level: float | None = None


@dataclass(frozen=True)
class TeacherItem:
    """What the teacher of a protocol is fitted on.

    Args:
        protocol: name of the protocol.
        spec: the SOM and the rule; windows that are None are chosen here.
        scans: of the reference; windows are chosen on the first, and the student learns there.
        every: take every n-th slice of all scans; None where slices are named or chosen.
        previous: run whose teacher of this protocol is carried over.
        is_cut: whether slices of a scan are cut into tiles.
        passed: scans before this one that could teach nothing, and why.
    """

    protocol: str
    spec: TeacherSpec
    scans: tuple[ReferenceScan, ...]
    every: int | None = None
    previous: str | None = None
    is_cut: bool = False
    passed: tuple[str, ...] = ()

    @property
    def is_chosen(self) -> bool:
        """Whether scan and slice are ours to choose, so that another scan may take the place of one."""
        return self.every is None and self.scans[0].slices is None

    @property
    def place(self) -> ScanPlace:
        """The first scan, where the student learns and the model is stored."""
        return self.scans[0].place

    @property
    def folds(self) -> bool:
        """Whether the fit is spread over tasks."""
        return self.every is not None or len(self.scans) > 1 or self.is_cut


@dataclass(frozen=True)
class MissingReference:
    """Reference scans that the configuration names and that cannot be used, or all that could teach nothing."""

    scans: tuple[str, ...]
    passed: tuple[str, ...] = ()


def missing(item: MissingReference, shared: object = None) -> Result:
    """Say that a protocol stays without models.

    Raises:
        DataError: always.
    """
    if item.passed:
        more = len(item.passed) - MOST_PASSED
        told = "; ".join(item.passed[:MOST_PASSED]) + (f"; and {more} more" if more > 0 else "")
        raise DataError(
            "not_fittable",
            f"no scan can teach: {told}; name one and its slices in teacher.reference, or give the protocol one",
        )
    raise DataError(
        "not_fittable",
        f"teacher.reference names {', '.join(item.scans)}, set aside or not in the manifest; name scans "
        "that can be used",
    )


def needs(slice_bytes: int, slices: int, cpus: float = 1, dimensions: int = 2) -> Needs:
    """Declare what a fit in memory takes: twice all features of the reference slices, and a slice at work.

    Before that windows are chosen, from slices and a copy of theirs.
    """
    planes = max(24 * slices + (10 if dimensions == 2 else 120), 2 * WINDOW_SLICES + 4)
    return Needs(cpus=cpus, memory_bytes=WORKER_BYTES + planes * slice_bytes)


def run(item: TeacherItem, shared: Mapper) -> Result:
    """Choose windows and slices where the configuration leaves them open, fit, store.

    Returns:
        Rows of `clusters`; value: the slice the student learns from, windows, digest of the model. Of a scan that is
        ours to choose and can teach nothing: a row of `notes`, and `passed`, its name and why.

    Raises:
        DataError: a reference slice does not exist or carries nothing to learn from.
    """
    storage = Storage.at(item.place.root)
    try:
        fit, references = _fit(item, shared)
    except ShapeError as error:
        if item.is_chosen:
            models.drop_part(storage, item.protocol, "teacher")
            why, place = f"can teach nothing: {error}", (item.place.subject, item.place.session)
            told = NoteRow(*place, "teacher", f"{why}; the next scan of the manifest is asked")
            return Result(rows={"notes": [told]}, value={"passed": " ".join((*place, why))})
        where = ", ".join(f"{s.place.subject} {s.place.session}" for s in item.scans[:4])
        more = " and others" if len(item.scans) > 4 else ""
        raise DataError(
            "not_fittable", f"no teacher can be fitted on {where}{more}: {error}"
        ) from error
    words = _words(item, references)
    model = replace(fit.model, fitted_on=words, reference=tuple(references[:MOST_NAMED]))
    models.write_teacher(storage, item.protocol, model)
    value = {
        "subject": item.place.subject,
        "session": item.place.session,
        "slices": [z for s, t, z in references if (s, t) == references[0][:2]],
        "windows": [list(w) for w in model.windows],
        "digest": hashlib.sha256(_bytes(model)).hexdigest()[:32],
    }
    return Result(rows={"clusters": fit.cluster_rows}, value=value)


def _bytes(model: TeacherModel) -> bytes:
    """Return what decides labels and comes from the fit."""
    return model.codebook.weights.tobytes() + model.node_classes.tobytes()


def _fit(item: TeacherItem, mapper: Mapper) -> tuple[TeacherFit, list[tuple[str, str, int]]]:
    """Fit on slices in memory or on a fold; return the fit and the reference slices, A's first."""
    first, spec = item.scans[0], item.spec
    spec = replace(spec, windows=_windows(item))
    chosen = first.slices or (_worthwhile(item, spec.windows),)
    view = _view(first, chosen, spec, mapper)
    previous = _previous(item)
    if previous is not None:
        view = carried_view(previous, view, refit=spec.refit)
    if not item.folds:
        part = CohortPart(first.place, 0, chosen, first.level)
        raw = np.concatenate(list(raw_features(part, view.fitting)), axis=1)
        told = joined_told(told_classes(part, view.fitting))
        reference = ArrayReference(raw, told=told)
        return fit_reference(reference, view, spec, previous), _named([part])
    parts = _parts(item, chosen, view.fitting, mapper)
    per_part = part_needs(max(map(_part_bytes, item.scans)), spec.dimensions)
    fold = CohortReference(parts, view.fitting, mapper, per_part)
    named = _named(parts)
    learned = (first.place.subject, first.place.session, chosen[0])
    return fit_reference(fold, view, spec, previous), [
        learned, *(n for n in named if n != learned)
    ]  # fmt: skip


def _worthwhile(item: TeacherItem, windows: Windows) -> int:
    """Choose a slice of the first scan.

    Raises:
        ShapeError: the scan is the whole reference, and can teach nothing.
    """
    first, spec = item.scans[0], item.spec
    z, lack = most_worthwhile(first.place, spec.modality, windows, spec.channels, first.level)
    is_taught = item.previous is not None and not spec.refit
    if lack and item.is_chosen and not is_taught:
        raise ShapeError(f"slice {z}, its best, {lack}")
    return z


def _view(
    first: ReferenceScan, chosen: tuple[int, ...], spec: TeacherSpec, mapper: Mapper
) -> FeatureView:
    """Decide how pixels are looked at, from the chosen slices of the first scan."""
    meta = read_meta(Storage.at(first.place.root), first.place.name)
    if meta.is_cut:
        slices = [ReferenceSlice(first.place, 0, z, first.level) for z in chosen]
        return tile_view(slices, spec, mapper)
    images = read_slices(first.place, chosen)
    return choose_view(images, spec, meta.geometry.spacing_mm[1:], first.level)


def _part_bytes(scan: ReferenceScan) -> int:
    """Return the bytes of a slice that a part of a fold holds, with all channels."""
    meta = read_meta(Storage.at(scan.place.root), scan.place.name)
    rows, columns = tile_shape((meta.shape[1], meta.shape[3], meta.shape[4]))
    return 4 * meta.shape[1] * rows * columns


def _previous(item: TeacherItem) -> TeacherModel | None:
    """Read the teacher that is carried over."""
    if item.previous is None:
        return None
    try:
        return models.read_teacher(Storage.at(item.previous), item.protocol)
    except StoreError as error:
        raise DataError("not_fittable", f"teacher.previous: {error}") from error


def _parts(
    item: TeacherItem, chosen: tuple[int, ...], view: FeatureView, mapper: Mapper
) -> list[CohortPart]:
    """Cut the reference into parts, a slab or a tile each, in the manifest's order."""
    parts: list[CohortPart] = []
    single = item.every is None and len(item.scans) == 1
    for scan in item.scans:
        meta = read_meta(Storage.at(scan.place.root), scan.place.name)
        named = chosen if single else scan.slices
        wanted = named or range(0, meta.shape[2], item.every or 1)
        times = range(meta.shape[0]) if named is None else range(1)
        if meta.is_cut:
            slices = [ReferenceSlice(scan.place, t, z, scan.level) for t in times for z in wanted]
            parts += tile_parts(slices, view, mapper)
            continue
        for t in times:
            for z0, z1 in slabs(meta.shape[2], meta.slab_depth):
                inside = tuple(z for z in wanted if z0 <= z < z1)
                if inside:
                    parts.append(CohortPart(scan.place, t, inside, scan.level))
    return parts


def _named(parts: list[CohortPart]) -> list[tuple[str, str, int]]:
    found = (
        (part.place.subject, part.place.session, z)
        for part in parts
        if part.t == 0
        for z in part.slices
    )
    return list(dict.fromkeys(found))  # tiles tell their slice again


def _words(item: TeacherItem, references: list[tuple[str, str, int]]) -> str:
    """Tell the reference in words."""
    count = len(references)
    if item.every is not None:
        which = "every slice" if item.every == 1 else f"one slice in {item.every}"
        told = f"{which} of {len(item.scans)} scans ({count} slices)"
    elif len(item.scans) > 1:
        told = f"{count} slices of {len(item.scans)} scans"
    else:
        zs = ", ".join(str(z) for _, _, z in references)
        told = f"slice {zs} of subject {item.place.subject}, session {item.place.session}"
    if item.passed:
        told += f" ({'; '.join(item.passed[:MOST_PASSED])})"
    if item.previous is None:
        return told
    did = "refitted from" if item.spec.refit else "carried over unchanged from"
    return f"{told}; {did} the teacher of an earlier run"


def _windows(item: TeacherItem) -> Windows:
    """Fill in the windows that were left to `auto`, from slices or tiles spread over the first scan.

    A PET channel's stays open where the scan has a level of uptake: the fit derives it from that.
    """
    given = item.spec.windows or (None,) * len(item.spec.channels)
    if all(w is not None for w in given):
        return given
    meta = read_meta(Storage.at(item.place.root), item.place.name)
    if meta.is_cut:
        sample = sample_tiles(item.place, WINDOW_SLICES, TILE_ROWS)[None]
    else:
        spread = np.unique(np.linspace(0, meta.shape[2] - 1, WINDOW_SLICES).round().astype(int))
        sample = read_slices(item.place, tuple(int(z) for z in spread))
    modality = item.spec.modality
    channels = channels_of(modality, item.spec.channels)

    def chosen(c: int, channel: Channel) -> tuple[float, float] | None:
        has_level = item.scans[0].level is not None
        if given[c] or (has_level and channel.is_uptake):
            return given[c]
        return auto_window(sample[:, c], modality, channel)

    return tuple(chosen(c, channel) for c, channel in enumerate(channels))
