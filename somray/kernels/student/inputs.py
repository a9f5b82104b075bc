"""What the student sees of a slice: the teacher's features, or the windowed channels alone.

The features are a fixed first layer: computed by the same kernel as the teacher's, never learned. A
slice noisier than the one learned from is also seen smoothed, each way in turn, so that the network can
choose pixel by pixel; a quiet one is not, and costs nothing more.

    quiet slice   features of every channel
    noisy slice   the same, then once more per smoothing (only noisy channels are smoothed), then every
                  channel's excess of noise, then the neighbouring slices, windowed
    raw student   windowed channels, then the neighbouring slices, windowed

A stack is (d, y, x) float32, NaN where any channel has no data.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from somray.errors import ShapeError
from somray.kernels.features.border import FLOOR_FRACTION
from somray.kernels.features.spacing import feature_stack_at
from somray.kernels.student.noise_view import (
    QUIET,
    SMOOTHINGS,
    Noise,
    noise_of,
    noise_scale,
    smoothed,
)

__all__ = [
    "Look",
    "Window",
    "can_be_noisy",
    "input_count",
    "noise_reference",
    "quiet",
    "student_inputs",
    "windowed",
]

Window = tuple[float, float]
TOLD_AGAINST_MEAN = "ratio_local_global"
"""The one feature that depends on all of the slice."""


def input_count(channels: int, feature_names: Sequence[str]) -> int:
    """Return how many planes of a quiet slice the prototypes see."""
    return channels * len(feature_names) if feature_names else channels


@dataclass(frozen=True, eq=False)
class Look:
    """How a student looks at the slices of one scan.

    Args:
        windows: per channel (low, high); clips and scales to [0, 1].
        feature_names: features of every channel, in order; empty for the raw channels alone.
        spacing_mm: (y, x) distance of pixel centres.
        reference_mm: pixel size that features are defined at, the scan's own where left out.
        noise: (c, 6) noise of the labelled slice, from `noise_reference`; without it every slice
            counts as quiet.
        level: per channel the mean of a whole slice, from `at_crops_of`, where crops of it are looked
            at: features told against the slice's mean are told against this one, not the crop's.
    """

    windows: Sequence[Window]
    feature_names: Sequence[str]
    spacing_mm: tuple[float, float]
    reference_mm: tuple[float, float] | None = None
    noise: NDArray[np.floating] | None = None
    level: tuple[float, ...] | None = None

    def noise_of(self, image: NDArray[np.float32]) -> Noise:
        """Return what is noisier about a slice than about the labelled one."""
        if self.noise is None or not self.feature_names:
            return quiet(len(image))
        return noise_of(image, self.windows, self.noise)

    def at_crops_of(self, image: NDArray[np.float32]) -> "Look":
        """Return how crops of a slice (c, y, x) are looked at."""
        return replace(self, level=_slice_level(image, self.windows))

    def features(
        self, image: NDArray[np.float32], channel: int | None = None
    ) -> NDArray[np.float32]:
        """Return the features of all channels, or of a single one given as (1, y, x)."""
        own = slice(None) if channel is None else slice(channel, channel + 1)
        windows, names = self.windows[own], self.feature_names
        at = self.reference_mm or self.spacing_mm
        found = feature_stack_at(image, windows, names, self.spacing_mm, at)
        if self.level is not None and TOLD_AGAINST_MEAN in names:
            parts = _slice_level(image, windows)
            first = list(names).index(TOLD_AGAINST_MEAN)
            for place, (part, whole) in enumerate(zip(parts, self.level[own], strict=True)):
                found[first + place * len(names)] *= np.float32(part / whole)
        return found


def _slice_level(image: NDArray[np.float32], windows: Sequence[Window]) -> tuple[float, ...]:
    """Return per channel what the feature `TOLD_AGAINST_MEAN` divides by, in shares of the window."""
    found = []
    for plane, (low, high) in zip(image, windows, strict=True):
        there = plane[~np.isnan(plane)]
        mean = np.clip(there, low, high).mean(dtype=np.float64) if there.size else low
        found.append(float((mean - low) / (high - low)) + FLOOR_FRACTION)
    return tuple(found)


def noise_reference(
    image: NDArray[np.float32], windows: Sequence[Window], channels: Sequence[str]
) -> NDArray[np.float64]:
    """Return the noise (c, 6) that other slices are compared with: that of the labelled slice.

    Where `can_be_noisy` says no, infinite: the channel counts as always quiet.

    Raises:
        ShapeError: image, windows and channels differ in number.
    """
    if not len(image) == len(windows) == len(channels):
        raise ShapeError(
            f"image {image.shape} must be (c, y, x) with c = {len(windows)} windows "
            f"of {len(channels)} channels"
        )
    return np.stack(
        [
            noise_scale(plane, window) if noisy else np.full(6, np.inf)
            for plane, window, noisy in zip(image, windows, can_be_noisy(channels), strict=True)
        ]
    )


def can_be_noisy(channels: Sequence[str]) -> NDArray[np.bool_]:
    """Tell of which channels (c,) noise can be told from what they show.

    Not of uptake beside another channel: on the other's finer grid its finest details are uptake, and
    slices of one scan differ by two thirds of an octave (bench_student_noise).
    """
    return np.array([name != "PET" or len(channels) == 1 for name in channels], dtype=bool)


def quiet(channels: int) -> Noise:
    """Return the noise of a slice that counts as quiet in every channel."""
    return Noise(np.zeros(channels, dtype=np.float32), np.zeros(channels, dtype=np.float32))


def student_inputs(
    image: NDArray[np.float32],
    look: Look,
    around: NDArray[np.float32] | None = None,
    noise: Noise | None = None,
) -> NDArray[np.float32]:
    """Build the input stack of one slice.

    Args:
        image: (c, y, x) physical values, NaN where there is no data.
        look: how the student looks at this scan.
        around: (2k, c, y, x) neighbouring slices, for a student that sees them.
        noise: of every channel where it is known; measured otherwise.

    Returns:
        (d, y, x) float32; every plane is NaN where any channel has no data.

    Raises:
        ShapeError: if windows and channels differ in number, or the image is not (c, y, x).
    """
    if image.ndim != 3 or len(look.windows) != len(image):
        raise ShapeError(
            f"image {image.shape} must be (c, y, x) with c = {len(look.windows)} windows"
        )
    near = [] if around is None else [np.nan_to_num(windowed(i, look.windows)) for i in around]
    if not look.feature_names:
        stack = np.concatenate([windowed(image, look.windows), *near])
    else:
        noise = look.noise_of(image) if noise is None else noise
        plain = look.features(image)
        stack = _noisy(image, look, plain, noise, near) if (noise.excess > QUIET).any() else plain
    hole = np.isnan(image).any(axis=0)
    if hole.any():
        stack[:, hole] = np.nan
    return np.ascontiguousarray(stack, dtype=np.float32)


def _noisy(
    image: NDArray[np.float32],
    look: Look,
    plain: NDArray[np.float32],
    noise: Noise,
    near: Sequence[NDArray[np.float32]],
) -> NDArray[np.float32]:
    """Return the stack of a noisy slice, made in place: copies of so many planes cost more than some of them."""
    count, channels = len(look.feature_names), len(image)
    first = (1 + len(SMOOTHINGS)) * len(plain)
    depth = first + channels * (1 + len(near))
    stack = np.empty((depth, *image.shape[1:]), dtype=np.float32)
    stack[: len(plain)] = plain
    for channel in range(channels):
        own = slice(channel * count, (channel + 1) * count)
        views = stack[len(plain) : first].reshape(len(SMOOTHINGS), len(plain), *image.shape[1:])
        if noise.excess[channel] <= QUIET:
            views[:, own] = plain[own]
            continue
        calmer = smoothed(image[channel], float(noise.sigma[channel]))
        for view, calm in zip(views, calmer, strict=True):
            view[own] = look.features(calm[None], channel)
    stack[first : first + channels] = noise.excess[:, None, None]
    for number, planes in enumerate(near, 1):
        stack[first + number * channels : first + (number + 1) * channels] = planes
    return stack


def windowed(image: NDArray[np.float32], windows: Sequence[Window]) -> NDArray[np.float32]:
    """Clip channels (c, y, x) to their windows and scale them to [0, 1]."""
    low = np.array([w[0] for w in windows], dtype=np.float32)[:, None, None]
    high = np.array([w[1] for w in windows], dtype=np.float32)[:, None, None]
    return np.asarray(np.clip((image - low) / (high - low), 0.0, 1.0), dtype=np.float32)
