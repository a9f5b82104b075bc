"""The trunk between chest and kidneys: skin, fat, muscle wall, lungs, diaphragm, mediastinum.

Scene axes: x to the patient's left, y to the back, z to the head; the middle of the trunk is at zero
and the right dome of the diaphragm a little above it. Organs lie in `organs.py`, bone in `skeleton.py`.
"""

from dataclasses import dataclass

import numpy as np

from somray.phantom.drawing.painter import Painter
from somray.phantom.drawing.shapes import ellipse, ellipsoid, ripple, superellipse
from somray.phantom.session import FloatArray

__all__ = ["Trunk", "cavity", "dome_height", "draw_trunk", "paint_torso"]


@dataclass(frozen=True)
class Trunk:
    """What differs between subjects; all lengths in mm.

    Args:
        half_width: half the trunk's width.
        half_depth: half its depth.
        fat: thickness of the fat under the skin.
        dome: height of the right dome of the diaphragm.
        phases: (12,) phases of the surfaces' undulation.
        heart: shift of the heart along x, y, z.
        size: organs' size relative to the mean.
    """

    half_width: float
    half_depth: float
    fat: float
    dome: float
    phases: tuple[float, ...]
    heart: tuple[float, float, float]
    size: float


def draw_trunk(rng: np.random.Generator) -> Trunk:
    """Draw one subject's build."""
    return Trunk(
        half_width=float(rng.uniform(154, 170)),
        half_depth=float(rng.uniform(106, 114)),
        fat=float(rng.uniform(8, 17)),
        dome=float(rng.uniform(16, 26)),
        phases=tuple(float(v) for v in rng.uniform(0, 2 * np.pi, 12)),
        heart=(float(rng.uniform(-5, 5)), float(rng.uniform(-4, 4)), float(rng.uniform(-5, 5))),
        size=float(rng.uniform(0.94, 1.04)),
    )


def _depth_below_skin(xyz: tuple[FloatArray, ...], body: Trunk) -> FloatArray:
    """Return the distance to the skin, positive inside."""
    x, y, z = xyz
    width = np.float32(body.half_width) * (1 - np.float32(6e-6) * (z - 20) ** 2)
    width = width - np.float32(7) * np.maximum(y / np.float32(body.half_depth), 0) ** 2
    return -superellipse(x, y, width, body.half_depth, 2.35)


def _wall_mm(y: FloatArray, body: Trunk) -> FloatArray:
    """Return fat plus muscle between skin and cavity: thick at the back, thin in front."""
    back = np.maximum(y / np.float32(body.half_depth), 0)
    return np.asarray(body.fat + 11 + 9 * back * back, dtype=np.float32)


def cavity(xyz: tuple[FloatArray, ...], body: Trunk) -> FloatArray:
    """Return the distance to the inner side of the trunk's wall."""
    return _wall_mm(xyz[1], body) - _depth_below_skin(xyz, body)


def dome_height(x: FloatArray, y: FloatArray, body: Trunk) -> FloatArray:
    """Return the height z of the diaphragm over each point."""
    right = body.dome - 52 * (((x + 68) / 78) ** 2 + ((y + 4) / 92) ** 2)
    left = body.dome - 12 - 50 * (((x - 70) / 74) ** 2 + ((y + 2) / 90) ** 2)
    return np.asarray(np.maximum(right, left), dtype=np.float32)


def paint_torso(painter: Painter, body: Trunk) -> None:
    """Paint skin, fat, muscle, the lungs with the mediastinum between them."""
    box = painter.canvas.whole
    xyz = painter.canvas.coordinates(box)
    x, y, z = xyz
    depth = _depth_below_skin(xyz, body)
    painter.fill(box, -depth, "skin")
    painter.fill(box, np.float32(2.0) - depth, "fat")
    inner = _wall_mm(y, body) - depth
    painter.fill(box, inner - 10 + ripple(xyz, body.phases, 0, 60.0, 1.2), "muscle")
    painter.fill(box, inner, "fat")
    dome = dome_height(x, y, body)
    middle = ellipse(x - 4, y - 8, 33 + 4 * body.size, 62)
    above = np.float32(0.7) * (dome - z)
    wave = ripple(xyz, body.phases, 3, 45.0, 2.0)
    lungs = np.maximum(np.maximum(inner + 1, above), -middle + wave)
    painter.fill(box, lungs, "lung")
    _paint_back(painter, body)


def _paint_back(painter: Painter, body: Trunk) -> None:
    """Paint the muscles beside the spine, with fat streaks between their bundles."""
    canvas = painter.canvas
    for side in (-1.0, 1.0):
        box = canvas.box((side * 34 - 32, 58, -1e3), (side * 34 + 32, 106, 1e3))
        if box is None:
            continue
        x, y, z = canvas.coordinates(box)
        wave = ripple((x, y, z), body.phases, 6, 34.0, 1.3)
        bulk = ellipse(x - np.float32(side * 33), y - 81, 27, 16.5) + wave
        painter.fill(box, bulk - np.float32(1.5), "fat")
        painter.fill(box, bulk, "muscle")
        cleft = ellipse(x - np.float32(side * 31), y - 79, 1.2, 12.0)
        painter.fill(box, cleft, "fat")
        box = canvas.around((side * 43, 48, -95), (24, 24, 92))
        if box is not None:
            psoas = ellipsoid(canvas.coordinates(box), (side * 43, 48, -95), (19, 20, 85))
            painter.fill(box, psoas, "muscle")
