"""How much noisier a slice is than the one learned from, and what it looks like smoothed.

Noise is read off the finest details: medians of Haar coefficients, three directions at two scales, in
shares of the channel's window (Donoho and Johnstone, "Ideal spatial adaptation by wavelet shrinkage",
1994, take the finest diagonal alone; streaks show in the others). Half of a slice's pixels may be edges and
the median still tells their noise. What counts is the ratio to the labelled slice's own.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from somray.kernels.student.nonlocal_means import nonlocal_means

__all__ = ["QUIET", "SMOOTHINGS", "Noise", "noise_of", "noise_scale", "smoothed"]

Window = tuple[float, float]
Plane = NDArray[np.float32]

QUIET = 0.25
"""Excess in octaves up to which a slice is as quiet as the labelled one: neighbouring slices of real
scans differ by up to .15 (bench_student_noise)."""
FLOOR = 0.01
"""Share of the window that every scale is taken to hold: a channel without any noise stays finite."""
LARGEST = 8.0
"""Octaves that a quieter channel's excess is cut at."""
LEVELS = 2
SCALES = np.array([1.0, 1.0, 1.0, 2.0, 2.0, 2.0])
"""White noise falls by these where four pixels are averaged into one."""
SMOOTHINGS = ("nonlocal", "gauss", "median", "wide")
GAUSS = {"gauss": 0.7, "wide": 1.5}
"""Standard deviations in pixels (bench_student_noise)."""


def noise_scale(plane: Plane, window: Window) -> NDArray[np.float64]:
    """Measure a channel's noise.

    Args:
        plane: (y, x) values, NaN where there is no data.
        window: (low, high); only where the local mean lies inside is noise looked for.

    Returns:
        (6,) shares of the window: three directions at pixel scale, then at twice that.
    """
    low, high = window
    found: list[float] = []
    for _ in range(LEVELS):
        rows, columns = (size // 2 * 2 for size in plane.shape)
        corner = plane[:rows, :columns]
        a, b = corner[::2, ::2], corner[::2, 1::2]
        c, d = corner[1::2, ::2], corner[1::2, 1::2]
        mean = (a + b + c + d) / 4
        inside = (mean > low) & (mean < high)  # False where NaN
        details = ((a - b) - (c - d)), ((a + b) - (c + d)), ((a - b) + (c - d))
        for detail in details:
            here = np.abs(detail[inside])
            share = float(np.median(here)) / (2 * 0.6745 * (high - low)) if here.size else 0.0
            found.append(math.hypot(FLOOR, share))
        plane = np.asarray(mean, dtype=np.float32)
    return np.array(found)


class Noise(NamedTuple):
    """What is noisier about a slice than about the labelled one.

    Args:
        excess: (c,) octaves, the most of all directions and scales; below 0 where it is quieter.
        sigma: (c,) standard deviation of what came on top, in the channel's values.
    """

    excess: NDArray[np.float32]
    sigma: NDArray[np.float32]


def noise_of(
    image: NDArray[np.float32], windows: Sequence[Window], reference: NDArray[np.floating]
) -> Noise:
    """Tell how much noisier each channel is than the labelled slice's.

    Args:
        image: (c, y, x) values.
        windows: per channel (low, high).
        reference: (c, 6) of the labelled slice, from `noise_scale`; infinite for a channel that is
            always quiet.
    """
    excess = np.full(len(image), -LARGEST, dtype=np.float32)
    sigma = np.zeros(len(image), dtype=np.float32)
    for channel, (plane, window) in enumerate(zip(image, windows, strict=True)):
        before = reference[channel]
        if np.isfinite(before).all():
            now = noise_scale(plane, window)
            excess[channel] = max(float(np.log2(now / before).max()), -LARGEST)
            more = np.sqrt(np.maximum(now**2 - before**2, 0.0)) * SCALES
            sigma[channel] = more.max() * (window[1] - window[0])
    return Noise(excess, sigma)


def smoothed(plane: Plane, sigma: float) -> list[Plane]:
    """Smooth a channel in as many ways as there are `SMOOTHINGS`.

    Args:
        plane: (y, x) values, NaN where there is no data; borders by reflection.
        sigma: standard deviation of its noise.

    Returns:
        (y, x) per smoothing; pixels whose surroundings hold NaN stay as they are.
    """
    hole = np.isnan(plane)
    filled = np.where(hole, np.float32(0), plane) if hole.any() else plane
    calm = _median3(filled)
    found = {
        "nonlocal": nonlocal_means(filled, max(sigma, 1e-6)),
        "gauss": _gauss(filled, GAUSS["gauss"]),
        "median": calm,
        "wide": _gauss(calm, GAUSS["wide"]),
    }
    if hole.any():
        near = _near(hole)
        found = {name: np.where(near, plane, value) for name, value in found.items()}
    return [found[name] for name in SMOOTHINGS]


def _median3(plane: Plane) -> Plane:
    """Return the median of 3×3 pixels: sort columns, then take the middle of what may be in the middle.

    Source: Smith, "Implementing median filters in XC4000E FPGAs", 1996.
    """
    wide = np.pad(plane, 1, mode="symmetric")
    low, mid, high = _sorted3(wide[:-2], wide[1:-1], wide[2:])
    lowest = np.maximum(np.maximum(low[:, :-2], low[:, 1:-1]), low[:, 2:])
    highest = np.minimum(np.minimum(high[:, :-2], high[:, 1:-1]), high[:, 2:])
    middle = _sorted3(mid[:, :-2], mid[:, 1:-1], mid[:, 2:])[1]
    return _sorted3(lowest, middle, highest)[1]


def _sorted3(a: Plane, b: Plane, c: Plane) -> tuple[Plane, Plane, Plane]:
    least, most = np.minimum(a, b), np.maximum(a, b)
    return np.minimum(least, c), np.maximum(least, np.minimum(most, c)), np.maximum(most, c)


def _gauss(plane: Plane, sigma: float) -> Plane:
    """Smooth by a Gaussian cut at three standard deviations."""
    taps = gauss_taps(sigma)
    reach = len(taps) // 2
    for axis in (0, 1):
        pads = [(0, 0), (0, 0)]
        pads[axis] = (reach, reach)
        wide = np.moveaxis(np.pad(plane, pads, mode="symmetric"), axis, 0)
        size = plane.shape[axis]
        total = taps[0] * wide[:size]
        for step, tap in enumerate(taps[1:], 1):
            total += tap * wide[step : step + size]
        plane = np.moveaxis(total, 0, axis)
    return np.ascontiguousarray(plane)


def gauss_taps(sigma: float) -> NDArray[np.float32]:
    """Return the taps of a Gaussian cut at three standard deviations; they sum to 1."""
    reach = int(np.ceil(3 * sigma))
    taps = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    return np.asarray(taps / taps.sum(), dtype=np.float32)


def _near(hole: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the pixels that a smoothing would draw from holes."""
    reach = 1 + len(gauss_taps(max(GAUSS.values()))) // 2
    wide = np.pad(hole, reach)
    rows, columns = hole.shape
    down = np.logical_or.reduce([wide[n : n + rows] for n in range(2 * reach + 1)])
    return np.asarray(
        np.logical_or.reduce([down[:, n : n + columns] for n in range(2 * reach + 1)])
    )
