"""A whole cohort as a teacher's reference: each pass of the fit is a map over parts of scans.

A part is the reference slices of one slab, or a tile of a slice that is cut. Every pass reads them again and
computes their features again, so that no task holds more than one slice; what travels back are partial sums,
merged in the parts' order.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from somray.domain.brick import Brick
from somray.domain.run import ScanPlace
from somray.domain.work import WORKER_BYTES, Mapper, Needs
from somray.errors import DataError
from somray.io.ome.image import read_meta
from somray.io.storage import Storage
from somray.kernels.classes.told import has_told, told_of
from somray.kernels.features.piece import SliceScale, halo_of
from somray.kernels.features.view import FeatureView, ScanSlices, gather
from somray.kernels.grids.patch import Box
from somray.kernels.som.lattice import Lattice
from somray.kernels.som.partials import (
    MapErrors,
    Moments,
    NodeSums,
    merge_errors,
    merge_moments,
    merge_sums,
)
from somray.kernels.som.passes import NodeQuery, Passes, errors_of, moments_of, node_sums_of
from somray.kernels.teacher.reference import Description, Standard, describe, merge_descriptions
from somray.stages.reading.reference import check_slice
from somray.stages.reading.slices import read_piece, read_seen

__all__ = ["CohortPart", "CohortReference", "part_needs", "raw_features", "told_classes"]

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class CohortPart:
    """The reference slices of one slab of one scan, or a tile of one slice.

    Args:
        place: the scan.
        t: time index.
        slices: slice indices; of a tile its one.
        level: the scan's own level of uptake, where a channel is PET.
        box: rows and columns of a tile; None for whole slices.
        scales: of the slices that are seen with a tile's (`measure.measure_slice`).
    """

    place: ScanPlace
    t: int
    slices: tuple[int, ...]
    level: float | None = None
    box: Box | None = None
    scales: tuple[SliceScale, ...] = field(default=(), repr=False)


def part_needs(slice_bytes: int, dimensions: int = 2) -> Needs:
    """Declare what one part takes: its slice or tile, and twice its features.

    In three dimensions, its neighbours as well.

    Args:
        slice_bytes: of a slice, or of a slice of a tile, with all channels.
        dimensions: of the teacher.
    """
    planes = 40 if dimensions == 2 else 200
    return Needs(cpus=1, memory_bytes=WORKER_BYTES + planes * slice_bytes)


def raw_features(part: CohortPart, view: FeatureView) -> Iterator[Floats]:
    """Compute the raw features (f, n) of a part's pixels with data, slice by slice.

    Raises:
        DataError: the scan has no such slice.
    """
    for z in part.slices:
        check_slice(part.place, z)
        yield gather(view, _seen(part, z, view))


def _seen(part: CohortPart, z: int, view: FeatureView) -> ScanSlices:
    """Read a slice of a part, or its tile, as features look at it."""
    if part.box is None:
        return read_seen(part.place, (part.t, z, z + 1), part.level, view.dimensions)
    meta = read_meta(Storage.at(part.place.root), part.place.name)
    _, dy, dx = meta.geometry.spacing_mm
    halo = halo_of((dy, dx), view.spacing_mm, denoises=view.denoise != "none")
    return read_piece(part.place, Brick(part.t, z, z + 1, *part.box), part.level, halo, part.scales)


def told_classes(part: CohortPart, view: FeatureView) -> Iterator[NDArray[np.uint8] | None]:
    """Tell by CT what each pixel of `raw_features` is, slice by slice; None beside no PET."""
    for z in part.slices:
        where = (part.t, z, z + 1)
        yield told_of(view, read_seen(part.place, where, part.level)) if has_told(view) else None


@dataclass(frozen=True, eq=False)
class _Question:
    """What every part is asked in one pass.

    Args:
        view: how pixels are looked at.
        standard: how their features are standardised; None leaves them raw.
        about: nodes, a query, numbers …, as the pass needs it.
    """

    view: FeatureView
    standard: Standard | None = None
    about: Any = field(default=None, repr=False)  # Any: each pass has its own

    def standardised(self, part: CohortPart) -> Iterator[tuple[Floats, Standard]]:
        """Standardise the features (f, n) of each slice, unweighted."""
        if self.standard is None:
            raise TypeError("this pass needs a standardisation")
        for raw in raw_features(part, self.view):
            yield self.standard.standardised(raw), self.standard

    def samples(self, part: CohortPart) -> Iterator[Floats]:
        """Return the standardised and weighted samples (n, f) of each slice."""
        for features, standard in self.standardised(part):
            yield standard.weighted(features)


def _moments(part: CohortPart, asked: _Question) -> Moments | None:
    found = [moments_of(raw.T) for raw in raw_features(part, asked.view) if raw.shape[1]]
    return merge_moments(found) if found else None


def _node_sums(part: CohortPart, asked: _Question) -> NodeSums:
    query: NodeQuery = asked.about
    return merge_sums([node_sums_of(s, query) for s in asked.samples(part)], query.worst)


def _errors(part: CohortPart, asked: _Question) -> MapErrors | None:
    nodes, lattice = asked.about
    found = [errors_of(s, nodes, lattice) for s in asked.samples(part) if len(s)]
    return merge_errors(found) if found else None


def _description(part: CohortPart, asked: _Question) -> Description:
    pairs = zip(asked.standardised(part), told_classes(part, asked.view), strict=True)
    return merge_descriptions([describe(f, s, asked.about, told=t) for (f, s), t in pairs])


def _rows(item: tuple[CohortPart, NDArray[np.int64]], asked: _Question) -> Floats:
    part, numbers = item
    found, start = [], 0
    for samples in asked.samples(part):
        inside = numbers[(numbers >= start) & (numbers < start + len(samples))]
        found.append(samples[inside - start])
        start += len(samples)
    return np.concatenate(found)


class CohortReference:
    """A reference spread over parts; answers a fit's questions by mapping over them.

    Args:
        parts: in the order that fixes the sums.
        view: how pixels are looked at.
        mapper: spreads the parts over workers.
        needs: of one part.
    """

    def __init__(
        self, parts: Sequence[CohortPart], view: FeatureView, mapper: Mapper, needs: Needs
    ) -> None:
        self._parts = list(parts)
        self._view = view
        self._mapper = mapper
        self._needs = needs
        self._moments: list[Moments | None] = []

    def ask(self, function: Callable[[Any, Any], Any], standard: Standard, about: Any) -> list[Any]:
        """Ask every part in one pass; answers in the parts' order."""
        question = _Question(self._view, standard, about)
        return self._mapper.run(function, self._parts, question, self._needs)

    def moments(self) -> Moments:
        """Return the moments of the raw features.

        Raises:
            DataError: no reference slice holds a pixel with data in every channel.
        """
        if not self._moments:
            question = _Question(self._view)
            self._moments = self._mapper.run(_moments, self._parts, question, self._needs)
        found = [m for m in self._moments if m is not None]
        if not found:
            raise DataError("not_fittable", "no reference slice holds a pixel with data")
        return merge_moments(found)

    def passes(self, standard: Standard) -> Passes:
        """Return the standardised and weighted features as a source of passes."""
        return _CohortPasses(self, standard)

    def describe(self, standard: Standard, nodes: Floats) -> Description:
        """Return what the nodes' pixels look like, and how far they lie from them."""
        return merge_descriptions(self.ask(_description, standard, nodes))

    def rows(self, standard: Standard, numbers: NDArray[np.int64]) -> Floats:
        """Return samples by their numbers, counted through the parts in order."""
        self.moments()
        counts = [0 if m is None else m.count for m in self._moments]
        starts = np.concatenate([[0], np.cumsum(counts)])
        order = np.argsort(numbers, kind="stable")  # parts give their samples in ascending order
        ascending = numbers[order]
        owner = np.searchsorted(starts, ascending, side="right") - 1
        wanted = [n for n in range(len(self._parts)) if (owner == n).any()]
        items = [(self._parts[n], ascending[owner == n] - starts[n]) for n in wanted]
        question = _Question(self._view, standard)
        found = self._mapper.run(_rows, items, question, self._needs)
        samples = np.concatenate(found)
        return np.asarray(samples[np.argsort(order, kind="stable")])


class _CohortPasses:
    """Passes over a cohort's standardised and weighted features."""

    def __init__(self, reference: CohortReference, standard: Standard) -> None:
        self._reference = reference
        self._standard = standard

    def moments(self) -> Moments:
        """Derive the moments from the raw ones: standardising is linear."""
        raw, standard = self._reference.moments(), self._standard
        center, factor = (a.astype(np.float64) for a in (standard.center, standard.weights))
        factor = factor / standard.scale
        return Moments(
            raw.count,
            (raw.shift - center) * factor,
            raw.first * factor,
            raw.second * np.outer(factor, factor),
        )

    def rows(self, numbers: NDArray[np.int64]) -> Floats:
        """Return samples by their numbers."""
        return self._reference.rows(self._standard, numbers)

    def node_sums(self, query: NodeQuery) -> NodeSums:
        """Return the sums of all samples at their nearest nodes."""
        return merge_sums(self._reference.ask(_node_sums, self._standard, query), query.worst)

    def errors(self, weights: Floats, lattice: Lattice) -> MapErrors:
        """Return hits, distances and misses of all samples."""
        found = self._reference.ask(_errors, self._standard, (weights, lattice))
        return merge_errors([e for e in found if e is not None])
