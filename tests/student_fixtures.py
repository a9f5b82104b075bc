"""Small images for the student's tests: a bright block on darker ground, in two dimensions or three."""

import numpy as np

from somray.kernels.student.rounds.lesson import Lesson
from somray.kernels.student.shape import NetworkShape
from somray.kernels.student.training.patches import Example
from somray.kernels.student.views import ImageViews

WINDOW = (-150.0, 250.0)
VIEWS = ImageViews(("CT",), (WINDOW,))


def small_shape(dimensions=2, inputs=VIEWS.count):
    """A network small enough for tests."""
    return NetworkShape(dimensions, inputs, widths=(4, 8))


def hu_image(shape=(48, 40), noise=6.0, seed=0):
    """An image (1, [z,] y, x) in HU of a bright block on a darker ground, and the block's mask."""
    mask = np.zeros(shape, dtype=bool)
    mask[tuple(slice(size // 5, max(size * 5 // 8, size // 5 + 1)) for size in shape)] = True
    image = np.where(mask, 90.0, 0.0) + noise * np.random.default_rng(seed).normal(size=shape)
    return image[None].astype(np.float32), mask


def example_of(image, mask, weight=None, strength=1.0):
    """An example of one CT image."""
    weight = np.ones(mask.shape, dtype=np.float32) if weight is None else weight
    return Example(image, mask.astype(np.float32), weight, VIEWS, strength)


class PlainViews:
    """Values as they are, for tests that ask where a patch comes from."""

    kinds, windows, count = ("other",), ((0.0, 1.0),), 1

    def inputs(self, values):
        return values.copy()


def lessons_of(images, teacher, valid):
    """Lessons of slices (n, c, y, x) of one scan: what the teacher says and which pixels count, (n, y, x) bool."""
    planes = teacher.astype(np.float32), valid.astype(np.float32)
    return [Lesson(*parts) for parts in zip(images, *planes, strict=True)]
