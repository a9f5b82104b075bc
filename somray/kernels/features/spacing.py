"""Features that mean the same at another pixel size.

Gradients are told per mm, but windows of 3×3 and 5×5 pixels cover other lengths where pixels have another
size: noise, texture and thin structures then look different. So a slice whose spacing is not the one that
a protocol's features are defined at is brought to it first (averaged over areas where pixels get larger,
linearly interpolated where they get smaller), features are computed there, and interpolated linearly back
to the slice's own pixel centres.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from somray.errors import ShapeError
from somray.kernels.compiled import compiled
from somray.kernels.features.band import Frame
from somray.kernels.features.border import frame_of, mask_holes
from somray.kernels.features.stack import (
    FeatureStream,
    checked_window,
    feature_stack,
)
from somray.kernels.features.table import FEATURES, FeaturePlan, plan_of
from somray.kernels.grids.patch import Box, Patch
from somray.kernels.grids.pixel_size import Taps, brought_to_spacing, has_other_spacing

__all__ = ["ChannelView", "SpacedStream", "feature_stack_at", "interpolated", "seen_box"]

Plane = NDArray[np.float32]
Spacing = tuple[float, float]
Window = tuple[float, float]


@compiled
def _interpolate(
    coarse: Plane,
    y: Taps,
    x: Taps,
    place: tuple[int, int],
    out: Plane,
) -> None:
    """Write rows of `out` (f, y, x) from row place[1] on, from planes whose first row is place[0]."""
    y_first, y_share = y
    x_first, x_share = x
    for f in range(coarse.shape[0]):
        for n in range(y_first.size):
            row = y_first[n] - place[0]
            above, below, share = coarse[f, row], coarse[f, row + 1], y_share[n]
            target = out[f, place[1] + n]
            for i in range(x_first.size):
                at, part = x_first[i], x_share[i]
                left = above[at] + share * (below[at] - above[at])
                right = above[at + 1] + share * (below[at + 1] - above[at + 1])
                target[i] = left + part * (right - left)


class SpacedStream:
    """Features of one channel at the pixel centres of a slice, computed at another pixel size.

    A `FeatureStream` in all that its user sees.

    Args:
        seen: the slice at the size that features are defined at, or the part that is held of that.
        frame: scale of that plane.
        plan: what to write.
        columns: first column of the slice and the one after the last.
        shape: (y, x) of the slice.
    """

    def __init__(
        self,
        seen: Patch,
        frame: Frame,
        plan: FeaturePlan,
        columns: tuple[int, int],
        shape: tuple[int, int],
    ) -> None:
        self._rows = _centres(shape[0], seen.shape[0])
        firsts, shares = _centres(shape[1], seen.shape[1])
        first, share = firsts[columns[0] : columns[1]], shares[columns[0] : columns[1]]
        begin, end = int(first[0]), min(int(first[-1]) + 2, seen.shape[1])
        self._columns: Taps = (first - begin, share)
        self._count, self._planes, self._limit = end - begin, plan.planes, seen.shape[0]
        self._source, self._begin = (seen, frame, plan), begin

    def write(self, y0: int, y1: int, out: Plane, into: int) -> None:
        """Write rows [y0, y1) of the slice into `out` (f, y, x) from its row `into`."""
        first, share = self._rows[0][y0:y1], self._rows[1][y0:y1]
        begin, end = int(first[0]), min(int(first[-1]) + 2, self._limit)
        # One row and column more than there may be, for the neighbour that counts for nothing.
        coarse = np.zeros((self._planes, end - begin + 1, self._count + 1), dtype=np.float32)
        made = np.empty((self._planes, end - begin, self._count), dtype=np.float32)
        across = (self._begin, self._begin + self._count)
        FeatureStream(*self._source, across, end - begin).write(begin, end, made, 0)
        coarse[:, :-1, :-1] = made
        _interpolate(coarse, (first, share), self._columns, (begin, into), out)


def _centres(count: int, coarse: int) -> Taps:
    """Return, for each of `count` pixel centres, the `coarse` pixel before it and the share of the next."""
    place = np.clip((np.arange(count) + 0.5) * (coarse / count) - 0.5, 0.0, coarse - 1.0)
    first = np.floor(place).astype(np.int64)
    return first, (place - first).astype(np.float32)


class ChannelView(NamedTuple):
    """One channel of a slice, or of a part of it, as it is and as features see it.

    Args:
        patch: the channel's own pixels.
        seen: the same at the pixel size that features are defined at; `patch` where that is its own.
        frame: scale of what is seen of the whole slice.
        has_holes: whether pixels without data may be in the patch.
    """

    patch: Patch
    seen: Patch
    frame: Frame
    has_holes: bool

    def stream(
        self, plan: FeaturePlan, columns: tuple[int, int], rows: int
    ) -> FeatureStream | SpacedStream:
        """Return the features of some columns of the slice, at its own pixels."""
        if self.seen is self.patch:
            return FeatureStream(self.patch, self.frame, plan, columns, rows)
        return SpacedStream(self.seen, self.frame, plan, columns, self.patch.shape)


def seen_box(box: Box, shape: tuple[int, int], seen: tuple[int, int]) -> Box:
    """Return what features of a box of a slice (y, x) are interpolated from, of the plane that is seen (Y, X)."""
    rows, columns = _centres(shape[0], seen[0])[0], _centres(shape[1], seen[1])[0]
    return (
        int(rows[box[0]]), min(int(rows[box[1] - 1]) + 2, seen[0]),
        int(columns[box[2]]), min(int(columns[box[3] - 1]) + 2, seen[1]),
    )  # fmt: skip


def interpolated(
    stack: Plane,
    shape: tuple[int, int],
    box: Box | None = None,
    seen_shape: tuple[int, int] | None = None,
) -> Plane:
    """Interpolate planes at the pixel centres of a slice over the same extent.

    Args:
        stack: (f, Y, X), or with `box` the part `seen_box` of it.
        shape: (y, x) of the slice.
        box: the pixels of the slice that are wanted; all where left out.
        seen_shape: (Y, X) of the whole planes; those of `stack` where left out.
    """
    whole = (stack.shape[1], stack.shape[2]) if seen_shape is None else seen_shape
    y0, y1, x0, x1 = box or (0, shape[0], 0, shape[1])
    coarse = np.pad(stack, ((0, 0), (0, 1), (0, 1)))
    out = np.empty((len(stack), y1 - y0, x1 - x0), dtype=np.float32)
    y, x = (_centres(n, m) for n, m in zip(shape, whole, strict=True))
    rows, columns = (y[0][y0:y1], y[1][y0:y1]), (x[0][x0:x1], x[1][x0:x1])
    begin, left = int(rows[0][0]), int(columns[0][0])
    _interpolate(coarse, rows, (columns[0] - left, columns[1]), (begin, 0), out)
    return out


def feature_stack_at(
    image: NDArray[np.float32],
    windows: Sequence[Window | None],
    names: Sequence[str] = FEATURES,
    spacing_mm: Spacing = (1.0, 1.0),
    reference_mm: Spacing = (1.0, 1.0),
) -> NDArray[np.float32]:
    """Compute features of a slice as they would be at the reference's pixel size.

    Args:
        image: (c, y, x) values, NaN where there is no data.
        windows: per channel (low, high) or None.
        names: features to keep, in the order wanted.
        spacing_mm: distance between pixels along (y, x).
        reference_mm: distance that features are defined at; where the slice's is within
            `SPACING_TOLERANCE` of it this is `feature_stack`.

    Returns:
        (c·f, y, x) float32, channel-major; NaN where the channel is NaN.

    Raises:
        ShapeError: shapes do not fit, or a feature is unknown.
    """
    if not has_other_spacing(spacing_mm, reference_mm):
        return feature_stack(image, windows, names, spacing_mm)
    if image.ndim != 3 or image.size == 0 or len(windows) != len(image):
        raise ShapeError(f"image {image.shape} must be (c, y, x) with c = {len(windows)} windows")
    plan, shape = plan_of(names), (image.shape[1], image.shape[2])
    out = np.empty((len(image), plan.planes, *shape), dtype=np.float32)
    for plane, window, target in zip(image, windows, out, strict=True):
        source = np.ascontiguousarray(plane, dtype=np.float32)
        seen, step = brought_to_spacing(source, spacing_mm, reference_mm)
        frame = frame_of(seen, checked_window(window, ""), step)
        if frame.missing == seen.size:
            target[:] = np.nan
            continue
        SpacedStream(Patch.whole(seen), frame, plan, (0, shape[1]), shape).write(
            0, shape[0], target, 0
        )
        mask_holes(source, (0, shape[0]), target)
    return out.reshape(-1, *shape)
