"""Small slices in HU for the student's tests, made worse as the training does it."""

import numpy as np

from somray.kernels.student.inputs import Look, noise_reference, student_inputs
from somray.kernels.student.perturb import NoisySlice
from somray.kernels.student.sampling import Examples
from somray.kernels.student.unet import NetworkShape

WINDOW = (-150.0, 250.0)
FEATURES = ("intensity", "mean3", "edge")
NETWORK = NetworkShape(inputs=3, width=8, counts=(2, 4)).as_numbers()
"""A small network for slices of one channel, seen by `FEATURES`."""


def hu_slice(shape=(48, 40), noise=6.0, seed=0):
    """A slice (1, y, x) of a bright block on a darker ground, and the block's mask."""
    mask = np.zeros(shape, dtype=bool)
    mask[shape[0] // 5 : shape[0] * 5 // 8, shape[1] // 5 : shape[1] * 3 // 4] = True
    rng = np.random.default_rng(seed)
    image = np.where(mask, 90.0, 0.0) + noise * rng.normal(size=shape)
    return image[None].astype(np.float32), mask


def look_at(image, names=FEATURES, windows=(WINDOW,), channels=("CT",)):
    """How a student looks at an image (c, y, x) that is its labelled slice."""
    return Look(windows, names, (1.0, 1.0), None, noise_reference(image, windows, channels))


def examples_of(images, targets, weights=None, names=FEATURES, windows=(WINDOW,)):
    """Examples of CT slices of any shapes; the first one is the labelled one."""
    look = look_at(images[0], names, windows)
    weights = weights or [np.ones(target.shape, dtype=np.float32) for target in targets]
    stacks = [student_inputs(image, look) for image in images]
    noisy = [NoisySlice(image, ("CT",), look.at_crops_of(image)) for image in images]
    return Examples(stacks, targets, weights, noisy)
