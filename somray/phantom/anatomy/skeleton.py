"""Spine, ribs and breastbone: a thin dense cortex around marrow, canal and discs between.

Vertebrae repeat every 29 mm along z, ribs slope down to the front. Scene axes as in `torso.py`.
"""

from itertools import pairwise

import numpy as np

from somray.phantom.anatomy.torso import Trunk
from somray.phantom.drawing.canvas import Box, Canvas
from somray.phantom.drawing.painter import Painter
from somray.phantom.drawing.shapes import Point, capsule, ellipse, ellipsoid
from somray.phantom.session import FloatArray

__all__ = ["paint_skeleton"]

LEVEL_MM = 29.0
DISC_MM = 6.5
CORTEX_MM = 1.9
SPINE_Y = 47.0


def _level(z: FloatArray) -> FloatArray:
    """Return the height within a vertebral level, 0 at the middle of the vertebra."""
    return np.asarray(z - np.float32(LEVEL_MM) * np.round(z / np.float32(LEVEL_MM)))


def paint_skeleton(painter: Painter, body: Trunk) -> None:
    """Paint all bone over the soft tissue."""
    _paint_ribs(painter, body)
    _paint_arches(painter)
    _paint_bodies(painter)
    breast: Point = (0, -body.half_depth + body.fat + 8, 110)
    box = painter.canvas.around(breast, (24, 12, 80))
    if box is not None:
        bone = ellipsoid(painter.canvas.coordinates(box), breast, (19, 6.5, 75))
        painter.shells([(box, bone)], CORTEX_MM, "marrow")


def _paint_bodies(painter: Painter) -> None:
    """Paint vertebral bodies, discs and the spinal canal."""
    box = painter.canvas.box((-30, SPINE_Y - 24, -1e3), (30, SPINE_Y + 40, 1e3))
    if box is None:
        return
    x, y, z = painter.canvas.coordinates(box)
    level = np.abs(_level(z))
    waist = np.float32(2.2) * np.cos(np.float32(2 * np.pi / LEVEL_MM) * level)
    column = ellipse(x, y - np.float32(SPINE_Y), 21, 16.5)
    painter.fill(box, column - np.float32(1.0), "disc")
    end = level - np.float32((LEVEL_MM - DISC_MM) / 2)
    vertebra = np.maximum(column + waist, end)
    painter.shells([(box, vertebra)], CORTEX_MM, "marrow")
    canal = ellipse(x, y - np.float32(SPINE_Y + 25), 10.5, 8.5)
    painter.fill(box, canal, "fluid")
    painter.fill(box, ellipse(x, y - np.float32(SPINE_Y + 25), 6, 4.5), "cord")


def _paint_arches(painter: Painter) -> None:
    """Paint laminae, spinous and transverse processes."""
    box = painter.canvas.box((-52.0, SPINE_Y + 8, -1e3), (52.0, SPINE_Y + 64, 1e3))
    if box is None:
        return
    x, y, z = painter.canvas.coordinates(box)
    level = _level(z)
    flat = np.abs(x)
    ring = np.abs(ellipse(x, y - np.float32(SPINE_Y + 25), 14, 12)) - np.float32(3.2)
    ring = np.maximum(ring, np.abs(level) - np.float32(10.0))
    slope = level + np.float32(0.45) * (y - np.float32(SPINE_Y + 38))
    spine = np.maximum(ellipse(x, y - np.float32(SPINE_Y + 44), 3.4, 13), np.abs(slope) - 7)
    wing = capsule(
        (flat, y, level), (13.0, SPINE_Y + 25, 2.0), (36.0, SPINE_Y + 31, 2.0), (5.5, 4.0)
    )
    bone = np.minimum(np.minimum(ring, spine), wing)
    painter.shells([(box, bone)], CORTEX_MM, "marrow")


def _rib_points(body: Trunk, side: float, height: float) -> list[tuple[float, float, float]]:
    """Return the middle line of one rib, from the spine round to the front, sloping down."""
    points = []
    for share in np.linspace(0.0, 1.0, 15):
        angle = np.deg2rad(68.0 - 128.0 * share)  # from the back (90) round the side (0) forwards
        wide = body.half_width - body.fat - 8.0
        deep = body.half_depth - body.fat - 8.0
        norm = (abs(np.cos(angle)) ** 2.35 + abs(np.sin(angle)) ** 2.35) ** (-1 / 2.35)
        along = 1.0 - 0.1 * max(np.sin(angle), 0.0)
        points.append((
            float(side * wide * norm * np.cos(angle) * along),
            float(deep * norm * np.sin(angle) * along), float(height - 62.0 * share),
        ))  # fmt: skip
    return points


def _paint_ribs(painter: Painter, body: Trunk) -> None:
    """Paint ribs as chains of rods: first every cortex, then every marrow."""
    rods: list[tuple[Box | None, FloatArray]] = []
    for number in range(-2, 10):
        for side in (-1.0, 1.0):
            line = _rib_points(body, side, number * 24.0 + 34.0)
            rods += _rods(painter.canvas, line[: 9 if number < 0 else 15])
    painter.shells(rods, CORTEX_MM, "marrow")


def _rods(canvas: Canvas, line: list[tuple[float, float, float]]) -> list[tuple[Box, FloatArray]]:
    """Return box and distance of each rod of a chain that meets the grid."""
    found = []
    for start, end in pairwise(line):
        box = canvas.along(start, end, 8.0)
        if box is not None:
            found.append((box, capsule(canvas.coordinates(box), start, end, (5.2, 5.2))))
    return found
