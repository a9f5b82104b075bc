"""Find the lesions of one time point brick by brick: labelled, joined over bricks, written with provisional numbers."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from somray.domain.brick import Brick
from somray.io.ome.image import write_label_brick
from somray.kernels.evolution.common_frame import SessionLesions
from somray.kernels.lesions.facts import FactSums, PartFacts
from somray.kernels.lesions.parts import PartLabeller
from somray.stages.evolution.lesion_map import LABEL, LesionMap, SessionScan
from somray.stages.objects import GROUP as OBJECTS
from somray.stages.reading.borders import SettledMask

__all__ = ["FollowedLabel", "FoundLesions", "find_instances"]


@dataclass(frozen=True)
class FollowedLabel:
    """What is followed of a scan.

    Args:
        label: the group that draws it.
        values: numbers that are lesions there.
        apart: whether every number is one lesion, however it touches others; else what is connected is one.
        settles: whether borders are settled, of a mask that a map or student draws.
    """

    label: str
    values: tuple[int, ...]
    apart: bool
    settles: bool = False

    @classmethod
    def of_objects(cls, numbers: tuple[int, ...], *, apart: bool) -> "FollowedLabel":
        """Follow some objects of `labels/objects`."""
        return cls(OBJECTS, numbers, apart)

    def chosen(self, labels: NDArray[np.integer]) -> NDArray[np.bool_]:
        """Tell which voxels (z, y, x) are drawn."""
        if len(self.values) == 1:
            return np.asarray(labels == self.values[0])
        is_lesion = np.zeros(max(int(labels.max(initial=0)), *self.values, 0) + 1, dtype=bool)
        is_lesion[list(self.values)] = True
        return np.asarray(is_lesion[labels])


@dataclass(frozen=True, eq=False)
class FoundLesions:
    """The instances of one time point, and where they lie."""

    lesions: SessionLesions
    voxels: LesionMap


def find_instances(scan: SessionScan, drawn: FollowedLabel, t: int) -> FoundLesions:
    """Find all lesions of one time point, the smallest ones too, and write them where they lie."""
    plane = scan.meta.shape[3:]
    finder = _Numbered(plane) if drawn.apart else _Connected(plane)
    bricks = []
    border = _border(scan, drawn, t) if drawn.settles else None
    for brick in scan.meta.bricks(t):
        labels = scan.labels(drawn.label, brick)
        mask = drawn.chosen(labels) if border is None else border.of(brick)
        if mask.any():
            numbers = finder.add(scan, brick, mask, labels)
            write_label_brick(scan.storage, scan.place.name, LABEL, brick, -numbers)
            bricks.append(brick)
    lookup, facts = finder.finish()
    voxels = LesionMap(scan, t, bricks, lookup)
    lesions = SessionLesions(scan.place.session, scan.meta.geometry, facts, voxels)
    return FoundLesions(lesions, voxels)


def _border(scan: SessionScan, drawn: FollowedLabel, t: int) -> SettledMask:
    (value,) = drawn.values
    return SettledMask(scan.storage, scan.place, scan.meta, t, drawn.label, value).read()


class _Numbered:
    """Takes objects as they are numbered."""

    def __init__(self, plane: tuple[int, int]) -> None:
        self._plane, self._facts = plane, FactSums()

    def add(
        self, scan: SessionScan, brick: Brick, mask: NDArray[np.bool_], labels: NDArray[np.integer]
    ) -> NDArray[np.int32]:
        """Take a brick; return its numbers."""
        numbers = np.where(mask, labels, 0).astype(np.int32)
        self._facts.add(numbers, brick.corner, self._plane)
        return numbers

    def finish(self) -> tuple[NDArray[np.int32], PartFacts]:
        """Return what each number stands for, and the facts."""
        facts = self._facts.finish()
        return np.arange(int(facts.numbers.max(initial=0)) + 1, dtype=np.int32), facts


class _Connected:
    """Numbers what is connected."""

    def __init__(self, plane: tuple[int, int]) -> None:
        self._labeller = PartLabeller(plane)

    def add(
        self, scan: SessionScan, brick: Brick, mask: NDArray[np.bool_], labels: NDArray[np.integer]
    ) -> NDArray[np.int32]:
        """Take a brick; return its provisional numbers."""
        return self._labeller.add(mask, brick.corner, _written_about(scan, brick))

    def finish(self) -> tuple[NDArray[np.int32], PartFacts]:
        """Return what each provisional number stands for, and the facts."""
        return self._labeller.finish()


def _written_about(scan: SessionScan, brick: Brick) -> NDArray[np.int32]:
    """Read the provisional numbers one voxel about a brick, as far as they were written: 0 beyond, and inside."""
    around = np.zeros([n + 2 for n in brick.shape], dtype=np.int32)
    outer = brick.grown((1, 1, 1), scan.meta.shape[2:])
    faces = [Brick(brick.t, brick.z0 - 1, brick.z0, outer.y0, outer.y1, outer.x0, outer.x1)]
    faces.append(Brick(brick.t, brick.z0, brick.z1, brick.y0 - 1, brick.y0, outer.x0, outer.x1))
    faces.append(Brick(brick.t, brick.z0, brick.z1, brick.y0, brick.y1, brick.x0 - 1, brick.x0))
    for face in faces:
        if min(face.corner) >= 0:
            z, y, x = (
                slice(a - c + 1, a - c + 1 + n)
                for a, c, n in zip(face.corner, brick.corner, face.shape, strict=True)
            )
            around[z, y, x] = -scan.labels(LABEL, face)
    return around
