"""Lesions of bodies and heads: drawn at anatomical sites, solid, faint or with a cold core.

They live over sessions as `lesions.Course` says. A lesion's truth is everything within its surface, the
core too.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from somray.phantom.drawing.canvas import Box, Canvas, Material
from somray.phantom.drawing.shapes import Point, draw_within, ellipsoid, point
from somray.phantom.lesions import Blob, Course, Field, fits, number_courses
from somray.phantom.session import FloatArray

__all__ = ["Lesion", "Site", "blob_surface", "paint_placed", "place_lesions"]

TRIES = 150
LOBES = 0.14
"""Height of the surface's lobes relative to the radius, at one standard deviation of the lattice."""
KINDS_OF_COURSE = ("stable", "enlarging", "shrinking", "new", "resolved")

GROUND = 70.0
"""Percentile of the values around a lesion that counts as its background: what it must stand out from."""


@dataclass(frozen=True)
class Site:
    """Where lesions of one sort lie.

    Args:
        region: what lesions.csv calls it.
        center: scene mm.
        extent: semi-axes of the ellipsoid that holds the lesions' centres.
        radius_mm: smallest and largest radius.
        within: organ that must hold them: lung, liver or belly; empty where the place is enough.
        weight: how often it is chosen.
    """

    region: str
    center: Point
    extent: Point
    radius_mm: tuple[float, float]
    within: str
    weight: float = 1.0


@dataclass(frozen=True)
class Lesion:
    """One lesion of a subject.

    Args:
        course: where it lies and what it does.
        kind: solid, faint or cold_core.
        site: where it was drawn.
        value: what it measures in the channel that shows it; of a faint one, times its background.
        core: radius of the cold core as a share of the lesion's.
    """

    course: Course
    kind: str
    site: Site
    value: float
    core: float = 0.0


Inside = Callable[[Site, Point, float], bool]


def place_lesions(
    rng: np.random.Generator, wishes: Sequence[str], sites: Sequence[Site], field: Field,
    is_inside: Inside,
) -> list[Lesion]:  # fmt: skip
    """Place one lesion for each wished kind so that none touch and all stay in view.

    Args:
        rng: source of the draws.
        wishes: kind of each lesion.
        sites: where they may lie.
        field: the view; its radii bound the sites' below.
        is_inside: whether a lesion of this site, centre and radius lies in its organ.

    Returns:
        Those for which there was room, with identities in the order in which they appear.
    """
    placed: list[Lesion] = []
    for kind in wishes:
        draw = np.random.default_rng(rng.integers(0, 2**63))
        for _ in range(TRIES):
            lesion = _candidate(draw, kind, sites, field)
            course, radius = lesion.course, max(lesion.course.radii)
            if not is_inside(lesion.site, course.center, radius):
                continue
            if fits(course, [p.course for p in placed], field):
                placed.append(lesion)
                break
    courses = number_courses([p.course for p in placed], len(field.poses))
    return [replace(p, course=c) for p, c in zip(placed, courses, strict=True)]


def _candidate(rng: np.random.Generator, kind: str, sites: Sequence[Site], field: Field) -> Lesion:
    weights = np.array([s.weight * (s.radius_mm[1] > 12 or kind != "cold_core") for s in sites])
    site = sites[int(rng.choice(len(sites), p=weights / weights.sum()))]
    center = draw_within(rng, site.center, site.extent)
    least, most = max(site.radius_mm[0], field.radius_mm[0]), site.radius_mm[1]
    if kind == "cold_core":
        least = max(least, 11.0)
    radius = float(np.exp(rng.uniform(np.log(least), np.log(max(most, least)))))
    radii = radius * rng.uniform(0.85, 1.15, 3)
    if len(field.poses) > 1:
        change = str(rng.choice(KINDS_OF_COURSE, p=(0.3, 0.2, 0.2, 0.15, 0.15)))
        turn = int(rng.integers(len(field.poses) - 1))
    else:
        change, turn = "stable", 0
    course = Course(
        change, turn, point(center), point(radii), (1.0, 0.0), field.gap_mm, (0, 0), 1.0
    )  # fmt: skip
    return Lesion(course, kind, site, *_look(rng, kind, radius))


def _look(rng: np.random.Generator, kind: str, radius: float) -> tuple[float, float]:
    """Draw value and core of a lesion; a core leaves a rim of 5 mm or a quarter of the radius."""
    if kind == "faint":
        return float(rng.uniform(2.0, 2.5)), 0.0
    value = float(np.exp(rng.uniform(np.log(3.5), np.log(20.0))))
    if kind == "cold_core":
        return max(value, 6.0), float(1 - max(5.0, 0.25 * radius) / radius)
    return value, 0.0


def blob_surface(
    canvas: Canvas, blob: Blob, noise: FloatArray, grow_mm: float = 0.0
) -> tuple[Box, FloatArray] | None:
    """Return box and signed distance of one lesion, lobed by the subject's lattice.

    Args:
        canvas: whose grid it is asked on.
        blob: the lesion in one session.
        noise: periodic lattice of unit variance.
        grow_mm: widens it.
    """
    radii = (blob.radii[0] + grow_mm, blob.radii[1] + grow_mm, blob.radii[2] + grow_mm)
    radius = max(radii)
    reach = 1.3 * radius + 2 * canvas.voxel_mm
    box = canvas.around(blob.center, (reach, reach, reach))
    if box is None:
        return None
    # What is hardly larger than a voxel stays round, so that it neither vanishes nor breaks.
    height = LOBES * max(min(radii) - 1.5 * max(canvas.geometry.spacing_mm), 0.0)
    grain = 0.45 * radius
    lobes = np.clip(canvas.sample(noise, (grain, grain, grain), box), -1.5, 1.5)
    distance = ellipsoid(canvas.coordinates(box), blob.center, radii)
    return box, np.asarray(distance + np.float32(height) * lobes, dtype=np.float32)


def paint_placed(
    canvas: Canvas, lesions: Sequence[Lesion], session: int, noise: FloatArray,
    materials: Callable[[Lesion, float], tuple[Material, Material]],
) -> NDArray[np.int32]:  # fmt: skip
    """Paint the lesions of one session.

    Args:
        canvas: what is painted on.
        lesions: of the subject.
        session: which one.
        noise: lattice that lobes their surfaces.
        materials: from a lesion and what its surroundings measure: its rim (all of it, if solid), its core.

    Returns:
        (z, y, x) int32 mask of identities; a voxel belongs to a lesion when its centre lies inside.
    """
    mask = np.zeros(canvas.shape, dtype=np.int32)
    for lesion in lesions:
        for blob in lesion.course.blobs(session):
            found = blob_surface(canvas, blob, noise)
            if found is None:
                continue
            box, distance = found
            held = canvas.held(box)
            outside = canvas.value[held][distance > 0.5 * canvas.voxel_mm]
            around = float(np.percentile(outside, GROUND)) if outside.size else 0.0
            rim, core = materials(lesion, around)
            canvas.paint(box, distance, rim)
            if lesion.core > 0:
                thick = np.float32((1 - lesion.core) * min(blob.radii))
                canvas.paint(box, distance + thick, core)
            mask[held][distance < 0] = blob.lesion_id
    return mask
