"""From pixels to objects: found on a coarse grid, drawn on the scan's own.

`find` reads a scan brick by brick, averages it onto blocks, finds the objects and draws them into `labels/objects`;
what they measure goes on as plain figures, so that calling them (`object_calls`) costs no second look at pixels.
"""

import contextlib
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from somray.domain.brick import Brick
from somray.domain.run import ScanPlace
from somray.domain.student import StudentModel
from somray.domain.tables import FailureRow, NoteRow
from somray.domain.teacher import TeacherModel
from somray.domain.work import WORKER_BYTES, Needs, Result
from somray.errors import DataError
from somray.io.masks.anatomy import organ_names
from somray.io.masks.rtstruct import check_frame
from somray.io.ome.image import (
    ScanMeta,
    create_labels,
    finish_labels,
    read_label_brick,
    read_meta,
    write_label_brick,
)
from somray.io.storage import Storage
from somray.kernels.objects.border import spread_numbers
from somray.kernels.objects.found import LESION, FoundObject
from somray.kernels.objects.grid import ObjectGrid
from somray.kernels.objects.organs import (
    OrganVerdict,
    Shares,
    add_shares,
    named_by_organ,
    organ_shares,
    unmatched,
)
from somray.kernels.objects.recut import recut
from somray.kernels.objects.scan_rule import FoundScan, ScanRule
from somray.stages.reading.borders import SettledMask
from somray.stages.reading.organs import Organs, read_organs
from somray.stages.reading.volume import ScanVolume, labelled, read_volumes
from somray.stages.student.volumes import VOLUME_MM, volume_chance

__all__ = [
    "BASELINE",
    "GROUP",
    "AnatomyItem",
    "FindItem",
    "find",
    "needs",
]

GROUP = "objects"  # the label group
BASELINE = (
    "objects_som"  # the same by direct transfer alone, beside a student, where a truth judges both
)

RULE_BYTES = {"uptake": 150, "dense": 130, "lung": 160, "map": 90, "intensity": 260}
"""Per voxel of the coarse grid, all that is held of it at once by each rule, half as much again as `find` was seen to
add on drawn bodies: 95 on PET alone and 80 on CT (5.5 million blocks, some 360 objects), 40 on a map (4 million), 165
on MR (0.9 million)."""
STUDENT_BYTES = 400  # the same where a student of volumes has a say, of its own grid
BRICK_COPIES = 6  # a brick with the target beside it, labels, what is drawn


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
        group: label group that they are drawn into; `BASELINE` is complete at once, nobody calls it.
        source: of the scan's first channel, for its frame of reference; None where unknown.
    """

    place: ScanPlace
    rule: ScanRule
    method: str
    value: int
    anatomy: AnatomyItem | None = None
    group: str = GROUP
    source: str | None = None

    @property
    def exclude(self) -> tuple[str, ...]:
        """Organs in which nothing is a lesion."""
        return self.anatomy.exclude if self.anatomy else ()


def needs(brick_bytes: int, grid_voxels: int, rule: ScanRule, student_voxels: int = 0) -> Needs:
    """Declare what finding takes: a few bricks with their labels, and the coarse grid with its tree.

    Args:
        brick_bytes: of one brick with all channels.
        grid_voxels: of the rule's grid.
        rule: how objects are found.
        student_voxels: of the grid of a student of volumes; 0 without.
    """
    grids = RULE_BYTES[rule.name] * grid_voxels + STUDENT_BYTES * student_voxels
    return Needs(cpus=1, memory_bytes=WORKER_BYTES + BRICK_COPIES * brick_bytes + grids)


def find(item: FindItem, shared: StudentModel | TeacherModel | None = None) -> Result:
    """Find and draw the objects of every time point.

    Args:
        item: the scan.
        shared: the protocol's model; a student that sees volumes has a say in where lesions end.

    Returns:
        value: `times`, per time index a list of objects with what is known of each; `heights`, how much of a
        body each shows; `voxels` that were drawn. Rows of `failures` where the organ mask could not be used, of
        `notes` on one that was.
    """
    storage = Storage.at(item.place.root)
    meta = read_meta(storage, item.place.name)
    create_labels(storage, item.place.name, item.group, "int32")
    sizes_mm = [item.rule.grid_mm(meta.geometry.shape, meta.geometry.spacing_mm)]
    if _speaks(shared):
        sizes_mm.append(VOLUME_MM)
    times: list[list[dict[str, Any]]] = []
    heights: list[tuple[float, float] | None] = []
    failures: list[FailureRow] = []
    notes: list[NoteRow] = []
    last = voxels = 0
    for t in range(meta.shape[0]):
        target = labelled(item.place, t, item.method, item.value) if item.rule.asks_map else None
        seen = read_volumes(item.place, sizes_mm, t, target)
        grid = seen[0].grid
        found = _found(item, seen, shared)
        border = None
        if found.keeps_mask:
            border = SettledMask(storage, item.place, meta, t, item.method, item.value)
            border = border.read() if item.rule.follows_parts else border
        scan = _Drawing(storage, meta, item, grid, found, border, t, last)
        with contextlib.ExitStack() as opened:
            drawn, shares, names = scan.draw(scan.organs(opened, failures, notes))
        verdicts = named_by_organ(shares, names, item.exclude, item.rule.has_uptake)
        times.append([_told(o, grid, verdicts.get(o.number), last) for o in found.objects])
        heights.append(found.heights)
        last += len(found.objects)
        voxels += drawn
    if item.group == BASELINE:
        finish_labels(storage, item.place.name, BASELINE, {})
    value = {"times": times, "heights": heights, "voxels": voxels}
    return Result(rows={"failures": failures, "notes": notes}, value=value)


def _speaks(model: StudentModel | TeacherModel | None) -> bool:
    """Tell whether a model has a say in where objects end: a student of volumes."""
    return isinstance(model, StudentModel) and model.sees_volumes


def _found(
    item: FindItem, seen: list[ScanVolume], model: StudentModel | TeacherModel | None
) -> FoundScan:
    """Find a time point's objects; lesions end where rule and student together say."""
    fine = seen[0]
    found = item.rule.find(fine.means, fine.grid)
    lesions = [o.number for o in found.objects if o.called == LESION]
    if len(seen) == 1 or not lesions or not isinstance(model, StudentModel):
        return found
    chance = seen[1].grid.onto(volume_chance(model, seen[1], item.rule), fine.grid)
    return replace(found, labels=recut(found.labels, chance, set(lesions), fine.grid.spacing_mm))


@dataclass(frozen=True, eq=False)
class _Drawing:
    """One time point's objects on their way into `labels/objects`.

    `border` is the mask whose pixels they keep, None where they are drawn from the grid; `last` the highest number
    before.
    """

    storage: Storage
    meta: ScanMeta
    item: FindItem
    grid: ObjectGrid
    found: FoundScan
    border: SettledMask | None
    t: int
    last: int

    def organs(
        self, opened: contextlib.ExitStack, failures: list[FailureRow], notes: list[NoteRow]
    ) -> Organs | None:
        """Open the organ mask; one that cannot be used is told once, and the scan goes on without it."""
        anatomy = self.item.anatomy
        if anatomy is None or any(one.code != "exclude_unknown" for one in failures):
            return None
        try:
            _check_whole(self.meta, anatomy.path)
            check_frame(anatomy.path, self.item.source)
            names = organ_names(anatomy.path, dict(anatomy.names))
            body = None if self.found.body is None else self._body
            organs = opened.enter_context(
                read_organs(anatomy.path, self.meta.geometry, names, body, self.meta.shape[0])
            )
        except DataError as error:
            failures.append(self._failure(error.code, error.message))
            return None
        if self.t == 0 and self.item.group == GROUP:
            place = self.item.place.subject, self.item.place.session
            told_of = (f"anatomy {anatomy.path}: {note}" for note in organs.notes)
            notes += [NoteRow(*place, "objects", note) for note in told_of]
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
        """Draw brick by brick, counting on the way in which organs the objects lie.

        Returns:
            Voxels drawn, voxels per object and organ, the organs' names.
        """
        name, count = self.item.place.name, int(self.found.labels.max(initial=0))
        parts, voxels = [], 0
        for brick in self.meta.bricks(self.t):
            drawn = self._brick(brick)
            voxels += int(np.count_nonzero(drawn))
            if organs is not None:
                parts.append(organ_shares(drawn, organs.slab(brick.z0, brick.z1), count))
            drawn[drawn > 0] += self.last
            write_label_brick(self.storage, name, self.item.group, brick, drawn)
        return voxels, add_shares(parts), {} if organs is None else organs.names

    def _brick(self, brick: Brick) -> NDArray[np.int32]:
        """Draw one brick; where the map draws lesions itself they keep its pixels, borders settled."""
        where = brick.z0, brick.z1, ((brick.y0, brick.y1), (brick.x0, brick.x1))
        if self.border is None:
            return self.grid.draw(self.found.labels, *where)
        outer = brick.grown((1, 1, 1), self.meta.shape[2:])
        labels = read_label_brick(self.storage, self.item.place.name, self.item.method, outer)
        plane = (outer.y0, outer.y1), (outer.x0, outer.x1)
        drawn = self.grid.nearest(self.found.labels, outer.z0, outer.z1, plane)
        drawn[labels != self.item.value] = 0
        return spread_numbers(drawn, self.border.of(brick), brick.within(outer))


def _check_whole(meta: ScanMeta, path: str) -> None:
    """Refuse organ masks of slices that no task holds: masks are read by whole slices.

    Raises:
        DataError: slices are cut into tiles.
    """
    if meta.is_cut:
        raise DataError(
            "too_large",
            f"anatomy {path}: slices of {meta.shape[3]} × {meta.shape[4]} pixels are larger than the 64 MiB that "
            "organ masks are read by; bin the scan, or leave the mask out",
        )


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
