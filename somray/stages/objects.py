"""From pixels to objects: found on a coarse grid, drawn on the scan's own, called by all that is known.

`find` reads a scan slab by slab, averages it onto blocks, finds the objects and draws them into `labels/objects`;
what they measure goes on as plain figures. `call` sees the figures alone: once every scan of the protocol has been
looked at, the cohort's voice is heard, and each object gets its name, its reason and its row. So a person's word
or another subject's scan never costs a second look at pixels.
"""

import contextlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from somray.domain.run import ScanPlace
from somray.domain.tables import FailureRow, ObjectRow
from somray.domain.work import WORKER_BYTES, Needs, Result
from somray.errors import DataError
from somray.io.anatomy import organ_names
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
from somray.kernels.objects.calls import Evidence, Word, call_objects
from somray.kernels.objects.found import LESION, FoundObject
from somray.kernels.objects.grid import BlockMeans, ObjectGrid, object_grid
from somray.kernels.objects.organs import (
    OrganVerdict,
    Shares,
    add_shares,
    named_by_organ,
    organ_shares,
    unmatched,
)
from somray.kernels.objects.prior import Occurrence
from somray.kernels.objects.scan_rule import FoundScan, ScanRule
from somray.stages.anatomy import Organs, read_organs

__all__ = [
    "CALL_NEEDS",
    "GROUP",
    "AnatomyItem",
    "CallItem",
    "FindItem",
    "call",
    "find",
    "needs",
    "object_of",
]

GROUP = "objects"  # the label group

CALL_NEEDS = Needs(cpus=0.1)

COLORS = {
    "lesion": (220, 40, 40, 255),
    "physiological": (60, 120, 220, 255),
    "doubt": (230, 180, 40, 255),
}
GRID_BYTES = 400  # per voxel of the coarse grid, all that is held of it at once


@dataclass(frozen=True)
class AnatomyItem:
    """A person's organ mask.

    Args:
        path: of the mask.
        names: value to organ, as the protocol gives them; else the mask's own are read.
        exclude: organs in which nothing is a lesion.
    """

    path: str
    names: tuple[tuple[int, str], ...] = ()
    exclude: tuple[str, ...] = ()


@dataclass(frozen=True)
class FindItem:
    """One scan to be looked at.

    Args:
        place: the scan.
        rule: how its objects are found.
        method: label group of the map or student, som or student.
        value: of the target there.
        anatomy: organ mask, where there is one.
    """

    place: ScanPlace
    rule: ScanRule
    method: str
    value: int
    anatomy: AnatomyItem | None = None

    @property
    def exclude(self) -> tuple[str, ...]:
        """Organs in which nothing is a lesion."""
        return self.anatomy.exclude if self.anatomy else ()


@dataclass(frozen=True)
class CallItem:
    """One scan whose objects are called.

    Args:
        place: the scan.
        times: per time index the objects, as `find` told them.
        occurrences: of each, in the same order; (None, None) where the cohort was not asked.
        words: a person's.
    """

    place: ScanPlace
    times: tuple[tuple[Mapping[str, Any], ...], ...]  # Any: fields of a FoundObject
    occurrences: tuple[tuple[tuple[float | None, int | None], ...], ...]
    words: tuple[Word, ...] = ()


def needs(slab_bytes: int, grid_voxels: int) -> Needs:
    """Declare what finding takes: a few slabs with their labels, and the coarse grid with its tree."""
    held = 6 * slab_bytes + GRID_BYTES * grid_voxels
    return Needs(cpus=1, memory_bytes=WORKER_BYTES + held)


def find(item: FindItem, shared: object = None) -> Result:
    """Find and draw the objects of every time point.

    Returns:
        value: `times`, per time index a list of objects with what is known of each; `heights`, how much of a
        body each shows; `voxels` that were drawn. Rows of `failures` where the organ mask could not be used.
    """
    storage = Storage.at(item.place.root)
    meta = read_meta(storage, item.place.name)
    size_mm = item.rule.grid_mm(meta.geometry.shape, meta.geometry.spacing_mm)
    grid = object_grid(meta.geometry, size_mm, meta.anatomical)
    create_labels(storage, item.place.name, GROUP, "int32")
    times: list[list[dict[str, Any]]] = []
    heights: list[tuple[float, float] | None] = []
    failures: list[FailureRow] = []
    last = voxels = 0
    for t in range(meta.shape[0]):
        found = item.rule.find(_means(storage, meta, item, grid, t), grid)
        scan = _Drawing(storage, meta, item, grid, found, t, last)
        with contextlib.ExitStack() as opened:
            drawn, shares, names = scan.draw(scan.organs(opened, failures))
        verdicts = named_by_organ(shares, names, item.exclude, item.rule.has_uptake)
        times.append([_told(o, grid, verdicts.get(o.number), last) for o in found.objects])
        heights.append(found.heights)
        last += len(found.objects)
        voxels += drawn
    value = {"times": times, "heights": heights, "voxels": voxels}
    return Result(rows={"failures": failures}, value=value)


def _means(
    storage: Storage, meta: ScanMeta, item: FindItem, grid: ObjectGrid, t: int
) -> NDArray[np.float32]:
    """Average image channels and, last, the target's mask onto the grid: (c + 1, z, y, x)."""
    blocks = BlockMeans(grid, meta.shape[1] + 1)
    for z0, z1 in slabs(meta.shape[2], meta.slab_depth):
        image = read_slab(storage, item.place.name, t, z0, z1)
        mask = _mask(storage, item, t, (z0, z1))
        blocks.add(np.concatenate([image, mask[None].astype(np.float32)]), z0)
    return blocks.finish()


@dataclass(frozen=True, eq=False)
class _Drawing:
    """One time point's objects on their way into `labels/objects`; `last` is the highest number before."""

    storage: Storage
    meta: ScanMeta
    item: FindItem
    grid: ObjectGrid
    found: FoundScan
    t: int
    last: int

    def organs(self, opened: contextlib.ExitStack, failures: list[FailureRow]) -> Organs | None:
        """Open the organ mask; one that cannot be used is told once, and the scan goes on without it."""
        anatomy = self.item.anatomy
        if anatomy is None or any(one.code != "exclude_unknown" for one in failures):
            return None
        try:
            names = organ_names(anatomy.path, dict(anatomy.names))
            body = None if self.found.body is None else self._body
            organs = opened.enter_context(
                read_organs(anatomy.path, self.meta.geometry, names, body)
            )
        except DataError as error:
            failures.append(self._failure(error.code, error.message))
            return None
        told = unmatched(anatomy.exclude, names) if self.t == 0 else {}
        for wanted, near in told.items():
            meant = f"; did you mean {' or '.join(near)}?" if near else ""
            message = (
                f"anatomy {anatomy.path}: exclude names {wanted!r}, which it does not hold{meant}"
            )
            failures.append(self._failure("exclude_unknown", message))
        return organs

    def _failure(self, code: str, message: str) -> FailureRow:
        subject, session = self.item.place.subject, self.item.place.session
        return FailureRow(
            subject=subject,
            session=session,
            stage="objects",
            code=code,
            message=message,
            attempts=1,
        )

    def _body(self, z0: int, z1: int) -> NDArray[np.bool_]:
        body = np.zeros(self.grid.shape) if self.found.body is None else self.found.body
        return self.grid.nearest(body.astype(np.int32), z0, z1) > 0

    def draw(self, organs: Organs | None) -> tuple[int, Shares, dict[int, str]]:
        """Draw slab by slab, counting on the way in which organs the objects lie.

        Returns:
            Voxels drawn, voxels per object and organ, the organs' names.
        """
        name, count = self.item.place.name, int(self.found.labels.max(initial=0))
        parts, voxels = [], 0
        for z0, z1 in slabs(self.meta.shape[2], self.meta.slab_depth):
            drawn = self._slab(z0, z1)
            voxels += int(np.count_nonzero(drawn))
            if organs is not None:
                parts.append(organ_shares(drawn, organs.slab(z0, z1), count))
            drawn[drawn > 0] += self.last
            write_label_slab(self.storage, name, GROUP, self.t, z0, drawn)
        return voxels, add_shares(parts), {} if organs is None else organs.names

    def _slab(self, z0: int, z1: int) -> NDArray[np.int32]:
        """Draw one slab; where the map draws lesions itself they keep its pixels."""
        if not self.found.keeps_mask:
            return self.grid.draw(self.found.labels, z0, z1)
        mask = _mask(self.storage, self.item, self.t, (z0, z1))
        return np.where(mask, self.grid.nearest(self.found.labels, z0, z1), 0).astype(np.int32)


def _mask(storage: Storage, item: FindItem, t: int, where: tuple[int, int]) -> NDArray[np.bool_]:
    """Read the target's mask of some slices."""
    labels = read_label_slab(storage, item.place.name, item.method, t, *where)
    return np.asarray(labels == item.value)


def _told(
    found: FoundObject, grid: ObjectGrid, verdict: OrganVerdict | None, last: int
) -> dict[str, Any]:  # Any: fields of a FoundObject
    """Return an object's figures with its place in the patient and what its organ says."""
    facts = asdict(found) | {"number": found.number + last}
    world = grid.to_world(np.array([found.centroid]))[0]
    facts["centroid_mm"] = [float(v) for v in world]
    facts["organ"] = verdict.organ if verdict else None
    facts["organ_reason"] = verdict.reason if verdict and verdict.verdict else ""
    return facts


def object_of(facts: Mapping[str, Any]) -> FoundObject:  # Any: fields of a FoundObject
    """Read an object back from what `find` told of it."""
    own = {k: v for k, v in facts.items() if k not in ("centroid_mm", "organ", "organ_reason")}
    own["centroid"] = tuple(own["centroid"])
    return FoundObject(**own)


def call(item: CallItem, shared: object = None) -> Result:
    """Call the objects of one scan and mark `labels/objects` complete.

    Returns:
        Rows of `objects`; value: `lesions`, per time index the numbers of those called lesion.
    """
    rows: list[ObjectRow] = []
    lesions: list[list[int]] = []
    for t, (facts, asked) in enumerate(zip(item.times, item.occurrences, strict=True)):
        evidence = [_evidence(one, heard) for one, heard in zip(facts, asked, strict=True)]
        called = call_objects([object_of(one) for one in facts], evidence, item.words)
        rows += [_row(item, t, o, e) for o, e in zip(called, evidence, strict=True)]
        lesions.append([o.number for o in called if o.called == LESION])
    storage = Storage.at(item.place.root)
    classes = {r.object_id: r.called if r.name is None else f"{r.called} ({r.name})" for r in rows}
    colors = {r.object_id: COLORS[r.called] for r in rows}
    finish_labels(storage, item.place.name, GROUP, classes, colors)
    return Result(rows={"objects": rows}, value={"lesions": lesions})


def _evidence(
    facts: Mapping[str, Any], heard: tuple[float | None, int | None]
) -> Evidence:  # Any: fields of a FoundObject
    fraction, subjects = heard
    asked = None if fraction is None or subjects is None else Occurrence(fraction, subjects)
    x, y, z = facts["centroid_mm"]
    return Evidence((x, y, z), asked, facts["organ"], facts["organ_reason"])


def _row(item: CallItem, t: int, found: FoundObject, known: Evidence) -> ObjectRow:
    x, y, z = known.centroid_mm
    return ObjectRow(
        subject=item.place.subject,
        session=item.place.session,
        t=t,
        object_id=found.number,
        called=found.called,
        name=found.name,
        by=found.by,
        reason=found.reason,
        salience=found.salience,
        level=found.level,
        volume_mm3=found.volume_mm3,
        centroid_z_mm=z,
        centroid_y_mm=y,
        centroid_x_mm=x,
        peak_intensity=found.peak,
        mean_intensity=found.mean,
        contrast_log2=found.contrast_log2,
        sphericity=found.sphericity,
        ct_mean_hu=found.ct_mean_hu,
        ct_std_hu=found.ct_std_hu,
        height_fraction=found.height_fraction,
        midline_mm=found.midline_mm,
        depth_mm=found.depth_mm,
        twin=found.twin,
        cohort_fraction=known.occurrence.fraction if known.occurrence else None,
        cohort_subjects=known.occurrence.subjects if known.occurrence else None,
        organ=known.organ,
    )
