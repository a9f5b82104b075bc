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
from somray.kernels.classes.smoothing import smooth_classes
from somray.kernels.features.border import frame_of
from somray.kernels.features.table import FeaturePlan, plan_of
from somray.kernels.features.view import FeatureView, ScanSlices, calmed, stacks, view_of
from somray.kernels.grids.pixel_size import brought_to_spacing, checked_spacing, has_other_spacing
from somray.kernels.teacher.signature import EVERY, Signature, signature_of
from somray.kernels.teacher.tiles import ChannelView, SliceView, label_slice, take_back
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
        slices = self._ready(slices)
        found = _no_labels(slices, with_confidence=with_confidence)
        self._write(slices, found, threads, with_rows=False)
        return found

    def sign(self, slices: ScanSlices, threads: int = 1) -> SignedLabels:
        """Label slices, and sum up what the teacher sees in the same pass.

        The model must know its reference's spread (`signature.spread_facts`).
        """
        slices = self._ready(slices)
        found = _no_labels(slices, with_confidence=True)
        raw = self._write(slices, found, threads, with_rows=True)
        rows = slices.images[slice(*slices.inner), :, ::EVERY]
        signature = signature_of(self.model, raw, found.labels[:, ::EVERY][_has_data(rows)])
        return SignedLabels(found.labels, found.confidence, signature)

    def _ready(self, slices: ScanSlices) -> ScanSlices:
        """Check slices, and denoise them where need be."""
        images = _checked_shape(slices.images, self.model.channels)
        images = images.astype(np.float32, copy=False)
        return calmed(self.view, replace(slices, images=images))

    def _write(
        self, slices: ScanSlices, found: TeacherLabels, threads: int, *, with_rows: bool
    ) -> NDArray[np.float32]:
        """Write the verdict on slices.

        Returns:
            (c·f, n) raw features of every `EVERY`-th row's pixels with data; n = 0 without `with_rows`.
        """
        images = slices.images[slice(*slices.inner)]
        verdicts = [Verdict(*planes) for planes in zip(found.labels, found.confidence, strict=True)]
        if self.view.dimensions == 3:
            rows = self._label_slab(slices, verdicts)
        else:
            rows = self._label_planes(slices, verdicts, threads, with_rows=with_rows)
        kept = [np.zeros((len(self._nodes.scale), 0), dtype=np.float32)]
        for image, part in zip(images, rows, strict=True):
            if with_rows:
                kept.append(part[:, _has_data(image[None, :, ::EVERY])[0]])
        self._finish(images, slices.spacing_mm, found.labels)
        return np.concatenate(kept, axis=1)

    def _label_planes(
        self, slices: ScanSlices, verdicts: list[Verdict], threads: int, *, with_rows: bool
    ) -> Iterator[NDArray[np.float32]]:
        """Label slices, each by itself; yield the features of every `EVERY`-th row (c·f, rows, x)."""
        windows, own = self.view.windows_at(slices.level), slices.spacing_mm
        reference = self.view.spacing_mm if has_other_spacing(own, self.view.spacing_mm) else None
        for image, out in zip(slices.images[slice(*slices.inner)], verdicts, strict=True):
            channels = [
                _channel(np.ascontiguousarray(plane), window, own, reference)
                for plane, window in zip(image, windows, strict=True)
            ]
            rows = -(-image.shape[1] // EVERY) if with_rows else 0
            kept = np.zeros((len(self._nodes.scale), rows, image.shape[2]), dtype=np.float32)
            label_slice(SliceView(channels, self._plan, self._nodes), out, threads, kept)
            yield kept

    def _label_slab(
        self, slices: ScanSlices, verdicts: list[Verdict]
    ) -> Iterator[NDArray[np.float32]]:
        """Label consecutive slices that see their neighbours; yields as `_label_planes`."""
        if np.isinf(slices.images).any():
            raise ShapeError("a slice holds infinite values; mark pixels without data as NaN")
        images = slices.images[slice(*slices.inner)]
        for out, image, stack in zip(verdicts, images, stacks(self.view, slices), strict=True):
            np.nan_to_num(stack, copy=False)
            label_block(stack.reshape(len(stack), -1), self._nodes, out.flat)
            take_back(np.isnan(image).any(axis=0), (0, image.shape[1]), out)
            yield stack[:, ::EVERY]

    def _finish(
        self,
        images: NDArray[np.float32],
        spacing_mm: tuple[float, float],
        found: NDArray[np.uint8],
    ) -> None:
        """Take the vote over labels (n, y, x), and tell by CT what is not hot beside PET."""
        if self.model.smoothing_mm is not None:
            for labels in found:
                labels[:] = smooth_classes(labels, self.model.smoothing_mm, spacing_mm)
        retold = retold_values(self.model.extra)
        if retold:
            for labels, ct in zip(found, images[:, self.view.kinds.index("CT")], strict=True):
                tell_by_density(labels, ct, spacing_mm, retold)


def _no_labels(slices: ScanSlices, *, with_confidence: bool) -> TeacherLabels:
    """Make room for the verdict on slices."""
    first, last = slices.inner
    shape = (last - first, *slices.images.shape[2:])
    sure = np.zeros(shape if with_confidence else (last - first, 0, 0), dtype=np.float32)
    return TeacherLabels(np.zeros(shape, dtype=np.uint8), sure)


def _has_data(images: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Tell where all channels of slices (n, c, y, x) have data, (n, y, x)."""
    return np.asarray(np.isfinite(images).all(axis=1))


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
    return ChannelView(plane, seen, frame, has_holes)
