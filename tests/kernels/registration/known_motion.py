"""Slices and volumes moved by a known motion, and how far a registration is from it."""

import numpy as np
from scipy import ndimage
from scipy.spatial.transform import Rotation


def similarity(shape, degrees, scale=1.0, shift=(0.0, 0.0)):
    """Take pixels of the moved slice to pixels of the original: about the middle, (x, y, 1)."""
    middle = (np.array(shape[::-1]) - 1) / 2
    angle = np.deg2rad(degrees)
    linear = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = np.eye(3)
    matrix[:2, :2] = linear
    matrix[:2, 2] = middle - linear @ middle + shift
    return matrix


def move_slice(image, matrix, noise=0.0, seed=0):
    """Resample a slice (cubic, lowest value outside); `matrix` takes the result to the original."""
    y, x = np.indices(image.shape)
    points = matrix @ np.stack([x.ravel(), y.ravel(), np.ones(x.size)])
    at = (points[:2] / points[2])[::-1].reshape(2, *image.shape)
    moved = ndimage.map_coordinates(
        image.astype(np.float64), at, order=3, mode="constant", cval=float(image.min())
    )
    moved += np.random.default_rng(seed).normal(0, noise, moved.shape) if noise else 0
    return moved.astype(np.float32)


def error_px(found, matrix, shape):
    """Return the mean distance between found and true motion over the middle of the slice.

    `found` takes moving to fixed; `matrix` is what `move_slice` was given, so both do the same.
    """
    rows, columns = shape
    x, y = np.meshgrid(np.linspace(0.15, 0.85, 8) * columns, np.linspace(0.15, 0.85, 8) * rows)
    fixed = np.stack([x.ravel(), y.ravel(), np.ones(x.size)])
    moving = np.linalg.inv(matrix) @ fixed
    there = found @ (moving / moving[2])
    return float(np.linalg.norm(there[:2] / there[2] - fixed[:2], axis=0).mean())


def rigid(geometry, degrees, shift_mm):
    """Take the common frame's LPS mm to those of a later session: about the volume's middle."""
    middle = geometry.to_world((np.array([geometry.shape]) - 1) / 2)[0]
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix()
    matrix[:3, 3] = middle - matrix[:3, :3] @ middle + shift_mm
    return matrix


def move_volume(volume, geometry, motion, onto, noise=0.0, seed=0):
    """Show a volume on another grid after `motion` (LPS mm, before to after)."""
    index = np.stack(np.indices(onto.shape), axis=-1).reshape(-1, 3).astype(np.float64)
    world = onto.to_world(index)
    back = np.linalg.inv(motion)
    at = geometry.to_index(world @ back[:3, :3].T + back[:3, 3]).T.reshape(3, *onto.shape)
    moved = ndimage.map_coordinates(
        volume, at, order=1, mode="constant", cval=float(np.nanmin(volume))
    )
    moved = moved + np.random.default_rng(seed).normal(0, noise, moved.shape)
    return moved.astype(np.float32)


def error_voxels(found, motion, geometry):
    """Return the median distance in fixed voxels; `found` takes moving to fixed, `motion` fixed to it."""
    corners = np.stack(np.meshgrid(*[np.linspace(0.2, 0.8, 4)] * 3), axis=-1).reshape(-1, 3)
    index = corners * (np.array(geometry.shape) - 1)
    there = found @ motion
    world = geometry.to_world(index) @ there[:3, :3].T + there[:3, 3]
    return float(np.median(np.linalg.norm(geometry.to_index(world) - index, axis=1)))
