"""Slow, plain definitions that the metrics are checked against."""

import itertools

import numpy as np


def naive_surface(mask):
    """Pixels with a face neighbour outside the mask or outside the array, as index rows."""
    found = []
    for index in np.argwhere(mask):
        for axis, step in itertools.product(range(mask.ndim), (-1, 1)):
            near = index.copy()
            near[axis] += step
            if not 0 <= near[axis] < mask.shape[axis] or not mask[tuple(near)]:
                found.append(index)
                break
    return np.array(found, dtype=float)


def naive_surface_distance_95(prediction, reference, spacing_mm):
    first = naive_surface(prediction) * np.array(spacing_mm)
    second = naive_surface(reference) * np.array(spacing_mm)
    distance = np.linalg.norm(first[:, None] - second[None], axis=2)
    return max(np.percentile(distance.min(1), 95), np.percentile(distance.min(0), 95))
