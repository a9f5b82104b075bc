"""Direct transfer: a fitted teacher's classes for the pixels of any slice of its protocol.

Slices are worked on one by one, so a pixel's label does not depend on which other slices come with it,
or, where a teacher looks at neighbouring slices too, slab by slab.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from somray.domain.teacher import TeacherModel
from somray.errors import ShapeError
from somray.kernels.classes.density import retold_values, tell_by_density
from somray.kernels.classes.smoothing import smooth_classes
from somray.kernels.features.border import frame_of
from somray.kernels.features.spacing import brought_to_spacing, has_other_spacing
from somray.kernels.features.stack import checked_spacing
from somray.kernels.features.table import plan_of
from somray.kernels.features.view import ScanSlices, calmed, stacks, view_of
from somray.kernels.features.windows import channel_kind
from somray.kernels.teacher.signature import EVERY, Signature, signature_of
from somray.kernels.teacher.tiles import ChannelView, SliceView, label_slice, take_back
from somray.kernels.teacher.transfer import Verdict, label_block, nodes_of

__all__ = [
    "SignedLabels",
    "TeacherLabels",
    "apply_and_sign",
    "apply_teacher",
    "apply_to",
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
    return apply_to(model, slices, threads)


def apply_to(
    model: TeacherModel, slices: ScanSlices, threads: int = 1, *, with_confidence: bool = True
) -> TeacherLabels:
    """Label slices of one scan as `apply_teacher` does; those that are calm are not denoised again.

    Args:
        model: from `fit_teacher`.
        slices: of the scan.
        threads: that a slice's rows are divided among; the result does not depend on them.
        with_confidence: whether it is wanted; labels alone take less.
    """
    slices = _ready(model, slices)
    found = _nothing_yet(slices, with_confidence=with_confidence)
    _label(model, slices, found, threads, with_rows=False)
    return found


def apply_and_sign(model: TeacherModel, slices: ScanSlices, threads: int = 1) -> SignedLabels:
    """Label slices as `apply_to` does, and sum up what the teacher sees in the same pass.

    Args:
        model: from `fit_teacher`, which knows its reference's spread (`signature.spread_facts`).
        slices: of the scan.
        threads: that a slice's rows are divided among; the result does not depend on them.
    """
    slices = _ready(model, slices)
    found = _nothing_yet(slices, with_confidence=True)
    raw = _label(model, slices, found, threads, with_rows=True)
    rows = slices.images[slice(*slices.inner), :, ::EVERY]
    signature = signature_of(model, raw, found.labels[:, ::EVERY][_has_data(rows)])
    return SignedLabels(found.labels, found.confidence, signature)


def _ready(model: TeacherModel, slices: ScanSlices) -> ScanSlices:
    """Check slices, and denoise them where need be."""
    images = _checked_shape(slices.images, model.channels).astype(np.float32, copy=False)
    return calmed(view_of(model), replace(slices, images=images))


def _nothing_yet(slices: ScanSlices, *, with_confidence: bool) -> TeacherLabels:
    """Make room for the verdict on slices."""
    first, last = slices.inner
    shape = (last - first, *slices.images.shape[2:])
    sure = np.zeros(shape if with_confidence else (last - first, 0, 0), dtype=np.float32)
    return TeacherLabels(np.zeros(shape, dtype=np.uint8), sure)


def _label(
    model: TeacherModel,
    slices: ScanSlices,
    found: TeacherLabels,
    threads: int,
    *,
    with_rows: bool,
) -> NDArray[np.float32]:
    """Write the verdict; return the raw features (c·f, n) that a signature sums up, or n = 0."""
    verdicts = [Verdict(*planes) for planes in zip(found.labels, found.confidence, strict=True)]
    if model.dimensions == 3:
        raw = _label_slab(model, slices, verdicts, with_rows=with_rows)
    else:
        raw = _label_planes(model, slices, verdicts, threads, with_rows=with_rows)
    _finish(model, slices.images[slice(*slices.inner)], slices.spacing_mm, found.labels)
    return raw


def _has_data(images: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Tell where all channels of slices (n, c, y, x) have data, (n, y, x)."""
    return np.asarray(np.isfinite(images).all(axis=1))


def _finish(
    model: TeacherModel,
    images: NDArray[np.float32],
    spacing_mm: tuple[float, float],
    found: NDArray[np.uint8],
) -> None:
    """Take the vote over labels (n, y, x), and tell by CT what is not hot beside PET."""
    if model.smoothing_mm is not None:
        for labels in found:
            labels[:] = smooth_classes(labels, model.smoothing_mm, spacing_mm)
    retold = retold_values(model.extra)
    if retold:
        kinds = [channel_kind(model.modality, channel) for channel in model.channels]
        for labels, ct in zip(found, images[:, kinds.index("CT")], strict=True):
            tell_by_density(labels, ct, spacing_mm, retold)


def _label_planes(
    model: TeacherModel,
    slices: ScanSlices,
    verdicts: list[Verdict],
    threads: int,
    *,
    with_rows: bool,
) -> NDArray[np.float32]:
    """Write the verdicts of slices that are each seen by itself.

    Returns:
        (c·f, n) raw features of every `EVERY`-th row's pixels with data, where wanted.
    """
    nodes, plan = nodes_of(model), plan_of(model.features)
    windows, own = scaled_windows(model, slices.level), slices.spacing_mm
    reference = model.spacing_mm if has_other_spacing(own, model.spacing_mm) else None
    rows = [np.zeros((len(nodes.scale), 0), dtype=np.float32)]
    for image, out in zip(slices.images[slice(*slices.inner)], verdicts, strict=True):
        channels = [
            _channel(np.ascontiguousarray(plane), window, own, reference)
            for plane, window in zip(image, windows, strict=True)
        ]
        kept = None
        if with_rows:
            high, wide = out.labels.shape
            kept = np.zeros((len(nodes.scale), -(-high // EVERY), wide), dtype=np.float32)
        label_slice(SliceView(channels, plan, nodes), out, threads, kept)
        if kept is not None:
            rows.append(kept[:, _has_data(image[None, :, ::EVERY])[0]])
    return np.concatenate(rows, axis=1)


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


def _label_slab(
    model: TeacherModel, slices: ScanSlices, verdicts: list[Verdict], *, with_rows: bool
) -> NDArray[np.float32]:
    """Write the verdicts of consecutive slices that see their neighbours; returns as `_label_planes`."""
    if np.isinf(slices.images).any():
        raise ShapeError("a slice holds infinite values; mark pixels without data as NaN")
    nodes, images = nodes_of(model), slices.images[slice(*slices.inner)]
    rows = [np.zeros((len(nodes.scale), 0), dtype=np.float32)]
    for out, image, stack in zip(verdicts, images, stacks(view_of(model), slices), strict=True):
        np.nan_to_num(stack, copy=False)
        label_block(stack.reshape(len(stack), -1), nodes, out.flat)
        take_back(np.isnan(image).any(axis=0), (0, image.shape[1]), out)
        if with_rows:
            rows.append(stack[:, ::EVERY][:, _has_data(image[None, :, ::EVERY])[0]])
    return np.concatenate(rows, axis=1)
