"""Direct transfer: a fitted teacher's classes for the pixels of any slice of its protocol.

Slices are worked on one by one and in tiles: features of a tile are written to a small block, labelled
there and forgotten. So memory does not grow with the slice beyond its result, and a pixel's label
depends neither on tiles and threads nor on which other slices come with it.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from somray.domain.teacher import TeacherModel
from somray.errors import ShapeError
from somray.kernels.class_smoothing import smooth_classes
from somray.kernels.features.band import Frame
from somray.kernels.features.border import frame_of
from somray.kernels.features.spacing import (
    SpacedStream,
    brought_to_spacing,
    has_other_spacing,
)
from somray.kernels.features.stack import FeatureStream, checked_spacing
from somray.kernels.features.table import Plan, plan_of
from somray.kernels.resolution import at_resolution
from somray.kernels.transfer import Nodes, Verdict, label_block, nodes_of
from somray.kernels.windows import channel_kind

__all__ = ["TeacherLabels", "apply_teacher", "checked_images", "scaled_windows"]

TILE_COLUMNS = 1024
"""Columns of a tile: with the rows below, its features stay in the second-level cache."""

TILE_VALUES = 98_304
"""Features in a tile, over all channels (bench_features: 64 k to 128 k are alike)."""


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
    own = model.extra.get("subject_level")
    if level is None or own is None:
        return model.windows
    if not (np.isfinite(level) and level > 0):
        raise ShapeError(f"level must be a positive uptake, got {level}")
    ratio = level / own
    return tuple(
        (low * ratio, high * ratio) if channel_kind(model.modality, name) == "PET" else (low, high)
        for name, (low, high) in zip(model.channels, model.windows, strict=True)
    )


def apply_teacher(
    model: TeacherModel,
    images: NDArray[np.float32],
    spacing_mm: tuple[float, float],
    level: float | None = None,
    *,
    threads: int = 1,
    with_distance: bool = False,
) -> TeacherLabels:
    """Label slices with a fitted teacher, each by itself.

    Args:
        model: from `fit_teacher`.
        images: (n, c, y, x) physical values, NaN where there is no data.
        spacing_mm: distance between pixels along (y, x).
        level: lesion level of uptake of the scan the slices are from; the reference's own where left
            out, so that a slice is labelled the same alone and among others.
        threads: that a slice's rows are divided among; the result does not depend on them.
        with_distance: whether the distance to the nearest node is wanted too.

    Returns:
        Labels and confidence; 0 where any channel is NaN. Labels are smoothed where the model asks for
        it; confidence and distance stay those of the pixel alone.

    Raises:
        ShapeError: images do not fit the model, or hold infinite values.

    Cost: time of the features and f·k multiplications a pixel; memory of the result, of a slice's
    rows of tiles, and of a slice where the model asks for a coarser resolution.
    """
    images = _checked_shape(images, model.channels).astype(np.float32, copy=False)
    windows = scaled_windows(model, level)
    shape = (len(images), *images.shape[2:])
    found = TeacherLabels(
        labels=np.zeros(shape, dtype=np.uint8),
        confidence=np.zeros(shape, dtype=np.float32),
        distance=np.zeros(shape, dtype=np.float32) if with_distance else None,
    )
    nodes, plan = nodes_of(model), plan_of(model.features)
    for number, image in enumerate(images):
        seen = at_resolution(image, model.extra.get("resolution_mm"), spacing_mm)
        channels = [
            _channel(np.ascontiguousarray(plane), window, spacing_mm, model.spacing_mm)
            for plane, window in zip(seen, windows, strict=True)
        ]
        whole = found.distance[number] if found.distance is not None else _NOTHING
        out = Verdict(found.labels[number], found.confidence[number], whole)
        _label_slice(_Slice(channels, plan, nodes), out, threads)
        if model.smoothing_mm is not None:
            labels = found.labels[number]
            labels[:] = smooth_classes(labels, model.smoothing_mm, spacing_mm)
    return found


_NOTHING = np.zeros((0, 0), dtype=np.float32)


class _Channel(NamedTuple):
    """One channel of a slice, as it is and as features see it."""

    plane: NDArray[np.float32]
    seen: NDArray[np.float32]
    frame: Frame
    has_holes: bool

    def stream(
        self, plan: Plan, columns: tuple[int, int], rows: int
    ) -> FeatureStream | SpacedStream:
        """Return the features of some columns, at the plane's own pixels."""
        if self.seen is self.plane:
            return FeatureStream(self.plane, self.frame, plan, columns, rows)
        shape = (self.plane.shape[0], self.plane.shape[1])
        return SpacedStream(self.seen, self.frame, plan, columns, shape)


def _channel(
    plane: NDArray[np.float32],
    window: tuple[float, float],
    spacing_mm: tuple[float, float],
    reference_mm: tuple[float, float],
) -> _Channel:
    """Take a channel's scale, at the reference's pixel size where its own is another."""
    seen, step = plane, checked_spacing(spacing_mm)
    if has_other_spacing(spacing_mm, reference_mm):
        seen, step = brought_to_spacing(plane, spacing_mm, reference_mm)
    frame = frame_of(seen, window, step, clips_infinite=False)
    has_holes = frame.missing > 0 if seen is plane else bool(np.isnan(plane).any())
    return _Channel(plane, seen, frame, has_holes)


class _Slice(NamedTuple):
    """One slice with everything that labelling it takes."""

    channels: list[_Channel]
    plan: Plan
    nodes: Nodes


def _label_slice(slice_: _Slice, out: Verdict, threads: int) -> None:
    """Write a slice's verdict, planes (y, x), its rows divided among threads."""
    rows = out.labels.shape[0]
    if any(channel.frame.missing == channel.seen.size for channel in slice_.channels):
        _mark_holes(slice_, (0, rows), out)
        return
    if threads <= 1 or rows < 2 * threads:
        _label_rows(slice_, (0, rows), out)
        return
    edges = [rows * part // threads for part in range(threads + 1)]
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda span: _label_rows(slice_, span, out), pairwise(edges)))


def _label_rows(slice_: _Slice, rows: tuple[int, int], out: Verdict) -> None:
    """Write some rows of a slice's verdict, columns by columns and band by band."""
    count, width = slice_.plan.planes, out.labels.shape[1]
    wide = min(width, TILE_COLUMNS)
    high = min(max(4, TILE_VALUES // (count * len(slice_.channels) * wide)), rows[1] - rows[0])
    for x in range(0, width, wide):
        columns = (x, min(x + wide, width))
        across = columns[1] - columns[0]
        streams = [channel.stream(slice_.plan, columns, high) for channel in slice_.channels]
        block = np.empty((len(streams), count, high, across), dtype=np.float32)
        samples = block.reshape(len(streams) * count, high * across)
        lines = Verdict(
            np.empty(high * across, np.uint8),
            np.empty(high * across, np.float32),
            np.empty(high * across if out.distance.size else 0, np.float32),
        )
        for y in range(rows[0], rows[1], high):
            end = min(y + high, rows[1])
            for stream, part in zip(streams, block, strict=True):
                stream.write(y, end, part, 0)
            label_block(samples, slice_.nodes, lines)
            part = (slice(y, end), slice(*columns))
            _paste(lines.labels, out.labels[part])
            _paste(lines.confidence, out.confidence[part])
            if out.distance.size:
                _paste(lines.distance, out.distance[part])
    _mark_holes(slice_, rows, out)


def _paste(line: NDArray[Any], target: NDArray[Any]) -> None:
    """Write the beginning of a line into a part of a plane."""
    target[:] = line[: target.size].reshape(target.shape)


def _mark_holes(slice_: _Slice, rows: tuple[int, int], out: Verdict) -> None:
    """Take back the verdict where any channel has no data."""
    part = slice(*rows)
    for channel in slice_.channels:
        if channel.has_holes:
            holes = np.isnan(channel.plane[part])
            out.labels[part][holes] = 0
            out.confidence[part][holes] = 0.0
            if out.distance.size:
                out.distance[part][holes] = np.nan
