"""Parts of slices that no task could hold: what is measured of the whole first, and how a part is seen.

A piece is a block of some slices with more pixels around than are wanted (`halo_of`). What features take from
the whole slice (its frame, how it is denoised, whether it has holes) comes beside it, so that a piece gives
the bits that the whole slice would.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from somray.kernels.features.band import Frame
from somray.kernels.features.border import mask_holes
from somray.kernels.features.filters import CORE_HALO
from somray.kernels.features.spacing import ChannelView, seen_box
from somray.kernels.features.table import FeaturePlan
from somray.kernels.grids.patch import Box, Patch, grown_box
from somray.kernels.grids.pixel_size import Raster, brought_part, has_other_spacing, raster_of
from somray.kernels.noise.denoise import CALM_HALO, Calming

__all__ = ["ChannelScale", "Piece", "SliceScale", "channel_of_piece", "halo_of", "write_piece"]

Spacing = tuple[float, float]

FEATURE_HALO = 2 * CORE_HALO
"""Pixels that decide about a pixel's features: their own reach, and that of filling a hole there."""

BAND_ROWS = 64


@dataclass(frozen=True)
class ChannelScale:
    """What is measured of one channel of a whole slice.

    Args:
        frame: at the pixel size that features are defined at, denoised.
        has_holes: whether it has pixels without data.
        calming: how it is denoised; None where it is left alone.
    """

    frame: Frame
    has_holes: bool
    calming: Calming | None = None

    def as_json(self) -> dict[str, Any]:
        """Return plain numbers; `from_json` gives the same bits back."""
        return {
            "frame": list(self.frame),
            "has_holes": self.has_holes,
            "calming": None if self.calming is None else list(self.calming),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "ChannelScale":
        """Read what `as_json` wrote."""
        calming = data["calming"]
        return cls(
            Frame(*data["frame"]),
            bool(data["has_holes"]),
            None if calming is None else Calming(*calming),
        )


SliceScale = tuple[ChannelScale, ...]
"""A slice's channels, in image order."""


@dataclass(frozen=True)
class Piece:
    """Where a block of slices lies in them.

    Args:
        corner: row and column of the slices that the block begins at.
        shape: (y, x) of the whole slices.
        box: rows and columns of the slices that count.
        scales: of each slice of the block.
    """

    corner: tuple[int, int]
    shape: tuple[int, int]
    box: Box
    scales: tuple[SliceScale, ...] = field(repr=False)

    def patch(self, plane: NDArray[np.float32]) -> Patch:
        """Return a plane of the block with its place."""
        return Patch(plane, self.corner, self.shape)

    @property
    def inside(self) -> tuple[slice, slice]:
        """What counts, along (y, x) of the block."""
        (y, x), (y0, y1, x0, x1) = self.corner, self.box
        return slice(y0 - y, y1 - y), slice(x0 - x, x1 - x)


def halo_of(
    spacing_mm: Spacing, reference_mm: Spacing, *, denoises: bool, beyond: tuple[int, int] = (0, 0)
) -> tuple[int, int]:
    """Return how many rows and columns more than a part's own decide about it.

    Args:
        spacing_mm: distance of the slice's pixels along (y, x).
        reference_mm: the distance that features are defined at.
        denoises: whether slices may be denoised.
        beyond: pixels that are looked at beside those that count, such as by a vote.
    """
    sizes = [1.0, 1.0]
    if has_other_spacing(spacing_mm, reference_mm):
        sizes = [max(1.0, b / a) for a, b in zip(spacing_mm, reference_mm, strict=True)]
        # Interpolated from one pixel more, made of pixels that begin before and end behind it.
        reach = [math.ceil((FEATURE_HALO + 3) * size) + 4 for size in sizes]
    else:
        reach = [FEATURE_HALO, FEATURE_HALO]
    calm = CALM_HALO if denoises else 0
    return reach[0] + calm + beyond[0], reach[1] + calm + beyond[1]


def channel_of_piece(
    patch: Patch, scale: ChannelScale, spacing: tuple[Spacing, Spacing], box: Box
) -> ChannelView:
    """Return a denoised channel of a piece as features of a box of it see it.

    Args:
        patch: its pixels.
        scale: of the whole slice.
        spacing: of the slice and of the reference, (y, x) each.
        box: rows and columns of the slice that features are wanted of.
    """
    seen = patch
    if has_other_spacing(*spacing):
        seen = seen_patch(patch, raster_of(patch.shape, *spacing), box, has_holes=scale.has_holes)
    has_holes = scale.has_holes and bool(np.isnan(patch.at(box)).any())
    return ChannelView(patch, seen, scale.frame, has_holes)


def seen_patch(patch: Patch, raster: Raster, box: Box, *, has_holes: bool) -> Patch:
    """Bring to another pixel size what features of a box of the slice are made of there."""
    wanted = seen_box(box, patch.shape, raster.shape)
    wanted = grown_box(wanted, (FEATURE_HALO, FEATURE_HALO), raster.shape)
    plane = brought_part(patch, raster, wanted, has_holes=has_holes)
    return Patch(plane, (wanted[0], wanted[2]), raster.shape)


def write_piece(
    channels: Sequence[ChannelView], plan: FeaturePlan, box: Box, out: NDArray[np.float32]
) -> None:
    """Write the features of a box of a slice into `out` (c, f, y, x); NaN where their channel is NaN."""
    y0, y1, x0, x1 = box
    for channel, planes in zip(channels, out, strict=True):
        if channel.frame.missing == math.prod(channel.seen.shape):
            planes[:] = np.nan
            continue
        stream = channel.stream(plan, (x0, x1), BAND_ROWS)
        for y in range(y0, y1, BAND_ROWS):
            stream.write(y, min(y + BAND_ROWS, y1), planes, y - y0)
        if channel.has_holes:
            own = np.ascontiguousarray(channel.patch.at(box))
            mask_holes(own, (0, y1 - y0), planes)
