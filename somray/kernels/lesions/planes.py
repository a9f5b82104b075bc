"""How many voxels of lesions, and of the sample, lie in each plane across z, y and x: porosity along the axes.

Counts are whole numbers, so they do not depend on how the volume is cut; memory follows the three lengths of the
volume. The sample is what a class map calls neither no data (0) nor background (1), and every lesion: a pore
may be as dark as the air around the sample.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from somray.errors import ShapeError
from somray.kernels.compiled import compiled

__all__ = ["AXES", "PlaneCount", "PlaneCounter"]

AXES = ("z", "y", "x")
_BACKGROUND = 1  # of a class map; no data is below it


@dataclass(frozen=True)
class PlaneCount:
    """One plane of a volume.

    Args:
        axis: one of `AXES`, which the plane lies across.
        index: along that axis.
        voxels: of the plane.
        lesion_voxels: those in a lesion.
        sample_voxels: those of the sample; None where all of the volume is sample, or nobody knows.
    """

    axis: str
    index: int
    voxels: int
    lesion_voxels: int
    sample_voxels: int | None

    @property
    def fraction(self) -> float:
        """Share of the plane that lesions fill."""
        return self.lesion_voxels / self.voxels

    @property
    def sample_fraction(self) -> float | None:
        """Share of the sample in the plane that lesions fill; None where none of it is known to lie there."""
        return self.lesion_voxels / self.sample_voxels if self.sample_voxels else None


class PlaneCounter:
    """Counts voxels plane by plane, box by box in any order, each voxel once.

    Args:
        shape: voxels (z, y, x) of the volume.
    """

    def __init__(self, shape: tuple[int, int, int]) -> None:
        self._shape = shape
        self._counts = np.zeros((2, sum(shape)), dtype=np.int64)  # lesions, sample; z, then y, x
        self._is_known = True

    def add(
        self,
        labels: NDArray[np.integer],
        classes: NDArray[np.integer] | None,
        corner: tuple[int, int, int] = (0, 0, 0),
    ) -> None:
        """Take one box of voxels.

        Args:
            labels: (z, y, x) lesion numbers, 0 outside.
            classes: (z, y, x) of `labels/som`; None where there is none, which leaves the sample unknown.
            corner: index (z, y, x) of its first voxel in the volume.

        Raises:
            ShapeError: if the two differ in shape.
        """
        if labels.ndim != 3 or (classes is not None and classes.shape != labels.shape):
            told = "none" if classes is None else classes.shape
            raise ShapeError(f"labels {labels.shape} and classes {told} must be one (z, y, x)")
        self._is_known = self._is_known and classes is not None
        block = np.ascontiguousarray(labels, dtype=np.int32)
        if classes is None:
            outside = np.zeros(block.shape, dtype=np.bool_)
        else:
            outside = np.ascontiguousarray(classes <= _BACKGROUND)
        first = np.cumsum([0, *self._shape[:2]]) + np.asarray(corner)
        _count(block, outside, first.astype(np.int64), self._counts)

    def finish(self) -> Iterator[PlaneCount]:
        """Yield the planes across z, y and x, in order."""
        depth = self._shape[0]
        every = int(np.prod(self._shape, dtype=np.int64))
        has_outside = self._is_known and int(self._counts[1, :depth].sum()) < every
        place = 0
        for axis, size in zip(AXES, self._shape, strict=True):
            for index in range(size):
                lesions, sample = (int(n) for n in self._counts[:, place])
                known = sample if has_outside else None
                yield PlaneCount(axis, index, every // size, lesions, known)
                place += 1


@compiled
def _count(
    labels: NDArray[np.int32],
    outside: NDArray[np.bool_],
    first: NDArray[np.int64],
    counts: NDArray[np.int64],
) -> None:
    """Count lesions and sample in every plane of a box; `first` are the places of its first planes."""
    depth, rows, columns = labels.shape
    for a in range(depth):
        for b in range(rows):
            lesions, sample = 0, 0
            for c in range(columns):
                is_lesion = labels[a, b, c] > 0
                is_sample = is_lesion or not outside[a, b, c]
                lesions += is_lesion
                sample += is_sample
                counts[0, first[2] + c] += is_lesion
                counts[1, first[2] + c] += is_sample
            for place in (first[0] + a, first[1] + b):
                counts[0, place] += lesions
                counts[1, place] += sample
