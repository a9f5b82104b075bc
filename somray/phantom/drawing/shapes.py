"""Signed distances in mm of simple solids, negative inside; first-order exact near the surface.

Near the surface is where they count: `Canvas.paint` turns the distance into the share of a voxel that
the solid fills. Coordinates broadcast against each other and stay float32.

Source: the ellipsoid bound is the first-order distance f/|∇f| of the implicit surface (Taubin,
"Estimation of planar curves, surfaces …", 1991).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from somray.phantom.session import FloatArray

__all__ = [
    "Point",
    "capsule",
    "draw_within",
    "ellipse",
    "ellipsoid",
    "point",
    "ripple",
    "superellipse",
    "turned",
]

Point = tuple[float, float, float]


def point(xyz: Sequence[float] | NDArray[np.float64]) -> Point:
    """Return three numbers as a point."""
    return float(xyz[0]), float(xyz[1]), float(xyz[2])


def draw_within(rng: np.random.Generator, center: Point, extent: Point) -> NDArray[np.float64]:
    """Draw a point (3,) evenly within an axis-aligned ellipsoid."""
    inside = rng.normal(size=3)
    inside *= rng.uniform() ** (1 / 3) / np.linalg.norm(inside)
    return np.asarray(np.array(center) + inside * np.array(extent))


def ellipsoid(xyz: tuple[FloatArray, ...], center: Point, radii: Point) -> FloatArray:
    """Return the distance to an axis-aligned ellipsoid.

    Args:
        xyz: coordinates in mm.
        center: mm.
        radii: semi-axes along x, y, z in mm.
    """
    scaled = [(xyz[a] - np.float32(center[a])) * np.float32(1.0 / radii[a]) for a in range(3)]
    level = np.sqrt(scaled[0] ** 2 + scaled[1] ** 2 + scaled[2] ** 2)
    for axis in range(3):
        scaled[axis] = scaled[axis] * np.float32(1.0 / radii[axis])
    slope = scaled[0] ** 2 + scaled[1] ** 2 + scaled[2] ** 2
    distance = level * (level - 1) / np.sqrt(np.maximum(slope, np.float32(1e-9)))
    # The very centre has no slope; it is as deep as the solid is thick.
    return np.asarray(np.where(level > 0, distance, np.float32(-min(radii))))


def ellipse(x: FloatArray, y: FloatArray, radius_x: float, radius_y: float) -> FloatArray:
    """Return the distance to an endless elliptic cylinder around the origin of x and y."""
    level = np.sqrt((x / np.float32(radius_x)) ** 2 + (y / np.float32(radius_y)) ** 2)
    slope = np.sqrt((x / np.float32(radius_x**2)) ** 2 + (y / np.float32(radius_y**2)) ** 2)
    return np.asarray(level * (level - 1) / np.maximum(slope, np.float32(1e-6)))


def superellipse(
    x: FloatArray, y: FloatArray, radius_x: FloatArray | float, radius_y: FloatArray | float,
    power: float,
) -> FloatArray:  # fmt: skip
    """Return the distance along the ray from the centre to a rounded rectangle's cylinder."""
    level = np.abs(x / radius_x) ** np.float32(power) + np.abs(y / radius_y) ** np.float32(power)
    level = np.maximum(level, np.float32(1e-6)) ** np.float32(1.0 / power)
    return np.asarray(np.hypot(x, y) * (1 - 1 / level), dtype=np.float32)


def capsule(
    xyz: tuple[FloatArray, ...], start: Point, end: Point, radii: tuple[float, float]
) -> FloatArray:
    """Return the distance to a round rod whose radius runs from radii[0] at start to radii[1] at end."""
    axis = np.subtract(end, start)
    along = sum(
        (xyz[i] - np.float32(start[i])) * np.float32(axis[i]) for i in range(3)
    ) / np.float32(max(float(axis @ axis), 1e-9))
    share = np.clip(along, 0, 1)
    square = sum(
        (xyz[i] - np.float32(start[i]) - share * np.float32(axis[i])) ** 2 for i in range(3)
    )
    return np.asarray(np.sqrt(square) - (radii[0] + share * np.float32(radii[1] - radii[0])))


def ripple(
    xyz: tuple[FloatArray, ...], phases: Sequence[float], first: int, length_mm: float,
    height_mm: float,
) -> FloatArray:  # fmt: skip
    """Return a smooth undulation of surfaces in mm, so that no organ is an exact ellipsoid.

    Args:
        xyz: coordinates in mm.
        phases: twelve phases, drawn once per subject.
        first: which of them to start with, so that organs undulate apart.
        length_mm: wavelength.
        height_mm: amplitude, roughly.
    """
    total = np.float32(0.0)
    for i, (a, b) in enumerate(((0, 1), (1, 2), (2, 0))):
        phase = np.float32(phases[(first + i) % 12])
        wave = np.float32(2 * np.pi / length_mm) * (xyz[a] + np.float32(0.6) * xyz[b]) + phase
        total = total + np.sin(wave)
    return np.asarray(total * np.float32(height_mm / 2), dtype=np.float32)


def turned(
    xyz: tuple[FloatArray, ...], center: Point, turn: NDArray[np.float64]
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return coordinates around a centre in a solid's own axes, the columns of `turn`."""
    moved = [xyz[a] - np.float32(center[a]) for a in range(3)]
    out = [sum(np.float32(turn[a, k]) * moved[a] for a in range(3)) for k in range(3)]
    return (np.asarray(out[0], dtype=np.float32), np.asarray(out[1], dtype=np.float32),
            np.asarray(out[2], dtype=np.float32))  # fmt: skip
