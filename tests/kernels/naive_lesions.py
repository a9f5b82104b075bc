"""Slow oracles: instances by flood fill, the longest axis by comparing all pairs; a volume measured at once."""

import itertools

import numpy as np

from somray.kernels.lesions.instances import LesionMeter
from tests.kernels.whole_lesions import facts_of


def flood_fill(mask):
    """Number 26-connected parts in scan order, voxel by voxel."""
    labels = np.zeros(mask.shape, dtype=np.int32)
    steps = [s for s in itertools.product((-1, 0, 1), repeat=3) if any(s)]
    number = 0
    for start in zip(*np.nonzero(mask), strict=True):
        if labels[start]:
            continue
        number += 1
        labels[start] = number
        todo = [start]
        while todo:
            here = todo.pop()
            for step in steps:
                near = tuple(a + b for a, b in zip(here, step, strict=True))
                inside = all(0 <= n < size for n, size in zip(near, mask.shape, strict=True))
                if inside and mask[near] and not labels[near]:
                    labels[near] = number
                    todo.append(near)
    return labels


def longest_axis(points_mm):
    """Compare every pair of points."""
    offset = points_mm[:, None, :] - points_mm[None, :, :]
    return float(np.sqrt((offset**2).sum(axis=2)).max())


def measure(labels, image, geometry):
    """Measure every instance of a volume taken as one brick."""
    meter = LesionMeter(geometry, facts_of(labels))
    meter.add_brick(padded(labels, meter.margin), image, (0, 0, 0))
    meter.close_slab(len(labels))
    return meter.finish()


def padded(labels, margin):
    """Put a margin of nothing about a volume."""
    return np.pad(labels, [(m, m) for m in margin])
