"""A slice noisier than the reference, brought to its noise before a teacher looks at it.

Channel by channel and slice by slice, so that a slice's labels do not depend on which others come with it.
Of what non-local means takes away a share is given back, the reference's noise over the slice's own: a map
fitted on noisy pixels takes smooth ones for something else.
Uptake is left alone: on the grid it comes in its finest details are uptake, and its noise is as coarse as
what it shows.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from somray.kernels.grids.pixel_size import brought_to_spacing, has_other_spacing
from somray.kernels.noise.level import (
    FLOOR,
    LEAST,
    Noise,
    is_no_noisier,
    noise_excess,
    noise_on_top,
    noise_scale,
)
from somray.kernels.noise.nonlocal_means import REACH, nonlocal_means

__all__ = [
    "CALM_HALO",
    "DENOISE",
    "QUIET",
    "Calming",
    "calm",
    "calmed_plane",
    "calming_of",
    "joined_noise",
    "reference_noise",
]

Window = tuple[float, float]
Spacing = tuple[float, float]
Plane = NDArray[np.float32]

DENOISE = ("auto", "none", "nlm")
"""auto: where a slice is clearly noisier than the reference; none: never; nlm: always."""
QUIET = 0.35
"""Excess in octaves up to which a slice counts as quiet as the reference: neighbours of real slices differ by
up to .15, a gain of 5 % makes some of them .3."""
SURE = 2.0
"""Standard errors by which it must exceed that."""
CALM_HALO = REACH + 1
"""Pixels to each side that decide about a pixel's denoised value."""
UNKNOWN = 1e6
"""Noise of a reference that does not tell it: no slice is noisier."""


class Calming(NamedTuple):
    """How a plane is denoised.

    Args:
        sigma: standard deviation of the noise, in the channel's values.
        left: share of what the filter takes that is given back.
    """

    sigma: float
    left: float


def reference_noise(
    images: NDArray[np.float32], windows: Sequence[Window], kinds: Sequence[str]
) -> tuple[tuple[float, ...], ...]:
    """Return the noise of the reference, the median of its slices in each direction and at each scale.

    Args:
        images: (n, c, y, x).
        windows: per channel (low, high).
        kinds: per channel CT, PET …

    Returns:
        Per channel 6 shares of the window, as of `noise_scale`; () for uptake.
    """
    found: list[tuple[float, ...]] = []
    for c, (window, kind) in enumerate(zip(windows, kinds, strict=True)):
        planes = [] if kind == "PET" else [np.ascontiguousarray(i[c], np.float32) for i in images]
        found.append(joined_noise([noise_scale(plane, window) for plane in planes]))
    return tuple(found)


def joined_noise(noises: Sequence[Noise]) -> tuple[float, ...]:
    """Return the median of several slices' noise in each direction and at each scale; () of none."""
    scales = [np.where(n.blocks < LEAST, UNKNOWN, n.shares) for n in noises]
    return tuple(float(s) for s in np.median(scales, axis=0)) if scales else ()


def calming_of(
    now: Noise, seen: Noise, noise: Sequence[float] | None, window: Window
) -> Calming | None:
    """Decide whether a channel of a slice is denoised, and how strongly; None where it is quiet.

    Whether it is noisier is asked at the reference's pixel size, where features see it; smaller pixels are
    noisier by themselves. How strong the filter must be is asked at its own pixels.

    Args:
        now: its noise.
        seen: its noise at the reference's pixel size.
        noise: of the reference, that is left in the slice; None for whatever there is to go.
        window: (low, high) of the channel.
    """
    if noise is None:
        before, left = np.full(now.shares.shape, FLOOR), 0.0
    else:
        if noise_excess(seen, noise, SURE) <= QUIET:
            return None
        before = np.asarray(noise) * now.shares / seen.shares
        left = 2.0 ** -noise_excess(seen, noise)
    sigma = noise_on_top(now.shares, before, window)
    return Calming(sigma, left) if sigma > 0.0 else None


def calm(plane: Plane, calming: Calming) -> Plane:
    """Denoise a plane (y, x) of finite values and NaN; `CALM_HALO` pixels round a part give the whole's bits."""
    quiet = nonlocal_means(plane, calming.sigma)
    if not calming.left:
        return quiet
    return quiet + np.float32(calming.left) * (plane - quiet)


def calmed_plane(
    plane: Plane,
    window: Window,
    noise: Sequence[float] | None,
    spacing: tuple[Spacing, Spacing],
) -> Plane | None:
    """Denoise one channel of one slice by non-local means if need be (`calming_of`).

    Args:
        plane: (y, x) float32, NaN where there is no data.
        window: (low, high) of the channel.
        noise: of the reference, that is left in the slice; None for whatever there is to go.
        spacing: of the slice and of the reference, (y, x) each.

    Returns:
        (y, x) float32; None where it is quiet, or holds infinite values (which features refuse).
    """
    plane = np.ascontiguousarray(plane)
    is_scaled = has_other_spacing(*spacing)
    quiet = None if noise is None or is_scaled else np.asarray(noise) * 2.0**QUIET
    if quiet is not None and is_no_noisier(plane, window, quiet):
        return None  # as most slices are; the whole measure would say so too
    now = noise_scale(plane, window)
    seen = now
    if noise is not None and is_scaled and not np.isinf(plane).any():
        seen = noise_scale(brought_to_spacing(plane, *spacing)[0], window)
    calming = calming_of(now, seen, noise, window)
    if calming is None or np.isinf(plane).any():
        return None
    return calm(plane, calming)
