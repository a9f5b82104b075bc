"""The body's surfaces: skin, fat, the lean body within, the chest's and the belly's cavity, the lungs."""

import numpy as np

from somray.phantom.body.plan import SPINE, BodyPlan, profile
from somray.phantom.drawing.canvas import SLAB_SLICES
from somray.phantom.drawing.painter import Painter
from somray.phantom.drawing.shapes import Point, capsule, ellipse, ellipsoid, ripple, superellipse
from somray.phantom.drawing.vessels import Rod
from somray.phantom.session import FloatArray

__all__ = ["arm_bones", "belly", "dome_height", "fat_mm", "lean", "liver", "lungs", "paint_outline"]

XYZ = tuple[FloatArray, ...]
Knots = tuple[tuple[float, ...], tuple[float, ...]]

TRUNK_D = (
    258.0,
    275.0,
    295.0,
    315.0,
    345.0,
    390.0,
    450.0,
    520.0,
    600.0,
    655.0,
    715.0,
    780.0,
    840.0,
    905.0,
)
TRUNK_WIDTH = (
    TRUNK_D,
    (50.0, 60.0, 92.0, 135.0, 158.0, 160.0, 160.0, 154.0, 145.0, 146.0, 160.0, 170.0, 168.0, 156.0),
)
TRUNK_DEPTH = (
    TRUNK_D,
    (46.0, 50.0, 58.0, 72.0, 86.0, 98.0, 105.0, 105.0, 98.0, 95.0, 97.0, 104.0, 98.0, 84.0),
)
TRUNK_Y = (TRUNK_D, (22.0, 22.0, 22.0, 18.0, 8.0, 2.0, 0.0, 0.0, 0.0, 0.0, 3.0, 8.0, 10.0, 8.0))
FAT = ((0.0, 180.0, 270.0, 330.0, 450.0, 600.0, 720.0, 850.0, 1000.0),
       (0.0, 0.1, 0.2, 0.6, 0.75, 1.0, 1.15, 1.1, 0.9))  # fmt: skip
CHEST_D = (284.0, 300.0, 330.0, 380.0, 440.0, 520.0, 620.0)
CHEST_WIDTH = (CHEST_D, (22.0, 58.0, 92.0, 116.0, 130.0, 134.0, 130.0))
CHEST_DEPTH = (CHEST_D, (18.0, 34.0, 56.0, 76.0, 88.0, 90.0, 86.0))
CHEST_Y = (CHEST_D, (28.0, 26.0, 18.0, 6.0, 2.0, 2.0, 2.0))
POWER = 2.35

ARMS = {
    "down": ((178.0, 12.0, -335.0), (204.0, 18.0, -600.0), (206.0, -18.0, -830.0), (198.0, -25.0, -930.0)),
    "up": ((172.0, 5.0, -330.0), (182.0, -15.0, -60.0), (110.0, -20.0, 150.0), (60.0, -20.0, 220.0)),
}  # fmt: skip
ARM_RADII = (44.0, 36.0, 26.0, 22.0)


def fat_mm(z: FloatArray, plan: BodyPlan) -> FloatArray:
    """Return the thickness of the fat under the skin."""
    return np.asarray(3.0 + plan.fat_mm * profile(z, FAT), dtype=np.float32)


def _tube(
    xyz: XYZ,
    width: Knots,
    depth: Knots,
    middle: Knots,
) -> FloatArray:
    x, y, z = xyz
    return superellipse(x, y - profile(z, middle), profile(z, width), profile(z, depth), POWER)


def lean(xyz: XYZ, plan: BodyPlan) -> FloatArray:
    """Return the distance to the body without its fat: head, neck, trunk, legs and arms."""
    x, y, z = xyz
    face = plan.places["face"].size
    skull = ellipsoid(xyz, (0, 4, -90), (75, 95, 88))
    jaw = ellipsoid(xyz, (0, -36, -150), (58 * face, 60 * face, 88))
    nose = ellipsoid(xyz, (0, -97, -150), (13, 18, 24))
    distance = np.minimum(np.minimum(skull, jaw), nose)
    neck = capsule(xyz, (0, 12, -170), (0, 26, -300), (56, 58))
    trunk = _tube(xyz, TRUNK_WIDTH, TRUNK_DEPTH, TRUNK_Y)
    trunk = np.maximum(trunk, np.maximum(z + 262, -z - 890))
    distance = np.minimum(np.minimum(distance, neck), trunk)
    flat = np.abs(x)
    shoulder = ellipsoid((flat, y, z), (166, 14, -340), (44, 46, 48))
    leg = capsule((flat, y, z), (86, 8, -840), (76, 4, -1240), (82, 64))
    line = ARMS[plan.arms]
    for k in range(3):
        arm = capsule((flat, y, z), line[k], line[k + 1], (ARM_RADII[k], ARM_RADII[k + 1]))
        shoulder = np.minimum(shoulder, arm)
    limbs = np.minimum(shoulder, leg)
    return np.minimum(distance, limbs) + ripple(xyz, plan.phases, 0, 130.0, 1.5)


def arm_bones(plan: BodyPlan) -> list[Rod]:
    """Return the long bones of both arms."""
    line = ARMS[plan.arms]
    rods = []
    for side in (-1.0, 1.0):
        points: list[Point] = [(side * p[0], p[1], p[2]) for p in line]
        rods += [Rod(points[0], points[1], (12, 10)), Rod(points[1], points[2], (11, 8))]
        rods.append(Rod(points[2], points[3], (7, 5)))
    return rods


def dome_height(x: FloatArray, y: FloatArray) -> FloatArray:
    """Return the height z of the diaphragm over each point."""
    right = -462 - 52 * (((x + 68) / 78) ** 2 + ((y + 4) / 92) ** 2)
    left = -474 - 50 * (((x - 70) / 74) ** 2 + ((y + 2) / 90) ** 2)
    return np.asarray(np.maximum(right, left), dtype=np.float32)


def _chest(xyz: XYZ) -> FloatArray:
    tube = _tube(xyz, CHEST_WIDTH, CHEST_DEPTH, CHEST_Y)
    return np.maximum(tube, xyz[2] + 284)


def lungs(xyz: XYZ, plan: BodyPlan) -> FloatArray:
    """Return the distance to the lungs: the chest above the diaphragm without its middle."""
    x, y, z = xyz
    shift = plan.places["liver"].shift[2]
    above = np.float32(0.7) * (dome_height(x, y) + np.float32(shift) - z)
    spine = profile(z, (tuple(map(float, SPINE[0])), tuple(map(float, SPINE[1]))))
    middle = np.minimum(ellipse(x - 4, y + 10, 27, 90), ellipse(x, y - spine - 14, 33, 40))
    middle = middle + ripple(xyz, plan.phases, 3, 60.0, 3.0)
    return np.asarray(np.maximum(np.maximum(_chest(xyz), above), -middle), dtype=np.float32)


def belly(xyz: XYZ, plan: BodyPlan) -> FloatArray:
    """Return the distance to the cavity of belly and pelvis."""
    _, y, z = xyz
    back = np.maximum(y / np.float32(100), 0)
    wall = np.float32(13) + np.float32(20) * back * back
    tube = _tube(xyz, TRUNK_WIDTH, TRUNK_DEPTH, TRUNK_Y) + wall
    hips = np.float32(0.62) * np.maximum(-z - 690, 0)  # the pelvis narrows between the hip bones
    return np.asarray(np.maximum(np.maximum(tube + np.minimum(hips, 75), z + 440), -z - 862))


def liver(xyz: XYZ, plan: BodyPlan) -> FloatArray:
    """Return the distance to the liver."""
    place = plan.places["liver"]
    size, (dx, dy, dz) = place.size, place.shift
    bulk = ellipsoid(xyz, (-66 + dx, dy, -524 + dz), (88 * size, 84 * size, 84 * size))
    lobe = ellipsoid(xyz, (dx, -48 + dy, -502 + dz), (74 * size, 32 * size, 38 * size))
    solid = np.minimum(bulk, lobe) + ripple(xyz, plan.phases, 11, 70.0, 3.0)
    under = np.float32(0.75) * (xyz[2] - dome_height(xyz[0], xyz[1]) - np.float32(dz)) + 3
    notch = -ellipse(xyz[0] + 6, xyz[1] - 52, 36, 46)  # room for spine and vessels
    wall = np.maximum(_chest(xyz), belly(xyz, plan) + 2)
    inside = np.maximum(solid, under)
    return np.asarray(np.maximum(inside, np.maximum(wall, notch)), dtype=np.float32)


def paint_outline(painter: Painter, plan: BodyPlan) -> None:
    """Paint skin, fat, muscle, the belly's fat and the lungs, slab by slab to bound the memory."""
    slices, rows, columns = painter.canvas.whole
    for first in range(slices.start, slices.stop, SLAB_SLICES):
        box = (slice(first, min(first + SLAB_SLICES, slices.stop)), rows, columns)
        xyz = painter.canvas.coordinates(box)
        distance = lean(xyz, plan)
        skin = distance - fat_mm(xyz[2], plan)
        painter.fill(box, skin, "skin")
        painter.fill(box, skin + 2, "fat")
        streaks = ripple(xyz, plan.phases, 5, 26.0, 2.5)
        painter.fill(box, distance, "muscle")
        painter.fill(
            box, np.maximum(np.abs(distance + 22 + streaks) - 1.2, distance), "fat", most=0.6
        )
        lowest, highest = float(xyz[2].min()), float(xyz[2].max())
        if highest > -862 and lowest < -440:
            painter.fill(box, belly(xyz, plan), "mesentery")
        if highest > -640 and lowest < -284:
            painter.fill(box, lungs(xyz, plan), "lung")
