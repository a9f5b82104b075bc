"""Lesions of volumes that are held whole: the oracle of everything that takes them in pieces."""

import numpy as np

from somray.kernels.evolution.common_frame import SessionLesions
from somray.kernels.lesions.facts import PartFacts


def facts_of(labels):
    """Sum up, box and find the first voxel of every number, from lists of its voxels."""
    numbers = np.unique(labels[labels > 0]).astype(np.int64)
    voxels = [np.argwhere(labels == n) for n in numbers]

    def column(figure, *shape):
        found = np.array([figure(index) for index in voxels], dtype=np.int64)
        return found.reshape(len(numbers), *shape)

    return PartFacts(
        numbers,
        column(len),
        column(lambda index: index.sum(axis=0), 3),
        column(lambda index: index.min(axis=0), 3),
        column(lambda index: index.max(axis=0), 3),
        column(lambda index: np.ravel_multi_index(index[0], labels.shape)),
    )


class WholeMap:
    """Instance numbers of a whole volume."""

    def __init__(self, labels):
        self.labels = labels.astype(np.int32)

    def pieces(self):
        """All voxels at once."""
        index = np.argwhere(self.labels)
        yield index, self.labels[tuple(index.T)]

    def at(self, index):
        """Look voxels up."""
        return self.labels[tuple(index.T)]

    def near(self, index, reach, counted):
        """Shift the whole mask along each axis."""
        mask = counted[self.labels]
        near = mask.copy()
        for axis, far in enumerate(reach):
            along, grown = np.moveaxis(mask, axis, 0), np.moveaxis(near, axis, 0)
            for step in range(1, min(far, len(along) - 1) + 1):
                grown[step:] |= along[:-step]
                grown[:-step] |= along[step:]
        return near[tuple(index.T)]


def session_lesions(name, geometry, labels):
    """Make a session of instance numbers (z, y, x)."""
    return SessionLesions(name, geometry, facts_of(labels), WholeMap(labels))
