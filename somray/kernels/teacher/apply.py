"""Direct transfer: a fitted teacher's classes for the pixels of any slice of its protocol.

Slices are worked on one by one, so a pixel's label does not depend on which other slices come with it,
or, where a teacher looks at neighbouring slices too, slab by slab.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from somray.domain.teacher import TeacherModel
from somray.errors import ShapeError
from somray.kernels.classes.density import retold_values, tell_by_density
from somray.kernels.classes.smoothing import smooth_classes, smoothing_halo
from somray.kernels.features.border import frame_of
from somray.kernels.features.piece import Piece, halo_of
from somray.kernels.features.spacing import ChannelView
from somray.kernels.features.table import FeaturePlan, plan_of
from somray.kernels.features.view import (
    FeatureView,
    ScanSlices,
    calmed,
    channels_of_pieces,
    stacks,
    view_of,
)
from somray.kernels.grids.patch import Box, Patch, grown_box
from somray.kernels.grids.pixel_size import brought_to_spacing, checked_spacing, has_other_spacing
from somray.kernels.teacher.signature import EVERY, Signature, SignatureSums
from somray.kernels.teacher.tiles import SliceView, kept_rows, label_slice, take_back
from somray.kernels.teacher.transfer import Nodes, Verdict, label_block, nodes_of

__all__ = [
    "SignedLabels",
    "TeacherLabels",
    "Transfer",
    "apply_teacher",
    "checked_images",
    "scaled_windows",
]


@dataclass(frozen=True, eq=False)
class TeacherLabels:
    """What the teacher says of slices.

    Args:
        labels: (n, y, x) uint8 class values, 0 where any channel has no data.
        confidence: (n, y, x) float32 in [0, 1], 0 on the border between two classes and in holes; of size 0
            where it was not asked for.
    """

    labels: NDArray[np.uint8]
    confidence: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class SignedLabels(TeacherLabels):
    """What the teacher says of slices, and what it saw, summed up."""

    signature: Signature


def checked_images(images: NDArray[np.float32], channels: Sequence[str]) -> NDArray[np.float32]:
    """Return images as float32 (n, c, y, x), or refuse them."""
    array = _checked_shape(images, channels)
    if np.isinf(array).any():
        raise ShapeError("images hold infinite values; mark pixels without data as NaN")
    return array.astype(np.float32, copy=False)


def _checked_shape(images: NDArray[np.float32], channels: Sequence[str]) -> NDArray[np.float32]:
    """Return images as an array (n, c, y, x), or refuse them."""
    array = np.asarray(images)
    if array.ndim != 4 or array.shape[1] != len(channels) or array.size == 0:
        raise ShapeError(
            f"images must be (n, {len(channels)}, y, x) for channels {', '.join(channels)}, "
            f"got shape {array.shape}"
        )
    return array


def scaled_windows(model: TeacherModel, level: float | None) -> tuple[tuple[float, float], ...]:
    """Return the windows for a subject: PET's follows the subject's own level of uptake."""
    return view_of(model).windows_at(level)


def apply_teacher(
    model: TeacherModel,
    images: NDArray[np.float32],
    spacing_mm: tuple[float, float],
    level: float | None = None,
    *,
    context: tuple[int, int] = (0, 0),
    spacing_z_mm: float | None = None,
    threads: int = 1,
) -> TeacherLabels:
    """Label slices with a fitted teacher, each by itself, or with its neighbours.

    A teacher of three dimensions takes consecutive slices; give it `HALO_Z` more on each side wherever
    the scan has them (`context`), and a slab's labels are those of the whole scan.

    Args:
        model: from `fit_teacher`.
        images: (n, c, y, x) physical values, NaN where there is no data.
        spacing_mm: distance between pixels along (y, x).
        level: lesion level of uptake of the scan the slices are from; the reference's own where left
            out, so that a slice is labelled the same alone and among others.
        context: how many leading and trailing slices are only looked at, not labelled.
        spacing_z_mm: distance between slices; for a teacher of three dimensions.
        threads: that a slice's rows are divided among; the result does not depend on them. In three
            dimensions one thread does all.

    Returns:
        Labels and confidence of all but the context; 0 where any channel is NaN. Slices are denoised first
        where the model asks for it and they are noisier than its reference (`denoise`). Labels are smoothed
        where it asks for that, and beside PET what is not hot is told by CT (`classes_density`); confidence
        and distance stay those of the pixel's nodes alone.

    Raises:
        ShapeError: images do not fit the model, hold infinite values, or leave nothing beside the
            context; no spacing along z for a teacher of three dimensions.

    Cost: time of the features and f·k multiplications a pixel; memory of the result and of a slice's
    rows of tiles.
    """
    slices = ScanSlices(images, spacing_mm, level, context, spacing_z_mm)
    return Transfer(model).label(slices, threads)


@dataclass(frozen=True, eq=False)
class Transfer:
    """A teacher made ready once, to label as many slices as there are.

    Args:
        model: from `fit_teacher`.
    """

    model: TeacherModel

    @cached_property
    def view(self) -> FeatureView:
        """How the teacher looks at pixels."""
        return view_of(self.model)

    @cached_property
    def _nodes(self) -> Nodes:
        return nodes_of(self.model)

    @cached_property
    def _plan(self) -> FeaturePlan:
        return plan_of(self.model.features)

    def label(
        self, slices: ScanSlices, threads: int = 1, *, with_confidence: bool = True
    ) -> TeacherLabels:
        """Label slices of one scan as `apply_teacher` does; those that are calm are not denoised again.

        Args:
            slices: of the scan.
            threads: that a slice's rows are divided among; the result does not depend on them.
            with_confidence: whether it is wanted; labels alone take less.
        """
        return self._write(self._ready(slices), threads, with_confidence=with_confidence, sums=None)

    def sign(self, slices: ScanSlices, threads: int = 1) -> SignedLabels:
        """Label slices, and sum up what the teacher sees in the same pass.

        The model must know its reference's spread (`signature.spread_facts`).
        """
        slices = self._ready(slices)
        sums = SignatureSums(self.model)
        found = self._write(slices, threads, with_confidence=True, sums=sums)
        return SignedLabels(found.labels, found.confidence, sums.signature())

    def halo(self, spacing_mm: tuple[float, float]) -> tuple[int, int]:
        """Return how many rows and columns more than a piece's own decide about its labels."""
        beyond = self._beyond(spacing_mm)
        denoises = self.view.denoise != "none"
        return halo_of(spacing_mm, self.view.spacing_mm, denoises=denoises, beyond=beyond)

    def _beyond(self, spacing_mm: tuple[float, float]) -> tuple[int, int]:
        """Return how many rows and columns more than a piece's own are labelled for the vote."""
        if self.model.smoothing_mm is None:
            return 0, 0
        return smoothing_halo(self.model.smoothing_mm, spacing_mm)

    def _ready(self, slices: ScanSlices) -> ScanSlices:
        """Check slices, and denoise them where need be."""
        images = _checked_shape(slices.images, self.model.channels)
        images = images.astype(np.float32, copy=False)
        if slices.piece is not None and retold_values(self.model.extra):
            raise ShapeError("classes that CT tells beside PET need whole slices")
        return calmed(self.view, replace(slices, images=images))

    def _write(
        self, slices: ScanSlices, threads: int, *, with_confidence: bool, sums: SignatureSums | None
    ) -> TeacherLabels:
        """Return the verdict on slices; `sums` get their features."""
        wanted = slices.piece
        if wanted is not None:  # the vote needs labels beyond what is wanted
            box = grown_box(wanted.box, self._beyond(slices.spacing_mm), wanted.shape)
            slices = replace(slices, piece=replace(wanted, box=box))
        found = _no_labels(slices, with_confidence=with_confidence)
        verdicts = [Verdict(*planes) for planes in zip(found.labels, found.confidence, strict=True)]
        box, part = _boxes(slices, wanted)
        y0, y1, x0, x1 = part[0] - box[0], part[1] - box[0], part[2] - box[2], part[3] - box[2]
        if self.view.dimensions == 3:
            rows = self._label_slab(slices, verdicts, box)
        else:
            rows = self._label_planes(slices, verdicts, threads, with_rows=sums is not None)
        for image, labels, kept in zip(slices.counted, found.labels, rows, strict=True):
            self._finish(image, slices.spacing_mm, labels)
            if sums is not None:
                sums.add(kept, labels, -box[0] % EVERY, (y0, y1, x0, x1))
        return TeacherLabels(found.labels[:, y0:y1, x0:x1], found.confidence[:, y0:y1, x0:x1])

    def _label_planes(
        self, slices: ScanSlices, verdicts: list[Verdict], threads: int, *, with_rows: bool
    ) -> Iterator[NDArray[np.float32]]:
        """Label slices, each by itself; yield the features of every `EVERY`-th row (c·f, rows, x)."""
        kept = np.zeros((0, 0, 0), dtype=np.float32)
        for channels, out in zip(self._channels(slices), verdicts, strict=True):
            box = _boxes(slices, None)[0]
            if with_rows and not kept.size:
                shape = len(self._nodes.scale), kept_rows(box), box[3] - box[2]
                kept = np.zeros(shape, dtype=np.float32)
            label_slice(SliceView(channels, box, self._plan, self._nodes), out, threads, kept)
            yield kept

    def _channels(self, slices: ScanSlices) -> Iterator[list[ChannelView]]:
        """Return the channels of each slice that counts, as features see them."""
        if slices.piece is not None:
            yield from channels_of_pieces(self.view, slices)
            return
        windows, own = self.view.windows_at(slices.level), slices.spacing_mm
        reference = self.view.spacing_mm if has_other_spacing(own, self.view.spacing_mm) else None
        for image in slices.images[slice(*slices.inner)]:
            yield [
                _channel(np.ascontiguousarray(plane), window, own, reference)
                for plane, window in zip(image, windows, strict=True)
            ]

    def _label_slab(
        self, slices: ScanSlices, verdicts: list[Verdict], box: Box
    ) -> Iterator[NDArray[np.float32]]:
        """Label consecutive slices that see their neighbours; yields as `_label_planes`."""
        if np.isinf(slices.images).any():
            raise ShapeError("a slice holds infinite values; mark pixels without data as NaN")
        for out, image, stack in zip(
            verdicts, slices.counted, stacks(self.view, slices), strict=True
        ):
            np.nan_to_num(stack, copy=False)
            label_block(stack.reshape(len(stack), -1), self._nodes, out.flat)
            take_back(np.isnan(image).any(axis=0), (0, image.shape[1]), out)
            yield np.ascontiguousarray(stack[:, -box[0] % EVERY :: EVERY])

    def _finish(
        self, image: NDArray[np.float32], spacing_mm: tuple[float, float], labels: NDArray[np.uint8]
    ) -> None:
        """Take the vote over labels (y, x), and tell by CT what is not hot beside PET."""
        if self.model.smoothing_mm is not None:
            labels[:] = smooth_classes(labels, self.model.smoothing_mm, spacing_mm)
        retold = retold_values(self.model.extra)
        if retold:
            tell_by_density(labels, image[self.view.kinds.index("CT")], spacing_mm, retold)


def _boxes(slices: ScanSlices, wanted: Piece | None) -> tuple[Box, Box]:
    """Return the rows and columns of the slice that are labelled, and those of them that are wanted."""
    if slices.piece is None:
        whole = (0, slices.images.shape[2], 0, slices.images.shape[3])
        return whole, whole
    return slices.piece.box, (wanted or slices.piece).box


def _no_labels(slices: ScanSlices, *, with_confidence: bool) -> TeacherLabels:
    """Make room for the verdict on slices."""
    first, last = slices.inner
    y0, y1, x0, x1 = _boxes(slices, None)[0]
    shape = last - first, y1 - y0, x1 - x0
    sure = np.zeros(shape if with_confidence else (last - first, 0, 0), dtype=np.float32)
    return TeacherLabels(np.zeros(shape, dtype=np.uint8), sure)


def _channel(
    plane: NDArray[np.float32],
    window: tuple[float, float],
    spacing_mm: tuple[float, float],
    reference_mm: tuple[float, float] | None,
) -> ChannelView:
    """Take a channel's scale, at the reference's pixel size where that is another one."""
    seen, step = plane, checked_spacing(spacing_mm)
    if reference_mm is not None:
        seen, step = brought_to_spacing(plane, spacing_mm, reference_mm)
    frame = frame_of(seen, window, step, clips_infinite=False)
    has_holes = frame.missing > 0 if seen is plane else bool(np.isnan(plane).any())
    patch = Patch.whole(plane)
    return ChannelView(patch, patch if seen is plane else Patch.whole(seen), frame, has_holes)
