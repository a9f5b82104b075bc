"""A body of cylinders and balls on a 5 mm grid: head, trunk, two legs, with whatever hot things a test wants."""

import numpy as np

SPACING = (5.0, 5.0, 5.0)
SHAPE = (200, 60, 100)
FORK, SHOULDER, TOP = 30, 160, 198
MIDDLE = (30, 50)  # y, x


def solid(shape=SHAPE):
    """The body (z, y, x) bool: z runs to superior, y to posterior, x to left."""
    z, y, x = np.ogrid[tuple(slice(n) for n in shape)]
    dy, dx = y - MIDDLE[0], x - MIDDLE[1]
    trunk = (dy / 20) ** 2 + (dx / 34) ** 2 <= 1
    head = (dy / 18) ** 2 + (dx / 14) ** 2 <= 1
    legs = np.minimum((dx - 17) ** 2, (dx + 17) ** 2) + dy**2 <= 14**2
    return np.where(z < FORK, legs, np.where(z <= SHOULDER, trunk, head & (z <= TOP)))


def ball(centre, radius, shape=SHAPE):
    grid = np.ogrid[tuple(slice(n) for n in shape)]
    return sum((g - c) ** 2 for g, c in zip(grid, centre, strict=True)) <= radius**2


def at(height, left_mm, depth=0.5):
    """The voxel of a place in the body's frame."""
    z = SHOULDER - height * (SHOULDER - FORK)
    size = (SHOULDER - FORK) * SPACING[0] / 650.0
    return round(z), round(MIDDLE[0] - 20 + 40 * depth), round(MIDDLE[1] + left_mm * size / 5.0)


def scan(hot, seed=0):
    """Uptake and CT of a body with hot balls: (place, radius in voxels, uptake, HU)."""
    body = solid()
    rng = np.random.default_rng(seed)
    pet = np.where(body, 1.0, 0.02) * rng.normal(1.0, 0.03, SHAPE)
    ct = np.where(body, 45.0, -1000.0)
    for place, radius, uptake, hu in hot:
        inside = ball(place, radius)
        pet[inside], ct[inside] = uptake, hu
    return pet.astype(np.float32), ct.astype(np.float32)
