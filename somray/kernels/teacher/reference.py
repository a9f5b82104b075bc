"""The pixels that a teacher is fitted on: raw features, standardised, as passes of a fit.

`FitReference` is what a fit asks for. `ArrayReference` holds the features of a few slices; a cohort answers
the same questions item by item (`stages/teacher_cohort.py`), each with the functions of this module.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from somray.errors import ShapeError
from somray.kernels.classes.profiles import GroupSums, groups_of, merge_groups
from somray.kernels.classes.told import sums_by_node_and_told
from somray.kernels.som.passes import ArrayPasses, Moments, Passes, moments_of, nodes_and_distances
from somray.kernels.teacher.distances import Distances, distances_of, merge_distances

__all__ = [
    "ArrayReference",
    "Description",
    "FitReference",
    "Standard",
    "describe",
    "merge_descriptions",
]

Floats = NDArray[np.float32]

LEAST_SPREAD = 1e-6
"""A feature that spreads less on the reference says nothing: it must not blow up elsewhere."""


@dataclass(frozen=True, eq=False)
class Standard:
    """How raw features are standardised and weighted.

    Args:
        center: (f,) float32, subtracted.
        scale: (f,) float32, divides.
        weights: (f,) float32, multiplied last: what counts more in the distance.
    """

    center: Floats
    scale: Floats
    weights: Floats

    @classmethod
    def of(cls, moments: Moments, weights: Floats) -> "Standard":
        """Standardise by the moments of the reference's raw features."""
        spread = moments.deviation
        scale = np.where(spread > LEAST_SPREAD, spread, 1.0)
        return cls(moments.mean.astype(np.float32), scale.astype(np.float32), weights)

    def standardised(self, raw: Floats) -> Floats:
        """Standardise raw features (f, n) in place and return them, unweighted."""
        raw -= self.center[:, None]
        raw /= self.scale[:, None]
        return raw

    def weighted(self, standardised: Floats) -> Floats:
        """Return samples (n, f), a transposed view of new memory."""
        return (standardised * self.weights[:, None]).T


@dataclass(frozen=True, eq=False)
class Description:
    """What a reference looks like through its nodes.

    Args:
        groups: standardised features added up by nearest node.
        distances: of the pixels to their nearest nodes, in weighted standard deviations.
        told: the same features added up by nearest node and by what CT tells beside PET (`classes_told`).
    """

    groups: GroupSums
    distances: Distances
    told: GroupSums | None = None


class FitReference(Protocol):
    """What a teacher's fit asks of its reference."""

    def moments(self) -> Moments:
        """Return the moments of the raw features of all pixels with data."""
        ...

    def passes(self, standard: Standard) -> Passes:
        """Return the standardised and weighted features as a source of passes."""
        ...

    def describe(self, standard: Standard, nodes: Floats) -> Description:
        """Return what the nodes' pixels look like, and how far they lie from them."""
        ...


def describe(
    standardised: Floats,
    standard: Standard,
    nodes: Floats,
    threads: int = 1,
    told: NDArray[np.uint8] | None = None,
) -> Description:
    """Describe one item's pixels by their nearest nodes; features (f, n) are not weighted."""
    near, apart = nodes_and_distances(standard.weighted(standardised), nodes, threads)
    count = len(nodes)
    by_told = None if told is None else sums_by_node_and_told(standardised, near, count, told)
    return Description(groups_of(standardised, near, count), distances_of(apart), by_told)


def merge_descriptions(parts: Sequence[Description]) -> Description:
    """Join descriptions in item order."""
    groups = merge_groups([part.groups for part in parts])
    told = [part.told for part in parts if part.told is not None]
    distances = merge_distances([part.distances for part in parts])
    return Description(groups, distances, merge_groups(told) if told else None)


class ArrayReference:
    """A reference in memory.

    Args:
        raw: (f, n) float32 raw features of all pixels with data; overwritten.
        threads: worker threads; no result depends on them.
        told: (n,) class that CT tells of each pixel (`classes_told.told_of`), for PET/CT.

    Raises:
        ShapeError: there is no pixel, or no feature varies.
    """

    def __init__(
        self, raw: Floats, threads: int = 1, told: NDArray[np.uint8] | None = None
    ) -> None:
        if raw.shape[1] == 0:
            raise ShapeError("the reference holds no pixel with data in every channel")
        self._moments = moments_of(raw.T, threads)
        self._raw = raw
        self._threads = threads
        self._told = told
        self._standard: Standard | None = None

    def moments(self) -> Moments:
        """Return the moments of the raw features."""
        return self._moments

    def passes(self, standard: Standard) -> Passes:
        """Return the samples as a source of passes."""
        return ArrayPasses(self.samples(standard), self._threads)

    def samples(self, standard: Standard) -> Floats:
        """Return the standardised and weighted samples (n, f)."""
        return standard.weighted(self._standardised(standard))

    def describe(self, standard: Standard, nodes: Floats) -> Description:
        """Return what the nodes' pixels look like, and how far they lie from them."""
        return describe(self._standardised(standard), standard, nodes, self._threads, self._told)

    def _standardised(self, standard: Standard) -> Floats:
        if self._standard is None:
            standard.standardised(self._raw)
            self._standard = standard
        if self._standard is not standard:
            raise ShapeError("a reference is standardised in place, once")
        return self._raw
