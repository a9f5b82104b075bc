"""What labels take from a whole slice, measured part by part where no task could hold it.

Two passes at most: noise and holes first, where a protocol denoises or the slice has another pixel size, then
the frame of what features will see. Sums go on from part to part in one order, so that they are those of the
whole slice to the bit.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from somray.errors import ShapeError
from somray.kernels.features.border import FrameSums
from somray.kernels.features.piece import ChannelScale, SliceScale
from somray.kernels.features.view import FeatureView
from somray.kernels.grids.patch import Box, Patch, boxes, grown_box
from somray.kernels.grids.pixel_size import (
    brought_part,
    checked_spacing,
    has_other_spacing,
    raster_of,
)
from somray.kernels.noise.denoise import CALM_HALO, Calming, calm, calming_of
from somray.kernels.noise.level import Noise, NoiseSums

__all__ = ["SliceSource", "measure_slice", "noise_of_slice"]

Read = Callable[[Box], NDArray[np.float32]]


@dataclass(frozen=True)
class SliceSource:
    """A slice that is read in parts.

    Args:
        read: returns a box of it as (c, y, x), NaN where there is no data.
        shape: (y, x).
        spacing_mm: (y, x).
        part: rows and columns of a part, multiples of four.
        level: lesion level of uptake of its scan, where a channel is PET.
    """

    read: Read
    shape: tuple[int, int]
    spacing_mm: tuple[float, float]
    part: tuple[int, int]
    level: float | None = None

    def patches(self, box: Box) -> list[Patch]:
        """Read a box of all channels.

        Raises:
            ShapeError: it holds infinite values.
        """
        block = self.read(box)
        if np.isinf(block).any():
            raise ShapeError("a slice holds infinite values; mark pixels without data as NaN")
        corner = box[0], box[2]
        return [Patch(np.ascontiguousarray(plane), corner, self.shape) for plane in block]


class _SeenSlice:
    """A slice at the pixel size that features are defined at."""

    def __init__(self, source: SliceSource, reference_mm: tuple[float, float]) -> None:
        self.source, own = source, source.spacing_mm
        self.shape, self.step, self._raster = source.shape, checked_spacing(own), None
        part = source.part
        if has_other_spacing(own, reference_mm):
            self._raster = raster_of(source.shape, own, reference_mm)
            self.shape, self.step = self._raster.shape, self._raster.step
            # No more pixels of the slice than one part has.
            sizes = (max(1.0, b / a) for a, b in zip(own, reference_mm, strict=True))
            rows, columns = (max(4, int(n / s) // 4 * 4) for n, s in zip(part, sizes, strict=True))
            part = rows, columns
        self.boxes = boxes(self.shape, part)

    @property
    def is_other(self) -> bool:
        """Whether that is another size than its own."""
        return self._raster is not None

    def planes(
        self, box: Box, holes: list[bool], calming: list[Calming | None]
    ) -> list[NDArray[np.float32]]:
        """Return a box of it, denoised channel by channel where that is asked for."""
        raster, shape = self._raster, self.source.shape
        wanted = box if raster is None else raster.source_of(box)
        halo = CALM_HALO if any(calming) else 0
        grown = grown_box(wanted, (halo, halo), shape)
        found = []
        for patch, has_holes, quiet in zip(self.source.patches(grown), holes, calming, strict=True):
            plane = patch if quiet is None else patch._replace(pixels=calm(patch.pixels, quiet))
            if raster is None:
                found.append(np.ascontiguousarray(plane.at(box)))
            else:
                found.append(brought_part(plane, raster, box, has_holes=has_holes))
        return found


def measure_slice(view: FeatureView, source: SliceSource) -> SliceScale:
    """Measure a slice, part by part.

    Args:
        view: of the protocol.
        source: the slice.

    Returns:
        Its channels' scales.

    Raises:
        ShapeError: infinite values.

    Cost: a pass or two over the slice, memory of a part.
    """
    windows, count = view.windows_at(source.level), len(view.windows)
    seen = _SeenSlice(source, view.spacing_mm)
    holes: list[bool] = [True] * count
    calming: list[Calming | None] = [None] * count
    denoises = view.denoise != "none" and any(view.noise)
    if denoises or seen.is_other:
        holes, noises = _own_noise(view, source)
        if denoises:
            calming = _calming(view, seen, holes, noises)
    sums = [FrameSums(seen.shape[1], window, clips_infinite=False) for window in windows]
    for box in seen.boxes:
        for channel, plane in zip(sums, seen.planes(box, holes, calming), strict=True):
            channel.add(plane, box[2])
    frames = [channel.frame(math.prod(seen.shape), seen.step) for channel in sums]
    if not (denoises or seen.is_other):
        holes = [frame.missing > 0 for frame in frames]
    return tuple(ChannelScale(*parts) for parts in zip(frames, holes, calming, strict=True))


def noise_of_slice(view: FeatureView, source: SliceSource) -> list[Noise | None]:
    """Measure the noise of each channel of a slice at its own pixels; None of uptake."""
    heard = [kind != "PET" for kind in view.kinds]
    return [
        n if is_heard else None
        for n, is_heard in zip(_own_noise(view, source)[1], heard, strict=True)
    ]


def _own_noise(view: FeatureView, source: SliceSource) -> tuple[list[bool], list[Noise]]:
    """Tell which channels have holes, and how noisy they are."""
    sums = [NoiseSums(window) for window in view.windows]
    holes = [False] * len(sums)
    for box in boxes(source.shape, source.part):
        for c, patch in enumerate(source.patches(box)):
            holes[c] = holes[c] or bool(np.isnan(patch.pixels).any())
            sums[c].add(patch.pixels)
    return holes, [channel.noise() for channel in sums]


def _calming(
    view: FeatureView, seen: _SeenSlice, holes: list[bool], noises: list[Noise]
) -> list[Calming | None]:
    """Decide channel by channel how it is denoised."""
    is_auto = view.denoise == "auto"
    there = noises
    if is_auto and seen.is_other:
        sums = [NoiseSums(window) for window in view.windows]
        for box in seen.boxes:
            for channel, plane in zip(
                sums, seen.planes(box, holes, [None] * len(sums)), strict=True
            ):
                channel.add(plane)
        there = [channel.noise() for channel in sums]
    return [
        calming_of(now, far, known if is_auto else None, window) if known else None
        for now, far, known, window in zip(noises, there, view.noise, view.windows, strict=True)
    ]
