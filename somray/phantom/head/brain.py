"""Brain, ventricles, sinuses and arteries."""

from itertools import pairwise

import numpy as np

from somray.phantom.drawing.painter import Painter, Solid
from somray.phantom.drawing.shapes import Point, ripple
from somray.phantom.drawing.vessels import Rod, chain
from somray.phantom.head.plan import LABELS, Head
from somray.phantom.head.skull import inside_skull
from somray.phantom.session import FloatArray

__all__ = ["cerebrum", "paint_brain"]

BRAIN = LABELS["brain"]


def cerebrum(xyz: tuple[FloatArray, ...], head: Head) -> FloatArray:
    """Return the distance to the brain's surface, its furrows left out."""
    return inside_skull(xyz, head) + np.float32(2.0 + 1.2 * head.furrows)


def paint_brain(painter: Painter, head: Head, noise: FloatArray) -> None:
    """Paint the brain's ribbon and white matter, its furrows, nuclei, ventricles and vessels."""
    box = painter.canvas.whole
    xyz = painter.canvas.coordinates(box)
    x, y, z = xyz
    surface = cerebrum(xyz, head)
    painter.fill(box, surface, "grey", BRAIN)
    folds = painter.canvas.sample(noise, (8.0, 8.0, 10.0))
    core = surface + np.float32(9.0) + np.float32(4.0) * folds
    painter.fill(box, core, "white", BRAIN)
    # Furrows: the lattice's zero level, open towards the surface, wider in old brains.
    furrow = np.abs(painter.canvas.sample(noise, (11.0, 11.0, 13.0)) + np.float32(0.2))
    furrow = np.float32(9.0) * furrow - np.float32(0.8 * head.furrows)
    depth = np.maximum(surface, -surface - np.float32(5.0 + 5.0 * head.furrows))
    painter.fill(box, np.maximum(furrow, depth), "fluid", BRAIN, most=0.8)
    bent = x + ripple(xyz, head.phases, 8, 90.0, 1.0)
    fissure = np.maximum(
        np.abs(bent) - np.float32(0.8 + 0.5 * head.furrows), 12 - np.hypot(y, z + 20) + 16
    )
    painter.fill(box, np.maximum(fissure, np.maximum(surface, -z - 22)), "fluid", BRAIN)
    falx = np.maximum(np.abs(bent) - np.float32(0.7), np.maximum(surface - 3, 44 - np.hypot(y, z)))
    painter.fill(box, np.maximum(falx, -z - 14), "dura", most=0.8)
    _paint_hind(painter)
    _paint_ventricles(painter, head)
    _paint_vessels(painter)


def _paint_hind(painter: Painter) -> None:
    """Paint deep nuclei, brain stem and cerebellum, with the tent over it."""
    parts = []
    for side in (-1.0, 1.0):
        parts += [
            Solid("nuclei", (side * 24, -6, 2), (9, 18, 12), BRAIN, "", 1.0),
            Solid("nuclei", (side * 11, 14, 0), (8, 13, 9), BRAIN, "", 1.0),
            Solid("dura", (side * 26, 48, -36), (29, 28, 24), BRAIN, "", 1.5),
            Solid("cerebellum", (side * 24, 48, -40), (27, 28, 23), BRAIN, "", 1.5),
        ]
    parts += [
        Solid("cerebellum", (0, 50, -40), (14, 24, 22), BRAIN, "", 1.0),
        Solid("fluid", (0, 14, -40), (20, 15, 22), BRAIN),
        Solid("white", (0, 18, -40), (15, 13, 30), BRAIN, "", 1.0),
        Solid("fluid", (0, 34, -44), (6, 4, 10), LABELS["ventricles"]),
        Solid("fluid", (0, -12, -26), (14, 10, 7), BRAIN),
    ]
    painter.parts(parts)
    painter.rods([Rod((0, 20, -60), (0, 26, -130), (7, 6))], "white", BRAIN)


def _paint_ventricles(painter: Painter, head: Head) -> None:
    """Paint side ventricles with their plexus, and the third."""
    wide, fluid = head.ventricles, LABELS["ventricles"]
    for side, name in ((-1.0, "right"), (1.0, "left")):
        line: list[Point] = [(side * 14, -34, 8), (side * 10, -8, 20), (side * 16, 22, 18), (side * 24, 42, 8),
                             (side * 22, 62, 6)]  # fmt: skip
        radii = (5.0, 5.5, 5.0, 6.0, 2.0)
        rods = [
            Rod(a, b, (radii[k] * wide, radii[k + 1] * wide))
            for k, (a, b) in enumerate(pairwise(line))
        ]
        rods.append(Rod(line[3], (side * 34, 14, -18), (4.5 * wide, 2.5 * wide)))
        painter.rods(rods, "fluid", fluid, organ="ventricles")
        plexus = [Rod((side * 12, 10, 15), (side * 22, 38, 8), (1.6, 3.2)),
                  Rod((side * 22, 38, 8), (side * 29, 24, -6), (3.2, 1.8))]  # fmt: skip
        painter.rods(plexus, "plexus", LABELS[f"choroid_plexus_{name}"], organ="ventricles")
    painter.parts([Solid("fluid", (0, 6, 0), (2.2 * wide, 16, 12), fluid, "ventricles")])


def _paint_vessels(painter: Painter) -> None:
    """Paint the great venous sinuses, the arteries at the base, the pituitary."""
    arc: list[Point] = [(0, 84.5 * float(np.cos(a)), 66.5 * float(np.sin(a)))
                        for a in np.deg2rad(np.linspace(-14, 150, 15))]  # fmt: skip
    sinus = LABELS["venous_sinus"]
    painter.rods(chain(arc, (3.4, 3.4)), "sinus", sinus)
    rods = [Rod((0, 52, 2), (0, 80, -14), (2.2, 2.8)), Rod((0, 24, 8), (0, 52, 2), (1.8, 2.2))]
    arteries = []
    for side in (-1.0, 1.0):
        line: list[Point] = [(0, 81, -18), (side * 36, 68, -26), (side * 54, 40, -34), (side * 44, 24, -52),
                             (side * 34, 14, -64)]  # fmt: skip
        rods += chain(line, (3.6, 3.6))
        path: list[Point] = [(side * 18, 0, -64), (side * 13, -10, -40), (side * 12, -16, -30), (side * 26, -20, -26),
                             (side * 44, -14, -18), (side * 54, 2, -6), (side * 58, 22, 6)]  # fmt: skip
        arteries += chain(path[:5], (2.3, 2.0))
        arteries += chain(path[4:], (1.4, 1.0))
        arteries += [Rod((side * 12, -16, -30), (side * 2, -28, -22), (1.5, 1.4)),
                     Rod((side * 2, -28, -22), (side * 2, -52, 6), (1.3, 1.0)),
                     Rod((0, 2, -30), (side * 20, 20, -22), (1.6, 1.2))]  # fmt: skip
    arteries.append(Rod((0, 4, -58), (0, 2, -30), (2.0, 2.0)))
    painter.rods(rods, "sinus", sinus)
    painter.rods(arteries, "vessel", LABELS["arteries"])
    painter.parts([Solid("pituitary", (0, -14, -38), (6, 5, 4), LABELS["pituitary"])])
