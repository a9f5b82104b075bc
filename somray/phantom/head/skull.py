"""Skin, scalp, skull with its marrow, the face below it: eyes, air spaces, mucosa, glands, muscles."""

import numpy as np

from somray.phantom.drawing.painter import Painter, Solid
from somray.phantom.drawing.shapes import Point, capsule, ellipsoid, ripple
from somray.phantom.drawing.vessels import Rod
from somray.phantom.head.plan import LABELS, Head
from somray.phantom.session import FloatArray

__all__ = ["BRAIN", "inside_skull", "paint_face", "paint_shells"]

XYZ = tuple[FloatArray, ...]
BRAIN: Point = (68.0, 86.0, 68.0)
"""Semi-axes of the space within the skull's vault."""


def inside_skull(xyz: XYZ, head: Head) -> FloatArray:
    """Return the distance to the space within the skull: a vault over a flat and a hind pit."""
    vault = ellipsoid(xyz, (0, 0, 0), BRAIN) + ripple(xyz, head.phases, 2, 110.0, 2.0)
    _, y, z = xyz
    # The floor steps down from the forehead over the temples to the cerebellum.
    floor = -30 - 18 / (1 + np.exp(-(y + 18) / 9)) - 22 / (1 + np.exp(-(y - 14) / 9)) - z
    return np.asarray(np.maximum(vault, np.float32(0.8) * floor), dtype=np.float32)


def _head(xyz: XYZ, head: Head) -> FloatArray:
    """Return the distance to the head without its scalp's fat."""
    thick = head.skull_mm
    dome = ellipsoid(xyz, (0, 0, 0), (BRAIN[0] + thick, BRAIN[1] + thick, BRAIN[2] + thick))
    face = ellipsoid(xyz, (0, -26, -58), (62, 66, 62))
    nose = ellipsoid(xyz, (0, -92, -62), (12, 14, 20))
    neck = capsule(xyz, (0, 26, -50), (0, 34, -200), (58, 58))
    return np.minimum(np.minimum(dome, face), np.minimum(nose, neck))


def paint_shells(painter: Painter, head: Head, noise: FloatArray) -> None:
    """Paint skin, fat, muscle, then the skull's dark tables with patchy marrow between, and dura."""
    box = painter.canvas.whole
    xyz = painter.canvas.coordinates(box)
    x, y, z = xyz
    lean = _head(xyz, head)
    fat = np.float32(head.scalp_mm) + np.where(z < -30, np.float32(2.0), np.float32(0.0))
    painter.fill(box, lean - fat - 2, "skin", LABELS["scalp"])
    painter.fill(box, lean - fat, "scalp", LABELS["scalp"])
    painter.fill(box, lean, "muscle")
    paired = (np.abs(x), y, z)  # muscles lie alike on both sides
    planes = np.abs(ripple(paired, head.phases, 6, 44.0, 4.0)) - np.float32(0.45)
    painter.fill(box, np.maximum(planes, np.maximum(lean + 1, z + 42)), "fat", LABELS["deep_fat"])
    inner = inside_skull(xyz, head)
    thick = np.float32(head.skull_mm)
    bone = inner - thick
    temple = np.maximum(np.maximum(np.abs(y + 12) - 34, -np.abs(x) + 40), np.abs(z + 22) - 34)
    painter.fill(box, np.maximum(bone - np.float32(7), temple), "muscle")
    painter.fill(box, bone, "bone")
    patchy = painter.canvas.sample(noise, (7.0, 7.0, 7.0))
    spots = np.abs(inner - 0.5 * thick) - np.float32(0.5) * (thick - np.float32(3.4))
    spots = spots - np.float32(0.9) * patchy + np.float32(0.5)
    painter.fill(
        box, np.maximum(spots, np.maximum(inner - thick, -inner) + 1), "marrow", LABELS["marrow"]
    )
    painter.fill(box, inner, "dura", most=0.7)
    painter.fill(box, inner + 1, "fluid")


def paint_face(painter: Painter, head: Head) -> None:
    """Paint what lies below and before the brain, most of it in pairs."""
    mucosa = LABELS["nasal_mucosa"]
    painter.parts([
        Solid("bone", (0, -38, -52), (40, 34, 30), 0, "face", 2.0),
        Solid("marrow", (0, 12, -52), (13, 14, 20), LABELS["marrow"], "face", 1.0),  # clivus
        Solid("air", (0, -62, -62), (15, 28, 24), 0, "face", 1.0),
        Solid("mucosa", (0, -62, -62), (3, 28, 24), mucosa, "face"),
        Solid("air", (0, -24, -46), (12, 12, 9), 0, "face", 1.0),  # sphenoid sinus
        Solid("air", (0, -14, -92), (11, 14, 26), 0, "face", 1.0),
        Solid("tongue", (0, -46, -112), (27, 34, 18), 0, "face", 2.0),
    ])  # fmt: skip
    for side, name in ((-1.0, "right"), (1.0, "left")):
        painter.parts([
            Solid("mucosa", (side * 9, -60, -56), (4, 22, 6), mucosa, "face", 1.0),
            Solid("mucosa", (side * 9, -60, -70), (4.5, 24, 7), mucosa, "face", 1.0),
            Solid("mucosa", (side * 31, -58, -68), (16, 18, 18), mucosa, "face", 1.0),
            Solid("air", (side * 31, -58, -68), (14, 16, 16), 0, "face", 1.0),
            Solid("muscle", (side * 36, -22, -80), (11, 22, 26), 0, "face", 1.5),
            Solid("bone", (side * 46, -6, -88), (5, 14, 34), 0, "face"),
            Solid("marrow", (side * 46, -6, -88), (2.5, 11, 30), LABELS["marrow"], "face"),
            Solid("muscle", (side * 55, -14, -84), (7, 20, 28), 0, "face", 1.0),
            Solid("gland", (side * 55, 10, -84), (10, 13, 22), LABELS[f"parotid_gland_{name}"], "face", 1.5),
            Solid("air", (side * 50, 22, -50), (11, 14, 13), 0, "face", 3.0),  # mastoid cells
            Solid("marrow", (side * 40, 6, -47), (15, 6, 5), LABELS["marrow"], "face", 1.0),
        ])  # fmt: skip
        _paint_eye(painter, side, name)


def _paint_eye(painter: Painter, side: float, name: str) -> None:
    """Paint the orbit's cone of fat with globe, nerve, muscles and lacrimal gland."""
    place = painter.places["eyes"]
    fat, muscles = LABELS[f"orbital_fat_{name}"], LABELS["eye_muscles"]
    apex, front = place.moved((side * 13, -32, -36)), place.moved((side * 32, -70, -37))
    eye: Point = (side * 32, -76, -37)
    painter.rods([Rod(apex, front, (4, 19))], "fat", fat)
    for across, up in ((11.5, 0), (-11.5, 0), (0, 11), (0, -11)):
        end = (front[0] + across, front[1] + 4, front[2] + up)
        painter.rods([Rod(apex, end, (1.8, 2.4))], "eye_muscle", muscles)
    painter.rods([Rod(apex, front, (2.2, 2.2))], "muscle", fat)
    globe = LABELS[f"eye_{name}"]
    painter.parts([
        Solid("eye_wall", eye, (12.8, 12.8, 12.8), globe, "eyes"),
        Solid("vitreous", eye, (11.4, 11.4, 11.4), globe, "eyes"),
        Solid("eye_wall", (side * 32, -85.5, -37), (4.5, 2, 4.5), globe, "eyes"),
        Solid("gland", (side * 44, -72, -27), (5, 8, 6), LABELS[f"lacrimal_gland_{name}"], "eyes", 1.0),
    ])  # fmt: skip
