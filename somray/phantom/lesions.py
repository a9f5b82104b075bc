"""Lesions over time: where they lie, how they grow, shrink, appear, vanish, merge and split.

A *course* is what one lesion (or a pair that merges or splits) does over the sessions; it is placed once
in the scene and never moves in it. Identities follow the public contract: in a merge the largest contributor's
id lives on, in a split the largest part keeps it.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from somray.phantom.drawing.canvas import Box, Canvas
from somray.phantom.drawing.shapes import Point, capsule, draw_within, ellipsoid, point
from somray.phantom.session import FloatArray

__all__ = [
    "COURSES",
    "Blob",
    "Course",
    "Field",
    "blob_distances",
    "fits",
    "number_courses",
    "place_courses",
]

COURSES: tuple[tuple[str, ...], ...] = (
    ("stable", "enlarging", "merged", "new", "resolved"),
    ("split", "shrinking", "stable", "enlarging", "new"),
    ("merged", "resolved", "enlarging", "shrinking", "split"),
)
"""What the lesions of subject 0, 1, 2 (and again 0, 1, 2 …) do; two subjects show all seven kinds."""

TRIES = 600


@dataclass(frozen=True)
class Blob:
    """One solid part of a lesion in one session: an ellipsoid, or a rod to `end` that joins two."""

    lesion_id: int
    center: Point
    radii: Point
    end: Point | None = None


@dataclass(frozen=True)
class Course:
    """What one lesion or pair does.

    Args:
        kind: the change it is made for.
        turn: the change happens between session `turn` and the next.
        center: scene mm.
        radii: semi-axes of a part of scale 1 in mm.
        axis: unit vector in the slice plane along which a pair lies.
        gap_mm: distance that keeps the parts of a pair apart.
        ids: identities of the first and the second part.
        uptake: factor on the lesion's SUV.
    """

    kind: str
    turn: int
    center: Point
    radii: Point
    axis: tuple[float, float]
    gap_mm: float
    ids: tuple[int, int]
    uptake: float

    def blobs(self, session: int) -> list[Blob]:
        """Return the parts that are there in one session."""
        late = max(session - self.turn, 0)
        if self.kind in ("merged", "split"):
            return self._pair(late > 0)
        scale = {
            "stable": 1.0,
            "running": 1.0,
            "enlarging": 0.85 * 1.25 ** min(late, 2),
            "shrinking": 1.3 * 0.76 ** min(late, 2),
            "new": 1.0 if late else 0.0,
            "resolved": 0.0 if late else 1.0,
        }[self.kind]
        return [self._part(0, 0.0, scale)] if scale > 0 else []

    def _pair(self, is_late: bool) -> list[Blob]:
        radius = max(self.radii[0], self.radii[1])
        if self.kind == "merged":
            apart = 1.75 * radius + self.gap_mm
            if not is_late:
                return [self._part(0, -0.5 * apart, 1.0), self._part(1, 0.5 * apart, 0.75)]
            return self._joined(0.4 * apart, (1.2, 0.92))
        apart = 1.4 * radius + self.gap_mm
        if is_late:
            return [self._part(0, -0.5 * apart, 0.8), self._part(1, 0.5 * apart, 0.6)]
        return self._joined(0.5 * apart, (0.95, 0.8))

    def _part(self, which: int, along_mm: float, scale: float) -> Blob:
        center = (self.center[0] + along_mm * self.axis[0],
                  self.center[1] + along_mm * self.axis[1], self.center[2])  # fmt: skip
        radii = (self.radii[0] * scale, self.radii[1] * scale, self.radii[2] * scale)
        return Blob(self.ids[which], center, radii)

    def _joined(self, half_mm: float, scales: tuple[float, float]) -> list[Blob]:
        first, second = self._part(0, -half_mm, scales[0]), self._part(0, half_mm, scales[1])
        # Never thinner than the sampling, so that one lesion is one piece of the mask.
        thick = max(0.62 * min(self.radii), 0.3 * self.gap_mm)
        bridge = Blob(self.ids[0], first.center, (thick, thick, thick), second.center)
        return [first, second, bridge]

    @property
    def reach_mm(self) -> tuple[float, float]:
        """Largest extent from the centre in the slice plane and along z, over all sessions."""
        radius = max(self.radii[0], self.radii[1])
        if self.kind == "merged":
            return 0.5 * (1.75 * radius + self.gap_mm) + radius * 1.05, self.radii[2] * 1.25
        if self.kind == "split":
            return 0.5 * (1.4 * radius + self.gap_mm) + radius, self.radii[2]
        if self.kind == "running":
            return radius * 1.1, 0.0
        return radius * 1.35, self.radii[2] * 1.35


@dataclass(frozen=True)
class Field:
    """Where lesions may lie and how large they are.

    Args:
        zones: (centre, semi-axes) in scene mm; one is chosen for each course.
        through: zone of the lesion that runs through the whole view.
        half_mm: half the field of view along x, y, z.
        poses: (4, 4) scene to world of each session; the world's origin is the middle of the view.
        radius_mm: smallest and largest radius of a part of scale 1.
        gap_mm: distance that keeps two lesions apart in the coarsest sampling.
        is_flat: draw some as thin cracks.
    """

    zones: tuple[tuple[Point, Point], ...]
    through: tuple[Point, Point]
    half_mm: Point
    poses: tuple[NDArray[np.float64], ...]
    radius_mm: tuple[float, float]
    gap_mm: float
    is_flat: bool = False


def place_courses(rng: np.random.Generator, kinds: tuple[str, ...], field: Field) -> list[Course]:
    """Place the courses of one subject so that they neither touch nor leave the field of view.

    A course for which there is no room (tiny fields of view) is left out: truth that two lesions blur
    into one would be no truth.
    """
    placed: list[Course] = []
    turns = max(len(field.poses) - 1, 1)
    for kind in kinds:
        draw = np.random.default_rng(rng.integers(0, 2**63))
        for _ in range(TRIES):
            course = _candidate(draw, kind, turns, field)
            if fits(course, placed, field):
                placed.append(course)
                break
    return number_courses(placed, len(field.poses))


def _candidate(rng: np.random.Generator, kind: str, turns: int, field: Field) -> Course:
    zone, extent = field.zones[int(rng.integers(len(field.zones)))]
    if kind == "running":
        zone, extent = field.through
    center = draw_within(rng, zone, extent)
    radius = rng.uniform(*field.radius_mm)
    flat = field.is_flat and kind in ("stable", "running", "enlarging", "new", "resolved")
    shape = np.array([1.5, 0.5, 1.3]) if flat else rng.uniform(0.85, 1.12, 3)
    radii = radius * shape
    radii[2] = min(radii[2], 0.3 * field.half_mm[2])
    if kind == "running":  # a crack through the whole specimen, far out of view at both ends
        radii[2], center[2] = 20 * field.half_mm[2], 0.0
    angle = rng.uniform(0, 2 * np.pi)
    return Course(
        kind, int(rng.integers(turns)), point(center), point(radii),
        (float(np.cos(angle)), float(np.sin(angle))), field.gap_mm, (0, 0),
        float(rng.uniform(0.8, 1.3)),
    )  # fmt: skip


def fits(course: Course, placed: list[Course], field: Field) -> bool:
    """Whether it stays in view in every session and keeps away from the others."""
    reach = course.reach_mm
    for pose in field.poses:
        at = pose[:3, :3] @ course.center + pose[:3, 3]
        margins = (reach[0], reach[0], reach[1] + 0.08 * reach[0])
        if any(abs(at[a]) + margins[a] > field.half_mm[a] for a in range(3)):
            return False
    for other in placed:
        offset = np.subtract(course.center, other.center)
        if "running" in (course.kind, other.kind):  # one of them is there at every height
            offset = offset[:2]
        apart = float(np.linalg.norm(offset))
        if apart < reach[0] + other.reach_mm[0] + field.gap_mm:
            return False
    return True


def number_courses(courses: list[Course], sessions: int) -> list[Course]:
    """Give identities from 1 in the order in which the lesions appear."""
    first: dict[tuple[int, int], int] = {}
    marked = [replace(course, ids=(1, 2)) for course in courses]
    for session in range(sessions):
        for number, course in enumerate(marked):
            for blob in course.blobs(session):
                first.setdefault((number, blob.lesion_id), len(first) + 1)
    return [
        replace(course, ids=(first.get((n, 1), 0), first.get((n, 2), 0)))
        for n, course in enumerate(courses)
    ]


def blob_distances(canvas: Canvas, blobs: list[Blob]) -> list[tuple[Blob, Box, FloatArray]]:
    """Return box and signed distance of every part that meets the grid, with a lobed surface."""
    found = []
    for blob in blobs:
        reach = max(blob.radii) * 1.15 + canvas.voxel_mm
        box = canvas.along(blob.center, blob.end or blob.center, reach)
        if box is None:
            continue
        xyz = canvas.coordinates(box)
        if blob.end is not None:
            distance = capsule(xyz, blob.center, blob.end, (blob.radii[0], blob.radii[0]))
        else:
            distance = ellipsoid(xyz, blob.center, blob.radii)
            small = min(blob.radii)
            wave = np.float32(2.6 / small)
            for a in range(3):
                distance = distance + np.float32(0.035 * small) * np.sin(
                    wave * (xyz[a] - np.float32(blob.center[a])) + np.float32(a + blob.lesion_id)
                )
        found.append((blob, box, distance))
    return found
