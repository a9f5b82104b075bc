"""What a teacher sees in a scan, before it names anything: features on its own scale, and the nearest nodes.

Nodes are those of the map itself: no class, no vote over neighbours, no word of CT beside PET. Further codebooks of
the same features may be asked beside it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from somray.domain.brick import Brick
from somray.domain.run import ScanPlace
from somray.domain.teacher import TeacherModel
from somray.io.ome.image import read_meta
from somray.io.storage import Storage
from somray.kernels.features.piece import halo_of
from somray.kernels.features.view import FeatureView, ScanSlices, stacks, view_of
from somray.kernels.pretrain.piece import NO_NODE
from somray.kernels.som.passes import nearest_nodes
from somray.kernels.teacher.reference import Standard
from somray.stages.reading.slices import read_piece, read_seen, seen_slices
from somray.stages.segment.scales import ScaleItem, Scales, run_scales, scales_for

__all__ = ["NodeMaps", "SeenSlice"]

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class SeenSlice:
    """A slice, or a part of one, as a teacher sees it.

    Args:
        features: (f, y, x) float32, standardised and weighted; NaN where a channel has no data.
        nodes: (k, y, x) int16, nearest node of each codebook; `NO_NODE` where a channel has no data.
    """

    features: Floats
    nodes: NDArray[np.int16]


@dataclass(frozen=True, eq=False)
class NodeMaps:
    """A teacher with all codebooks of its features.

    Args:
        teacher: the protocol's.
        further: nodes (k, f) of codebooks beside its own, in the same units.
    """

    teacher: TeacherModel
    further: tuple[Floats, ...] = ()

    @cached_property
    def view(self) -> FeatureView:
        """How the teacher looks at pixels."""
        return view_of(self.teacher)

    @cached_property
    def standard(self) -> Standard:
        """How it standardises features."""
        teacher = self.teacher
        return Standard(teacher.center, teacher.scale, teacher.feature_weights)

    @property
    def books(self) -> tuple[Floats, ...]:
        """Nodes of all codebooks, the teacher's first."""
        return (self.teacher.codebook.weights, *self.further)

    def look(self, place: ScanPlace, box: Brick, level: float | None) -> Iterator[SeenSlice]:
        """See the slices of a box of one scan, one after the other.

        Args:
            place: the scan.
            box: some slices, or one part of them.
            level: the scan's own level of uptake, where a channel is PET.
        """
        for stack in self._stacks(place, box, level):
            yield self._seen(stack)

    def samples(self, place: ScanPlace, box: Brick, level: float | None) -> Iterator[Floats]:
        """Return the samples (n, f) of each slice's pixels with data."""
        for stack in self._stacks(place, box, level):
            flat = self._standardised(stack).reshape(len(stack), -1)
            yield flat[:, np.isfinite(flat).all(axis=0)].T

    def _stacks(self, place: ScanPlace, box: Brick, level: float | None) -> Iterator[Floats]:
        """Compute the raw features (f, y, x) of each slice of a box."""
        meta = read_meta(Storage.at(place.root), place.name)
        if meta.is_cut:
            yield from stacks(self.view, self._read_cut(place, box, level))
            return
        seen = read_seen(place, (box.t, box.z0, box.z1), level, self.view.dimensions)
        _, rows, columns = box.box
        for stack in stacks(self.view, seen):
            yield stack[:, rows, columns]

    def _read_cut(self, place: ScanPlace, box: Brick, level: float | None) -> ScanSlices:
        """Read a part of slices that no task holds, and what decides about it."""
        meta = read_meta(Storage.at(place.root), place.name)
        _, dy, dx = meta.geometry.spacing_mm
        depth, dimensions = meta.shape[2], self.view.dimensions
        first, last = seen_slices(box.z0, box.z1, depth, dimensions)
        told = run_scales(ScaleItem(place, box.t, first, last, level), self.teacher).value["scales"]
        scales: Scales = {(box.t, first + n): scale for n, scale in enumerate(told)}
        halo = halo_of((dy, dx), self.view.spacing_mm, denoises=self.view.denoise != "none")
        given = scales_for(scales, box.t, (box.z0, box.z1), depth, dimensions)
        return read_piece(place, box, level, halo, given)

    def _standardised(self, stack: Floats) -> Floats:
        """Standardise and weight raw features (f, y, x)."""
        raw = np.ascontiguousarray(stack).reshape(len(stack), -1)
        found = self.standard.standardised(raw) * self.standard.weights[:, None]
        return found.reshape(stack.shape)

    def _seen(self, stack: Floats) -> SeenSlice:
        features = self._standardised(stack)
        flat = features.reshape(len(features), -1)
        known = np.isfinite(flat).all(axis=0)
        nodes = np.full((len(self.books), flat.shape[1]), NO_NODE, dtype=np.int16)
        if known.any():
            samples = np.ascontiguousarray(flat[:, known]).T
            for n, book in enumerate(self.books):
                nodes[n, known] = nearest_nodes(samples, book)
        return SeenSlice(features, nodes.reshape(-1, *stack.shape[1:]))
