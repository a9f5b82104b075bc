"""Liver, spleen, kidneys, stomach, bowel, heart, great vessels, airways and their trees.

Everything is drawn from the subject's own generator before anything is painted, so that each session
and each grid shows the same anatomy. Scene axes as in `torso.py`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from somray.phantom.anatomy.torso import Trunk, cavity, dome_height
from somray.phantom.drawing.painter import Painter
from somray.phantom.drawing.shapes import Point, ellipse, ellipsoid, point, ripple
from somray.phantom.drawing.vessels import Rod, draw_bowel, draw_lung_vessels, grow_tree

__all__ = ["Trees", "draw_trees", "paint_organs"]


@dataclass(frozen=True)
class Trees:
    """Branching structures of one subject, as rods in scene mm."""

    lung_vessels: tuple[Rod, ...]
    bronchi: tuple[Rod, ...]
    liver_vessels: tuple[Rod, ...]
    bowel: tuple[Rod, ...]


def draw_trees(rng: np.random.Generator, body: Trunk) -> Trees:
    """Draw the vessels of lungs and liver, the bronchi and the bowel of one subject."""

    def in_lung(point: NDArray[np.float64]) -> bool:
        x, y, z = (np.asarray([v], dtype=np.float32) for v in point)
        wall = float(cavity((x, y, z), body)[0])
        return wall < -6 and point[2] > float(dome_height(x, y, body)[0]) + 4

    def in_liver(point: NDArray[np.float64]) -> bool:
        return bool((((point - (-62, -8, -40)) / (72, 62, 52)) ** 2).sum() < 1)

    vessels: list[Rod] = []
    bronchi: list[Rod] = []
    for side in (-1.0, 1.0):
        vessels += draw_lung_vessels(rng, (side * 30.0, 14.0, 72.0), 6, in_lung)
        for step in ((16, 9, -20), (18, -6, 12)):
            head = point((side * step[0], *step[1:]))
            bronchi += grow_tree(rng, ((side * 22.0, 22.0, 78.0), head, 4.5), 3, in_lung)
    liver: list[Rod] = []
    for turn in ((-24, 8, 4), (-14, -10, 16), (16, -16, 8), (-20, 14, -18)):
        liver += grow_tree(rng, ((-36.0, 2.0, -34.0), point(turn), 5.6), 5, in_liver)
    bowel = draw_bowel(
        rng, (60, -45, -70), ((-85, -66, -150), (88, -18, -62)), 60, ((14, 22), (9, 12))
    )
    return Trees(tuple(vessels), tuple(bronchi), tuple(liver), tuple(bowel))


def paint_organs(painter: Painter, body: Trunk, trees: Trees) -> None:
    """Paint chest and belly in the order in which they lie over each other."""
    painter.rods(trees.lung_vessels, "vein")
    painter.rods(trees.bronchi, "airway", wall_mm=1.4)
    painter.rods(trees.bronchi, "air")
    _paint_heart(painter, body)
    _paint_belly(painter, body, trees)
    _paint_kidneys(painter, body)
    _paint_great_vessels(painter)


def _paint_solid(
    painter: Painter, body: Trunk, tissue: str, place: tuple[Point, Point], phase: int
) -> None:
    """Paint an undulating ellipsoid (centre, semi-axes) that stays inside the trunk's wall."""
    center, radii = place
    box = painter.canvas.around(center, (radii[0] + 6, radii[1] + 6, radii[2] + 6))
    if box is not None:
        xyz = painter.canvas.coordinates(box)
        solid = ellipsoid(xyz, center, radii) + ripple(xyz, body.phases, phase, 55.0, 3.0)
        painter.fill(box, np.maximum(solid, cavity(xyz, body) + 2), tissue)


def _paint_heart(painter: Painter, body: Trunk) -> None:
    dx, dy, dz = body.heart

    def at(x: float, y: float, z: float) -> Point:
        return x + dx, y + dy, z + dz

    for center, radii, phase, name in (
        (at(20, -26, 62), (60.0, 47.0, 46.0), 1, "fat"),
        (at(24, -26, 62), (53.0, 41.0, 41.0), 2, "heart"),
        (at(40, -18, 58), (24.0, 21.0, 26.0), 4, "blood"),
        (at(6, -44, 60), (24.0, 15.0, 27.0), 5, "blood"),
        (at(-14, -24, 72), (19.0, 21.0, 24.0), 6, "vein"),
        (at(14, 3, 80), (27.0, 13.0, 17.0), 7, "blood"),
    ):
        _paint_solid(painter, body, name, (center, radii), phase)


def _paint_belly(painter: Painter, body: Trunk, trees: Trees) -> None:
    """Paint bowel, stomach, spleen, pancreas and the liver with its vessels and gall bladder."""
    painter.rods(trees.bowel, "gut", wall_mm=2.5)
    painter.rods([r for r in trees.bowel if r.start[1] > -46], "content")
    painter.rods([r for r in trees.bowel if r.start[1] <= -46], "gas", wall_mm=-2.0)
    size = body.size
    stomach: Point = (58.0, -38.0, -22.0)
    for name, center, radii, phase in (
        ("gut", stomach, (44 * size, 35 * size, 38 * size), 8),
        ("content", stomach, (40 * size, 31 * size, 34 * size), 8),
        ("gas", (58.0, -56.0, -20.0), (26 * size, 11 * size, 22 * size), 9),
        ("spleen", (100.0, 32.0, -14.0), (31 * size, 46 * size, 48 * size), 10),
    ):
        _paint_solid(painter, body, name, (center, radii), phase)
    pancreas = [
        Rod((-22, -4, -56), (14, -12, -46), (12, 9)),
        Rod((14, -12, -46), (62, 14, -34), (9, 6)),
    ]
    painter.rods(pancreas, "pancreas")
    box = painter.canvas.box((-150, -110, -130), (80, 110, 40))
    if box is not None:
        xyz = painter.canvas.coordinates(box)
        bulk = ellipsoid(xyz, (-66, 0, -40), (92 * size, 94 * size, 76 * size))
        lobe = ellipsoid(xyz, (0, -52, -16), (74 * size, 32 * size, 38 * size))
        bulk = np.minimum(bulk, lobe) + ripple(xyz, body.phases, 11, 70.0, 3.0)
        under = np.float32(0.75) * (xyz[2] - dome_height(xyz[0], xyz[1], body)) + 3
        notch = -ellipse(xyz[0] + 10, xyz[1] - 46, 34, 46)  # room for spine and vessels
        liver = np.maximum(np.maximum(bulk, under), np.maximum(cavity(xyz, body) + 2, notch))
        painter.fill(box, liver, "liver")
    painter.rods(trees.liver_vessels, "vein")
    _paint_solid(painter, body, "bile", ((-42.0, -48.0, -62.0), (14.0, 17.0, 22.0)), 3)


def _paint_kidneys(painter: Painter, body: Trunk) -> None:
    for side, low in ((-1.0, -86.0), (1.0, -76.0)):
        center = (side * 66.0, 42.0, low)
        size = body.size
        for radii, shift, name in (
            ((36.0, 33.0, 62.0), 0.0, "fat"),
            ((28 * size, 25 * size, 52 * size), 0.0, "kidney"),
            ((17 * size, 14 * size, 40 * size), 4.0, "medulla"),
            ((11 * size, 8 * size, 27 * size), 11.0, "fat"),
        ):
            place = (center[0] - side * shift, center[1] - shift / 3, center[2])
            _paint_solid(painter, body, name, (place, radii), 5)


def _paint_great_vessels(painter: Painter) -> None:
    """Paint aorta, caval veins, gullet, windpipe and main bronchi."""
    rods = {
        "blood": [Rod((18, 18, -200), (16, 20, 10), (9.5, 11)), Rod((16, 20, 10), (24, 26, 190), (11, 12))],
        "vein": [Rod((-22, 16, -200), (-24, 10, 24), (11.5, 12)), Rod((-24, 10, 24), (-20, -8, 60), (12, 11)),
                 Rod((-24, -12, 84), (-26, -14, 200), (9, 8))],
        "gut": [Rod((8, 22, 10), (4, 26, 200), (7.5, 7.5))],
    }  # fmt: skip
    for name, pieces in rods.items():
        painter.rods(pieces, name)
    painter.rods([Rod((5, 22, 20), (4, 25, 200), (1.8, 1.8))], "air")
    tubes = [
        Rod((0, 8, 200), (0, 14, 92), (8.5, 8.5)),
        Rod((0, 14, 92), (-24, 22, 76), (7, 5.5)),
        Rod((0, 14, 92), (26, 22, 74), (6.5, 5)),
    ]
    painter.rods(tubes, "airway", wall_mm=1.8)
    painter.rods(tubes, "air")
