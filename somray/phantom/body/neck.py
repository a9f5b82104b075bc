"""Brain, eyes, mucosa, glands, throat and neck; what FDG shows there is symmetric."""

import numpy as np

from somray.phantom.body.plan import LABELS, BodyPlan
from somray.phantom.drawing.painter import Painter, Solid
from somray.phantom.drawing.shapes import Point, ellipsoid
from somray.phantom.drawing.vessels import Rod, chain
from somray.phantom.session import FloatArray

__all__ = ["paint_brain", "paint_face", "paint_throat"]

BRAIN = LABELS["brain"]


def paint_brain(painter: Painter, noise: FloatArray) -> None:
    """Paint cerebrum with its ribbon of grey matter, deep nuclei, ventricles and cerebellum."""
    cerebrum = Solid("csf", (0, 3, -76), (65, 84, 66), BRAIN, "brain")
    painter.parts([Solid("csf", (0, 4, -88), (65, 85, 76))])
    found = painter.part(cerebrum)
    if found is not None:
        box, distance = found
        x, y, z = painter.canvas.coordinates(box)
        base = np.maximum(distance, -z - 128 - np.float32(0.12) * y)
        painter.fill(box, base, "grey", BRAIN)
        # Gyri reach in by different depths: the ribbon's inner side follows the lattice.
        folds = painter.canvas.sample(noise, (9.0, 9.0, 9.0), box)
        core = base + np.float32(11.0) + np.float32(5.0) * folds
        painter.fill(box, core, "white", BRAIN)
        painter.fill(box, np.maximum(np.abs(x) - 1.2, base), "csf", BRAIN, most=0.6)
    for side in (-1.0, 1.0):
        painter.parts([
            Solid("basal", (side * 24, -8, -84), (10, 20, 13), BRAIN, "brain"),
            Solid("basal", (side * 11, 16, -86), (8, 13, 9), BRAIN, "brain"),
            Solid("csf", (side * 10, -10, -68), (5, 30, 9), BRAIN, "brain"),
            Solid("grey", (side * 41, -16, -116), (18, 36, 20), BRAIN, "brain", 1.0),
            Solid("cerebellum", (side * 22, 45, -121), (26, 30, 20), BRAIN, "brain", 1.5),
        ])  # fmt: skip
    painter.rods([Rod((0, 22, -118), (0, 20, -160), (12, 8))], "cord", BRAIN, organ="brain")


def paint_face(painter: Painter, plan: BodyPlan) -> None:
    """Paint eyes and their muscles, the air spaces, mucosa, tongue and salivary glands."""
    parts = [
        Solid("air", (0, -52, -150), (9, 36, 18), 0, "face"),
        Solid("mucosa", (0, -40, -152), (14, 26, 14), LABELS["nasal_mucosa"], "face", 1.0),
        Solid("tongue", (0, -36, -192), (24, 32, 18), 0, "face", 1.5),
    ]
    for side, gland in ((-1.0, "right"), (1.0, "left")):
        parts += [
            Solid("fat", (side * 31, -58, -124), (16, 22, 15), 0, "face"),
            Solid("eye_muscle", (side * 31, -56, -124), (10, 17, 10), LABELS["eye_muscles"], "face"),
            Solid("eye", (side * 31, -74, -124), (12, 12, 12), 0, "face"),
            Solid("air", (side * 24, -50, -155), (11, 14, 15), 0, "face"),
            Solid("parotid", (side * 54, -2, -178), (11, 16, 24), LABELS[f"parotid_gland_{gland}"], "glands", 1.5),
            Solid("submandibular", (side * 30, -34, -222), (10, 15, 11),
                 LABELS[f"submandibular_gland_{gland}"], "glands", 1.0),
            Solid("tonsil", (side * 17, -16, -190), (7, 9, 12), LABELS["palatine_tonsils"], "face"),
        ]  # fmt: skip
    painter.parts(parts)


def paint_throat(painter: Painter, plan: BodyPlan) -> None:
    """Paint larynx, windpipe, gullet, thyroid, the vessels of the neck, and brown fat if there is any."""
    painter.parts([
        Solid("larynx", (0, -20, -250), (17, 17, 18), LABELS["larynx"], "neck", 1.0),
        *(Solid("thyroid", (side * 20, -12, -282), (10, 11, 22), LABELS["thyroid_gland"], "neck", 1.0)
          for side in (-1.0, 1.0)),
    ])  # fmt: skip
    air: list[Point] = [(0, -8, -180), (0, -16, -240), (0, -6, -290), (0, 12, -376)]
    tubes = chain(air, (7.5, 7.5))
    for side, far in ((-1.0, 28.0), (1.0, 34.0)):
        tubes.append(Rod((0, 12, -376), (side * far, 16, -402), (7, 5)))
    painter.rods(tubes, "airway", wall_mm=1.8)
    painter.rods(tubes, "air")
    gullet: list[Point] = [(2, 14, -270), (4, 34, -400), (18, 30, -480)]
    painter.rods(chain(gullet, (7, 7)), "esophagus")
    for side in (-1.0, 1.0):
        line: list[Point] = [(side * 30, 4, -180), (side * 28, 2, -270), (side * 14, -6, -345)]
        for shift, radius in ((0.0, 3.5), (side * 9.0, 5.5)):
            moved: list[Point] = [(p[0] + shift, p[1] + 3, p[2]) for p in line]
            rods = chain(moved, (radius, radius))
            painter.rods(rods, "blood")
    if "brown_fat" in plan.has:
        _paint_brown_fat(painter, plan)


def _paint_brown_fat(painter: Painter, plan: BodyPlan) -> None:
    """Paint symmetric patches above the collar bones and beside the spine."""
    label = LABELS["brown_fat"]
    for side in (-1.0, 1.0):
        patches = [
            Solid("brown_fat", (side * 52, 14, -276), (13, 11, 22), label, "neck", 3.0),
            Solid("brown_fat", (side * 82, 10, -302), (26, 10, 10), label, "neck", 3.0),
            Solid("brown_fat", (side * 122, 14, -318), (15, 9, 10), label, "neck", 2.5),
            *(Solid("brown_fat", (side * 31, 62, -330 - 24 * k), (6, 6, 8), label, "neck")
              for k in range(4)),
        ]  # fmt: skip
        for part in patches:
            found = painter.part(part)
            if found is None:
                continue
            # Warm fat is fat: it never takes the lung, the spine or the muscle of the heart.
            box, distance = found
            head = ellipsoid(painter.canvas.coordinates(box), (0, 4, -90), (75, 95, 88))
            painter.fill(box, np.maximum(distance, -head), part.tissue, label)
