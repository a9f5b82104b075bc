"""Heads drawn by hand for tests: shells of scalp, skull and marrow, a brain, and balls inside."""

import numpy as np

SPACING = (3.0, 2.5, 2.5)
SHAPE = (50, 84, 72)
MIDDLE_MM = np.array([60.0, 105.0, 90.0])

BRAIN, BONE, FAT, BRIGHT, DARK = 500.0, 60.0, 1600.0, 1200.0, 150.0


def away_from(center_mm):
    """Return the distance (z, y, x) of every voxel from a point."""
    places = np.stack(np.indices(SHAPE), axis=-1) * np.array(SPACING)
    return np.linalg.norm(places - (MIDDLE_MM + np.array(center_mm)), axis=-1)


def draw_head(balls=(), scalp=True, noise=10.0, seed=0):
    """Draw a head.

    Args:
        balls: (z, y, x) mm from the brain's middle, radius in mm, intensity.
        scalp: whether skull and scalp are there, or a bare brain.
        noise: standard deviation.
        seed: of the noise.

    Returns:
        The image (z, y, x) float32, and one mask per ball.
    """
    rng = np.random.default_rng(seed)
    from_middle = away_from((0, 0, 0))
    image = np.zeros(SHAPE)
    if scalp:
        image[from_middle < 84] = FAT
        image[from_middle < 76] = BONE
        image[(from_middle < 73) & (from_middle > 70)] = BRIGHT  # marrow
    image[from_middle < 67] = BRAIN
    masks = []
    for center, radius, value in balls:
        own = away_from(center) < radius
        image[own] = value
        masks.append(own)
    noisy = image + noise * rng.standard_normal(SHAPE)
    return np.abs(noisy).astype(np.float32), masks


def mapped(image, level=800.0):
    """Return what a map of grey levels would mark as bright."""
    return (image > level).astype(np.float32)


def called(labels, objects, mask):
    """Return what the object that fills most of a mask is called; None where nothing lies there."""
    inside = np.bincount(labels[mask], minlength=1)
    inside[0] = 0
    if not inside.any():
        return None
    return objects[int(np.argmax(inside)) - 1].called
