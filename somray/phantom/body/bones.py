"""Skull, spine, ribs, shoulders, pelvis and long bones of a whole body: dense shells around marrow."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from somray.phantom.body.outline import CHEST_DEPTH, CHEST_WIDTH, CHEST_Y, arm_bones
from somray.phantom.body.plan import SPINE, BodyPlan, profile, spine_y
from somray.phantom.drawing.canvas import Box
from somray.phantom.drawing.painter import Painter, Solid
from somray.phantom.drawing.shapes import Point, ellipse, ellipsoid
from somray.phantom.drawing.vessels import Rod, chain
from somray.phantom.session import FloatArray

__all__ = ["LEVELS", "paint_bones", "paint_skull"]

LEVELS = (
    *(150.0 + 18.5 * k for k in range(7)), *(282.0 + 24.0 * k for k in range(12)),
    *(574.0 + 33.0 * k for k in range(5)),
)  # fmt: skip
"""Depth of the middle of each vertebra: seven of the neck, twelve of the chest, five of the loins."""

CORTEX_MM = 2.0


def _rods(painter: Painter, rods: Sequence[Rod], marrow: str = "marrow") -> None:
    painter.rods(rods, "cortex")
    painter.rods(rods, marrow, wall_mm=-CORTEX_MM)


def _solids(painter: Painter, parts: Sequence[Solid]) -> list[tuple[Box, FloatArray]]:
    return [found for part in parts if (found := painter.part(part)) is not None]


def paint_skull(painter: Painter) -> None:
    """Paint the skull's shell, the bones of the face and the jaw."""
    shell = Solid("skull", (0, 4, -88), (71, 91, 83), organ="", wave_mm=1.0)
    painter.parts([shell])
    face = [
        Solid("cortex", (0, -50, -140), (44, 32, 44)), Solid("cortex", (0, -58, -178), (32, 26, 16)),
        Solid("cortex", (0, 10, -140), (52, 44, 14)),
    ]  # fmt: skip
    painter.parts(face)
    rods = []
    for side in (-1.0, 1.0):
        points: list[Point] = [(side * 52, 0, -158), (side * 47, -12, -206), (side * 8, -78, -218)]
        rods += chain(points, (6, 7))
        rods.append(Rod((side * 62, -10, -138), (side * 48, -62, -140), (4, 5)))  # cheekbone
    _rods(painter, rods)


def paint_bones(painter: Painter, plan: BodyPlan) -> None:
    """Paint all bone below the skull over the soft tissue."""
    _paint_ribs(painter)
    _paint_shoulders(painter)
    _paint_spine(painter)
    _paint_pelvis(painter)
    _paint_legs(painter)
    _rods(painter, arm_bones(plan), "fatty_marrow")


def _paint_spine(painter: Painter) -> None:
    """Paint discs, vertebral bodies and arches, and the cord in its canal."""
    canvas = painter.canvas
    box = canvas.box((-16, -10, -735), (16, 120, -140))
    if box is not None:
        x, y, z = canvas.coordinates(box)
        middle = y - profile(z, (tuple(map(float, SPINE[0])), tuple(map(float, SPINE[1]))))
        widths = np.interp(-z, (150, 290, 700), (9, 14, 22)).astype(np.float32)
        column = _column(x, middle, widths)
        ends = np.maximum(-z - 722, z + 142)
        painter.fill(box, np.maximum(column, ends), "disc")
    solids = []
    for k, d in enumerate(LEVELS):
        neck, deep = k < 7, spine_y(d)
        wide = 10.0 if neck else 13 + 9 * min((k - 7) / 12, 1.0)
        high = 6.8 if neck else (9.6 if k < 19 else 13.0)
        found = canvas.box(
            (-wide - 3, deep - wide, -d - high - 3), (wide + 3, deep + wide, -d + high + 3)
        )
        if found is None:
            continue
        x, y, z = canvas.coordinates(found)
        body = ellipse(x, y - np.float32(deep), wide, 0.78 * wide)
        solids.append((found, np.maximum(body, np.abs(z + np.float32(d)) - np.float32(high))))
    painter.shells(solids, CORTEX_MM, "marrow")
    _paint_arches(painter)


def _column(x: FloatArray, y: FloatArray, wide: FloatArray) -> FloatArray:
    return np.asarray(np.hypot(x, y / np.float32(0.78)) - wide, dtype=np.float32)


def _paint_arches(painter: Painter) -> None:
    """Paint spinous and transverse processes, and the canal they close behind the bodies."""
    rods, canal = [], []
    for k, d in enumerate(LEVELS):
        deep = spine_y(d)
        size = 0.62 if k < 7 else 1.0
        back = deep + 22 * size
        rods.append(Rod((0, back + 8 * size, -d), (0, back + 28 * size, -d - 14 * size), (4, 3)))
        for side in (-1.0, 1.0):
            root, tip = (side * 9 * size, back, -d), (side * 34 * size, back + 6, -d)
            rods += [Rod(root, tip, (4.5, 3))]
    _rods(painter, rods)
    for upper, lower in pairwise(LEVELS):
        if lower < 650:
            a = (0.0, spine_y(upper) + (15 if upper < 275 else 23), -upper)
            b = (0.0, spine_y(lower) + (15 if lower < 275 else 23), -lower)
            canal.append(Rod(a, b, (7, 7)))
    painter.rods(canal, "csf")
    painter.rods([Rod(r.start, r.end, (4.2, 4.2)) for r in canal], "cord")


def _paint_ribs(painter: Painter) -> None:
    """Paint twelve pairs that slope down to the front, and the breastbone."""
    rods = []
    for number in range(12):
        for side in (-1.0, 1.0):
            line = _rib(side, 294.0 + 25.0 * number)
            rods += chain(line[: 13 if number < 9 else 9], (4.6, 4.6))
    _rods(painter, rods)
    breast = Solid("cortex", (0, -82, -400), (17, 6, 76))
    painter.shells(_solids(painter, [breast]), CORTEX_MM, "marrow")


def _rib(side: float, d: float) -> list[Point]:
    """Return the middle line of one rib, from the spine round to the front."""
    points = []
    for share in np.linspace(0.0, 1.0, 13):
        angle = np.deg2rad(70.0 - 132.0 * share)
        depth = d + 58.0 * share
        wide = float(np.interp(depth, *CHEST_WIDTH)) + 7
        deep = float(np.interp(depth, *CHEST_DEPTH)) + 7
        middle = float(np.interp(depth, *CHEST_Y))
        norm = (abs(np.cos(angle)) ** 2.35 + abs(np.sin(angle)) ** 2.35) ** (-1 / 2.35)
        points.append((
            float(side * wide * norm * np.cos(angle)),
            float(middle + deep * norm * np.sin(angle)), float(-depth),
        ))  # fmt: skip
    return points


def _paint_shoulders(painter: Painter) -> None:
    rods, blades = [], []
    for side in (-1.0, 1.0):
        rods += [Rod((side * 12, -62, -322), (side * 80, -34, -308), (6, 5.5)),
                 Rod((side * 80, -34, -308), (side * 150, 6, -310), (5.5, 6))]  # fmt: skip
        lean = np.array([[0.86, side * -0.5, 0], [side * 0.5, 0.86, 0], [0, 0, 1]])
        blades.append(Solid("cortex", (side * 112, 84, -378), (48, 4.5, 66), turn=lean))
        blades.append(Solid("cortex", (side * 170, 12, -340), (23, 23, 24)))
    _rods(painter, rods)
    painter.shells(_solids(painter, blades), CORTEX_MM, "marrow")


def _paint_pelvis(painter: Painter) -> None:
    """Paint the wings as caps of shells, the sacrum, the sockets and the lower ring."""
    solids = _solids(painter, [Solid("cortex", (0, 76, -768), (50, 18, 54))])
    for side in (-1.0, 1.0):
        box = painter.canvas.around((side * 88, 35, -715), (60, 80, 80))
        if box is not None:
            xyz = painter.canvas.coordinates(box)
            x, y, z = xyz
            bowl = np.abs(ellipsoid(xyz, (side * 40, 20, -722), (86, 78, 92))) - np.float32(5.5)
            outward = np.float32(72) - np.float32(side) * x - np.float32(0.55) * y
            wing = np.maximum(np.maximum(bowl, outward), np.maximum(z + 662, -z - 800))
            solids.append((box, np.maximum(wing, -y - 38)))
    sockets = [Solid("cortex", (side * 88, 12, -806), (33, 33, 33)) for side in (-1.0, 1.0)]
    solids += _solids(painter, sockets)
    painter.shells(solids, CORTEX_MM, "marrow")
    rods = []
    for side in (-1.0, 1.0):
        rods += [Rod((side * 70, -10, -812), (side * 10, -48, -838), (9, 8)),
                 Rod((side * 74, 30, -822), (side * 58, 34, -874), (14, 12)),
                 Rod((side * 58, 34, -874), (side * 14, -38, -858), (8, 6))]  # fmt: skip
    _rods(painter, rods)


def _paint_legs(painter: Painter) -> None:
    heads = [Solid("disc", (side * 90, 12, -812), (27, 27, 27)) for side in (-1.0, 1.0)]
    painter.parts(heads)
    rods = []
    for side in (-1.0, 1.0):
        rods += [Rod((side * 90, 12, -812), (side * 91, 12, -813), (24, 24)),
                 Rod((side * 92, 12, -814), (side * 124, 16, -848), (15, 18)),
                 Rod((side * 122, 14, -852), (side * 104, 4, -960), (17, 15)),
                 Rod((side * 104, 4, -960), (side * 84, 0, -1240), (14, 14))]  # fmt: skip
    painter.rods(rods, "cortex")
    painter.rods(rods, "femur_marrow", wall_mm=-4.0)
