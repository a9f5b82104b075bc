"""Signed distances in mm of simple solids, negative inside; first-order exact near the surface.

Near the surface is where they count: `Canvas.paint` turns the distance into the share of a voxel that
the solid fills. Coordinates broadcast against each other and stay float32.

Source: the ellipsoid bound is the first-order distance f/|∇f| of the implicit surface (Taubin,
"Estimation of planar curves, surfaces …", 1991).
"""

import numpy as np

from somray.kernels.phantom.session import FloatArray

__all__ = ["Point", "capsule", "ellipse", "ellipsoid", "superellipse"]

Point = tuple[float, float, float]


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
    return np.asarray(level * (level - 1) / np.sqrt(np.maximum(slope, np.float32(1e-9))))


def ellipse(x: FloatArray, y: FloatArray, radius_x: float, radius_y: float) -> FloatArray:
    """Return the distance to an endless elliptic cylinder around the origin of x and y."""
    level = np.sqrt((x / np.float32(radius_x)) ** 2 + (y / np.float32(radius_y)) ** 2)
    slope = np.sqrt((x / np.float32(radius_x**2)) ** 2 + (y / np.float32(radius_y**2)) ** 2)
    return np.asarray(level * (level - 1) / np.maximum(slope, np.float32(1e-6)))


def superellipse(
    x: FloatArray, y: FloatArray, radius_x: FloatArray | float, radius_y: float, power: float
) -> FloatArray:
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
