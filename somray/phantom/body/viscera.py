"""Heart and great vessels, the belly's organs, and the pelvis's."""

from itertools import pairwise

import numpy as np

from somray.phantom.body.outline import liver
from somray.phantom.body.plan import COLON, LABELS, BodyPlan
from somray.phantom.drawing.painter import Painter, Solid
from somray.phantom.drawing.shapes import Point, point
from somray.phantom.drawing.vessels import Rod, chain

__all__ = [
    "BLADDER",
    "COLON_PIECES",
    "LOOP_PIECES",
    "paint_belly",
    "paint_chest",
    "paint_pelvis_organs",
]

BLADDER: Point = (0.0, -14.0, -806.0)
"""The bladder's lowest middle: a full one rises from here."""
COLON_PIECES, LOOP_PIECES = len(COLON) - 1, 6
"""How many pieces of large and small bowel have an uptake of their own."""
HEART = LABELS["heart"]


def _axis_frame(
    axis: tuple[float, float, float],
) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Return a right-handed frame whose third column is the axis."""
    third = np.array(axis) / np.linalg.norm(axis)
    first = np.cross([0.0, 0.0, 1.0], third)
    first /= np.linalg.norm(first)
    return np.stack([first, np.cross(third, first), third], axis=1)


def paint_chest(painter: Painter, plan: BodyPlan) -> None:
    """Paint the vessels of the lungs, the heart with its left ventricle, and the great vessels."""
    painter.rods(plan.lung_vessels, "blood")
    frame = _axis_frame((0.66, -0.6, -0.45))
    painter.parts([
        Solid("fat", (14, -22, -438), (60, 48, 52), 0, "heart", 2.5),
        Solid("ventricle_right", (8, -42, -446), (44, 24, 38), HEART, "heart", 2.0),
        Solid("blood", (8, -42, -446), (39, 19, 33), HEART, "heart", 2.0),
        Solid("blood", (-26, -12, -430), (25, 26, 34), HEART, "heart", 2.0),
        Solid("blood", (10, 10, -418), (32, 18, 24), HEART, "heart", 2.0),
        Solid("myocardium", (40, -24, -448), (33, 33, 46), HEART, "heart", 1.0, frame),
        Solid("blood", (36.5, -20.8, -445.6), (20.5, 20.5, 36), HEART, "heart", 0.0, frame),
        Solid("blood", (20, -6, -434), (19, 19, 16), HEART, "heart", 0.0, frame),
    ])  # fmt: skip
    aorta = LABELS["aorta"]
    arch: list[Point] = [(8, -22, -420), (-6, -30, -385), (0, -20, -356), (14, 4, -348), (24, 26, -362),
                         (26, 36, -400), (22, 34, -480), (16, 24, -560), (10, 12, -640), (4, 8, -690)]  # fmt: skip
    painter.rods(chain(arch[:7], (12.5, 12)), "blood", aorta)
    painter.rods(chain(arch[6:], (10.5, 9)), "blood", aorta)
    cava: list[Point] = [
        (-24, -14, -330),
        (-26, -12, -420),
        (-22, 12, -490),
        (-18, 16, -560),
        (-16, 12, -690),
    ]
    painter.rods(chain(cava, (9, 11)), "blood")
    for side in (-1.0, 1.0):
        trunk: list[Point] = [(4, -14, -404), (side * 36, 6, -408)]
        painter.rods([Rod(trunk[0], trunk[1], (13, 9))], "blood")
        down: list[Point] = [(side * 4, 9, -690), (side * 40, 12, -738), (side * 56, -28, -800),
                             (side * 66, -36, -850), (side * 74, -16, -1000)]  # fmt: skip
        for shift in (0.0, 10.0):
            moved: list[Point] = [(p[0] - side * 0.6 * shift, p[1] + shift, p[2]) for p in down]
            painter.rods(chain(moved, (5.5, 5)), "blood")
        arm: list[Point] = [(side * 16, -8, -344), (side * 70, -2, -314), (side * 140, 8, -332)]
        painter.rods(chain(arm, (5, 4)), "blood")


def paint_belly(painter: Painter, plan: BodyPlan) -> None:
    """Paint muscles beside the spine, bowel, stomach, spleen, pancreas, liver and kidneys."""
    for side in (-1.0, 1.0):
        line: list[Point] = [
            (side * 34, 44, -580),
            (side * 42, 44, -660),
            (side * 62, 22, -740),
            (side * 84, -14, -805),
        ]
        painter.rods(chain(line, (15, 18)), "muscle")
    _paint_bowel(painter, plan)
    stomach = LABELS["stomach"]
    painter.parts([
        Solid("stomach_wall", (58, -28, -516), (40, 36, 46), stomach, "stomach", 2.5),
        Solid("stomach_content", (58, -28, -516), (34, 30, 40), stomach, "stomach", 2.5),
        Solid("gas", (58, -46, -506), (24, 10, 22), stomach, "stomach"),
        Solid("stomach_wall", (14, -42, -560), (34, 16, 16), stomach, "stomach", 1.5),
        Solid("spleen", (100, 42, -524), (27, 42, 50), LABELS["spleen"], "spleen", 2.5),
    ])  # fmt: skip
    painter.rods([Rod((-24, -6, -580), (14, -14, -566), (13, 10)), Rod((14, -14, -566), (70, 18, -540), (10, 7))],
                 "pancreas")  # fmt: skip
    box = painter.canvas.box((-150, -110, -640), (90, 110, -440))
    if box is not None:
        painter.fill(box, liver(painter.canvas.coordinates(box), plan), "liver", LABELS["liver"])
    # fmt: off
    vessels = [Rod((-30, 2, -552), (-62, -6, -520), (7, 5)), Rod((-62, -6, -520), (-100, 0, -505), (5, 3)),
               Rod((-62, -6, -520), (-72, -46, -505), (4, 3)), Rod((-22, 8, -490), (-66, 20, -480), (5, 3))]
    # fmt: on
    painter.rods(vessels, "blood", LABELS["liver"], organ="liver")
    painter.parts([Solid("gallbladder", (-46, -50, -582), (12, 16, 22), 0, "liver", 1.0)])
    for side, name in ((-1.0, "kidney_right"), (1.0, "kidney_left")):
        _paint_kidney(painter, plan, side, name)


def _paint_bowel(painter: Painter, plan: BodyPlan) -> None:
    """Paint small bowel in a few stretches and large bowel piece by piece, each with its own uptake."""
    for k, rod in enumerate(plan.bowel):
        piece = LOOP_PIECES * k // len(plan.bowel)
        painter.rods([rod], f"loop{piece}", LABELS["small_bowel"], 1.5, "bowel")
        inner = Rod(rod.start, rod.end, (0.5 * rod.radii[0], 0.5 * rod.radii[1]))
        painter.rods([inner], "content", LABELS["small_bowel"], organ="bowel")
    for k, (a, b) in enumerate(pairwise(map(point, COLON))):
        width = 17.0 if k > 9 else 22.0
        painter.rods([Rod(a, b, (width, width))], f"colon{k}", LABELS["colon"], organ="bowel")
        inside = "gas" if k in (3, 4, 5) else "content"
        painter.rods([Rod(a, b, (width - 8, width - 8))], inside, LABELS["colon"], organ="bowel")


def _paint_kidney(painter: Painter, plan: BodyPlan, side: float, name: str) -> None:
    """Paint fat, cortex, medulla, and the urine in calyces and pelvis; and the ureter's visible spots."""
    label, low = LABELS[name], -578.0 if side < 0 else -566.0
    deep = 46.0
    tilt = np.array([[0.97, 0, -side * 0.24], [0, 1, 0], [side * 0.24, 0, 0.97]])
    center: Point = (side * 64, deep, low)
    hilum: Point = (side * 50, deep - 6, low - 2)
    painter.parts([
        Solid("mesentery", center, (33, 30, 60), 0, name, 1.0, tilt),
        Solid("kidney", center, (26, 24, 50), label, name, 1.5, tilt),
        Solid("medulla", (side * 61, deep - 1, low), (15, 13, 37), label, name, 1.0, tilt),
        Solid("fat", hilum, (10, 9, 20), label, name, 0.0, tilt),
    ])  # fmt: skip
    calyces = [Rod(hilum, (side * 62, deep - 1, low + up), (3.5, 4.5)) for up in (26, 8, -9, -26)]
    painter.rods(calyces, "urine_kidney", label, organ=name)
    below: Point = (side * 44, deep - 10, low - 14)
    painter.rods([Rod(hilum, below, (6.5, 5))], "urine_kidney", label, organ=name)
    if "ureters" not in plan.has:
        return
    ureter = LABELS["ureter_left" if side > 0 else "ureter_right"]
    place = painter.places[name]
    line: list[Point] = [place.moved(below), (side * 36, 24, -660), (side * 42, 20, -735),
                         (side * 46, 34, -780), (side * 18, 10, -812)]  # fmt: skip
    for k, (a, b) in enumerate(pairwise(line)):
        painter.rods(
            [Rod(a, b, (2.2, 2.2))], f"ureter{k}_{'left' if side > 0 else 'right'}", ureter
        )


def paint_pelvis_organs(painter: Painter, plan: BodyPlan, filling: float) -> None:
    """Paint prostate or womb, testes, the bladder and the muscles between.

    Args:
        painter: of one channel.
        plan: the subject's.
        filling: the bladder's size in this session relative to the plan.
    """
    if "male" in plan.has:
        parts = [Solid("prostate", (0, 4, -838), (21, 16, 16), 0, "bladder", 1.0)]
        parts += [Solid("testis", (side * 15, -62, -905), (11, 14, 18), LABELS["testes"], "pelvis", 1.0)
                  for side in (-1.0, 1.0)]  # fmt: skip
        skin = [Solid("skin", (0, -62, -903), (38, 30, 32), 0, "pelvis", 1.0),
                Solid("muscle", (0, -80, -880), (15, 24, 22), 0, "pelvis", 1.0)]  # fmt: skip
        painter.parts(skin + parts)
    else:
        painter.parts([Solid("uterus", (0, 18, -785), (25, 22, 32), 0, "bladder", 1.5)])
    radii = (plan.bladder[0] * filling, plan.bladder[1] * filling, plan.bladder[2] * filling)
    middle: Point = (BLADDER[0], BLADDER[1], BLADDER[2] + radii[2] - 18)
    wall = (radii[0] + 3, radii[1] + 3, radii[2] + 3)
    label = LABELS["urinary_bladder"]
    painter.parts([
        Solid("bladder_wall", middle, wall, label, "bladder", 2.0),
        Solid("urine_bladder", middle, radii, label, "bladder", 2.0),
    ])  # fmt: skip
