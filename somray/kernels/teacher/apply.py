"""Direct transfer: a fitted teacher's classes for the pixels of any slice of its protocol.

Slices are worked on one by one, so a pixel's label does not depend on which other slices come with it,
or, where a teacher looks at neighbouring slices too, slab by slab.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from somray.domain.teacher import TeacherModel
from somray.errors import ShapeError
from somray.kernels.classes.density import retold_values, tell_by_density
from somray.kernels.classes.smoothing import smooth_classes
from somray.kernels.features.border import frame_of
from somray.kernels.features.table import plan_of
from somray.kernels.features.view import ScanSlices, calmed, stacks, view_of
from somray.kernels.features.windows import channel_kind
from somray.kernels.grids.pixel_size import brought_to_spacing, checked_spacing, has_other_spacing
from somray.kernels.teacher.tiles import ChannelView, SliceView, label_slice, take_back
from somray.kernels.teacher.transfer import Verdict, label_block, nodes_of

__all__ = ["TeacherLabels", "apply_teacher", "apply_to", "checked_images", "scaled_windows"]


@dataclass(frozen=True, eq=False)
class TeacherLabels:
    """What the teacher says of slices.

    Args:
        labels: (n, y, x) uint8 class values, 0 where any channel has no data.
        confidence: (n, y, x) float32 in [0, 1], 0 on the border between two classes and in holes.
        distance: (n, y, x) float32 to the nearest node, in standardised and weighted features; NaN in
            holes; None where it was not asked for.
    """

    labels: NDArray[np.uint8]
    confidence: NDArray[np.float32]
    distance: NDArray[np.float32] | None = None


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
    with_distance: bool = False,
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
        with_distance: whether the distance to the nearest node is wanted too.

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
    return apply_to(model, slices, threads, with_distance=with_distance)


def apply_to(
    model: TeacherModel, slices: ScanSlices, threads: int = 1, *, with_distance: bool = False
) -> TeacherLabels:
    """Label slices of one scan as `apply_teacher` does; those that are calm are not denoised again."""
    images = _checked_shape(slices.images, model.channels).astype(np.float32, copy=False)
    first, last = slices.inner
    slices = calmed(view_of(model), replace(slices, images=images))
    images, shape = slices.images[first:last], (last - first, *images.shape[2:])
    found = TeacherLabels(
        labels=np.zeros(shape, dtype=np.uint8),
        confidence=np.zeros(shape, dtype=np.float32),
        distance=np.zeros(shape, dtype=np.float32) if with_distance else None,
    )
    verdicts = [
        Verdict(labels, confidence, _NOTHING if found.distance is None else found.distance[number])
        for number, (labels, confidence) in enumerate(
            zip(found.labels, found.confidence, strict=True)
        )
    ]
    if model.dimensions == 3:
        _label_slab(model, slices, verdicts)
    else:
        look = _Look(model, scaled_windows(model, slices.level), slices.spacing_mm)
        nodes, plan = nodes_of(model), plan_of(model.features)
        for image, out in zip(images, verdicts, strict=True):
            label_slice(SliceView(look.channels(image), plan, nodes), out, threads)
    _finish(model, images, slices.spacing_mm, found.labels)
    return found


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


_NOTHING = np.zeros((0, 0), dtype=np.float32)


class _Look(NamedTuple):
    """How a teacher looks at the slices of one scan, each by itself."""

    model: TeacherModel
    windows: tuple[tuple[float, float], ...]
    spacing_mm: tuple[float, float]

    def channels(self, image: NDArray[np.float32]) -> list[ChannelView]:
        """Take the channels' scales, at the reference's pixel size."""
        has_other = has_other_spacing(self.spacing_mm, self.model.spacing_mm)
        made = []
        for channel, window in zip(image, self.windows, strict=True):
            plane = np.ascontiguousarray(channel)
            seen, step = plane, checked_spacing(self.spacing_mm)
            if has_other:
                seen, step = brought_to_spacing(plane, self.spacing_mm, self.model.spacing_mm)
            frame = frame_of(seen, window, step, clips_infinite=False)
            has_holes = frame.missing > 0 if seen is plane else bool(np.isnan(plane).any())
            made.append(ChannelView(plane, seen, frame, has_holes))
        return made


def _label_slab(model: TeacherModel, slices: ScanSlices, verdicts: list[Verdict]) -> None:
    """Write the verdicts of consecutive slices that see their neighbours."""
    if np.isinf(slices.images).any():
        raise ShapeError("a slice holds infinite values; mark pixels without data as NaN")
    nodes, images = nodes_of(model), slices.images[slice(*slices.inner)]
    for out, image, stack in zip(verdicts, images, stacks(view_of(model), slices), strict=True):
        seen = np.nan_to_num(stack, copy=False).reshape(len(stack), -1)
        lines = Verdict(
            out.labels.reshape(-1), out.confidence.reshape(-1), out.distance.reshape(-1)
        )
        label_block(seen, nodes, lines)
        take_back(np.isnan(image).any(axis=0), (0, image.shape[1]), out)
