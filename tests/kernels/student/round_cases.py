"""Lessons for tests of the rounds: a bright block that moves a little from slice to slice."""

import numpy as np

from somray.kernels.student.rounds.lesson import Lesson
from somray.kernels.student.rounds.spec import StudentSpec
from tests.student_fixtures import lessons_of

SPEC = StudentSpec(channels=("CT",), kinds=("CT",), windows=((-150.0, 250.0),), steps=3, threads=1)
VOLUMES = StudentSpec(
    channels=("CT", "PET"),
    kinds=("CT", "PET"),
    windows=((-150.0, 250.0), (0.0, 1.0)),
    dimensions=3,
    steps=3,
    threads=1,
)


def slices(count=3, seed=0, shape=(40, 44)):
    """Images (n, 1, y, x), masks and valid (n, y, x)."""
    images = np.random.default_rng(seed).normal(0, 8, (count, 1, *shape)).astype(np.float32)
    masks = np.zeros((count, *shape), dtype=bool)
    for n in range(count):
        masks[n, 8 + n % 5 : 26 + n % 5, 10 : 32 - n % 5] = True
    images[:, 0][masks] += 120
    return images, masks, np.ones(masks.shape, dtype=bool)


def lessons(count=3, seed=0):
    """Lessons A, B, C …"""
    return lessons_of(*slices(count, seed))


def cohort(count=2, seed=9, shape=(44, 40)):
    """Lessons of the cohort, of other shapes and windows."""
    images, masks, _ = slices(count, seed, shape)
    weight = np.ones(masks.shape[1:], dtype=np.float32)
    return [
        Lesson(image, mask.astype(np.float32), weight, ((-200.0, 300.0),), cohort=True)
        for image, mask in zip(images, masks, strict=True)
    ]


def planes(where=(5, 6, 4), shape=(12, 24, 26), axis=0):
    """Lessons A, B, C … that are planes of one volume (2, z, y, x) of CT and PET."""
    rng = np.random.default_rng(0)
    mask = np.zeros(shape, dtype=bool)
    mask[3:9, 6:16, 8:20] = True
    ct = rng.normal(0, 20, shape) + 60 * mask
    values = np.stack([ct, rng.gamma(20, 0.05, shape) + 4 * mask]).astype(np.float32)
    found = []
    for at in where:
        weight = np.zeros(shape, dtype=np.float32)
        np.moveaxis(weight, axis, 0)[at] = 1
        found.append(Lesson(values, mask * weight, weight, ((-150.0, 250.0), (0.0, 1.0))))
    return found


def volume(seed=1, shape=(10, 22, 24)):
    """A lesson of the cohort: a whole volume."""
    (plane,) = planes((4,), shape)
    mask = (plane.values[1] > 3).astype(np.float32)
    values = plane.values + np.random.default_rng(seed).normal(0, 0.1, plane.values.shape)
    ones = np.ones(shape, np.float32)
    return Lesson(values.astype(np.float32), mask, ones, plane.windows, cohort=True)


def same(first, second):
    """Tell whether two students or sets of weights have the same bits."""
    first, second = (getattr(one, "weights", one) for one in (first, second))
    return first.keys() == second.keys() and all(np.array_equal(first[k], second[k]) for k in first)
