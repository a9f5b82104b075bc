"""How noisy a slice is, and how much noisier than the reference.

Noise is read off the finest details: medians of Haar coefficients, three directions at two scales, in
shares of the channel's window (Donoho and Johnstone, "Ideal spatial adaptation by wavelet shrinkage",
1994, take the finest diagonal alone; streaks show in the others). Half of a slice's pixels may be edges and
the median still tells their noise. What counts is the ratio to the reference slice's own.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from somray.kernels.compiled import compiled

__all__ = [
    "FLOOR",
    "LEAST",
    "Noise",
    "NoiseSums",
    "is_no_noisier",
    "noise_excess",
    "noise_on_top",
    "noise_scale",
]

Window = tuple[float, float]
Plane = NDArray[np.float32]
Counts = NDArray[np.int32]

FLOOR = 0.01
"""Share of the window that every scale is taken to hold: a channel without any noise stays finite."""
LEAST = 64
"""Blocks that a scale must be read from; from fewer nothing is known, and `FLOOR` told."""
LEVELS = 2
SCALES = (1.0, 1.0, 1.0, 2.0, 2.0, 2.0)
"""White noise falls by these where four pixels are averaged into one."""
BINS, BINS_PER_WINDOW = 8192, 2048
"""Details are counted, not sorted, which costs a tenth: a bin is a thirtieth of `FLOOR`'s own."""
QUARTILE = 0.6745
"""Median of a normal variable's absolute value, in standard deviations."""
DOUBT = 2.4
"""Standard error in octaves of the ratio of two such medians, times the root of the values of each: √2 times
1 / (2 · .6745 · .6356 · ln 2), the density of absolute values at their median being .6356."""


class Noise(NamedTuple):
    """A channel's noise in three directions at pixel scale, then at twice that.

    Args:
        shares: (6,) of the window, at least `FLOOR`.
        blocks: (6,) how many blocks of pixels it was read from.
    """

    shares: NDArray[np.float64]
    blocks: NDArray[np.float64]


class NoiseSums:
    """Counts of a channel's finest details, part by part; parts add up to the bits of the whole.

    Args:
        window: (low, high); only where the local mean lies inside is noise looked for.
    """

    def __init__(self, window: Window) -> None:
        self._limits = np.array(window, dtype=np.float32)
        self._per_bin = _per_bin(window)
        self._counts = np.zeros((LEVELS, 3, BINS + 1), dtype=np.int64)
        self._known = [0] * LEVELS

    def add(self, plane: Plane) -> None:
        """Count a plane, or a part of one that begins at multiples of four.

        Args:
            plane: (y, x) float32 values, NaN where there is no data; only the last part of a row or column
                may have sizes that four does not divide.
        """
        for level in range(LEVELS):
            counts, known, plane = _details(plane, self._limits, self._per_bin)
            self._counts[level] += counts
            self._known[level] += known

    def noise(self) -> Noise:
        """Return the noise of all that was counted."""
        shares: list[float] = []
        blocks: list[float] = []
        for counts, known in zip(self._counts, self._known, strict=True):
            medians = [_median(row, known) if known >= LEAST else 0.0 for row in counts]
            shares += [math.hypot(FLOOR, m / (2 * QUARTILE * BINS_PER_WINDOW)) for m in medians]
            blocks += [float(known)] * len(counts)
        return Noise(np.array(shares), np.array(blocks))


def _per_bin(window: Window) -> np.float32:
    """Return bins per unit, finite however narrow the window."""
    bins = BINS_PER_WINDOW / (float(window[1]) - float(window[0]))
    return np.float32(min(bins, float(np.finfo(np.float32).max)))


def noise_scale(plane: Plane, window: Window) -> Noise:
    """Measure the noise of a channel's plane; see `NoiseSums`."""
    sums = NoiseSums(window)
    sums.add(plane)
    return sums.noise()


def is_no_noisier(plane: Plane, window: Window, shares: NDArray[np.float64]) -> bool:
    """Say whether a plane's noise is at most `shares` (6,) in all of `Noise.shares`, without measuring it.

    A third of the time of `noise_scale`: details below a limit are counted, not told apart. False also where
    noise comes within a bin of the limit, or too few blocks tell it.
    """
    limits = np.array(window, dtype=np.float32)
    per_bin = _per_bin(window)
    medians = np.sqrt(np.maximum(shares**2 - FLOOR**2, 0.0)) * (2 * QUARTILE * BINS_PER_WINDOW)
    # A median that lies in a bin below is at most that bin's upper end; one bin more for rounding.
    ends = np.clip(np.floor(medians) - 1, 0, BINS - 1).astype(np.float32).reshape(LEVELS, 3)
    for end in ends:
        counts, plane = _count_below(plane, limits, per_bin, end)
        known = int(counts[3])
        if known < LEAST or 2 * int(counts[:3].min()) < known:
            return False
    return True


@compiled
def _count_below(
    plane: Plane, window: Plane, per_bin: np.float32, ends: Plane
) -> tuple[NDArray[np.int64], Plane]:
    """Count the details of `_details` that lie in bins below `ends` (3,).

    Returns:
        (4,) three counts and the number of blocks inside the window; the means (y, x) of all blocks.
    """
    rows, columns = plane.shape[0] // 2, plane.shape[1] // 2
    means = np.empty((rows, columns), dtype=np.float32)
    counts = np.zeros(4, dtype=np.int64)
    first, second, third = ends[0], ends[1], ends[2]
    for y in range(rows):
        upper, lower, line = plane[2 * y], plane[2 * y + 1], means[y]
        f, s, t, k = np.int32(0), np.int32(0), np.int32(0), np.int32(0)
        for x in range(columns):
            a, b, c, d = upper[2 * x], upper[2 * x + 1], lower[2 * x], lower[2 * x + 1]
            mean = (a + b + c + d) * np.float32(0.25)
            line[x] = mean
            inside = (mean > window[0]) & (mean < window[1])  # never where NaN
            left, right = a - b, c - d
            across = (a + b) - (c + d)
            k += np.int32(inside)
            f += np.int32(inside & (abs(left - right) * per_bin < first))
            s += np.int32(inside & (abs(across) * per_bin < second))
            t += np.int32(inside & (abs(left + right) * per_bin < third))
        counts[0] += f
        counts[1] += s
        counts[2] += t
        counts[3] += k
    return counts, means


@compiled
def _find_bins(
    lines: tuple[Plane, Plane], window: Plane, per_bin: np.float32, means: Plane, bins: Counts
) -> None:
    """Write the means (x,) of two rows' blocks of four and the bins (3, x) of their Haar details.

    A block outside the window belongs to bin `BINS`. Apart from the counting, so that vectors do it.
    """
    upper, lower = lines
    last, nowhere = np.float32(BINS - 1), np.int32(BINS)
    for x in range(means.size):
        a, b, c, d = upper[2 * x], upper[2 * x + 1], lower[2 * x], lower[2 * x + 1]
        mean = (a + b + c + d) * np.float32(0.25)
        means[x] = mean
        inside = (mean > window[0]) & (mean < window[1])  # never where NaN
        left, right = a - b, c - d
        across = (a + b) - (c + d)
        first, second = abs(left - right) * per_bin, abs(across) * per_bin
        third = abs(left + right) * per_bin
        # Not `min`: of differences of the largest numbers, which are none, the last bin.
        bins[0, x] = np.int32(first if first < last else last) if inside else nowhere
        bins[1, x] = np.int32(second if second < last else last) if inside else nowhere
        bins[2, x] = np.int32(third if third < last else last) if inside else nowhere


@compiled
def _details(plane: Plane, window: Plane, per_bin: np.float32) -> tuple[Counts, int, Plane]:
    """Count the absolute Haar details of blocks of four by direction.

    Returns:
        (3, `BINS` + 1) counts, the number of blocks inside the window, and the means (y, x) of all.
    """
    rows, columns = plane.shape[0] // 2, plane.shape[1] // 2
    counts = np.zeros((3, BINS + 1), dtype=np.int32)
    means = np.empty((rows, columns), dtype=np.float32)
    bins = np.empty((3, columns), dtype=np.int32)
    for y in range(rows):
        _find_bins((plane[2 * y], plane[2 * y + 1]), window, per_bin, means[y], bins)
        for x in range(columns):
            for direction in range(3):
                counts[direction, bins[direction, x]] += 1
    return counts, rows * columns - counts[0, BINS], means


@compiled
def _median(counts: NDArray[np.int64], known: int) -> float:
    """Return the median in bins of so many details, evenly spread within its own."""
    half = 0.5 * known
    if counts[0] >= half:
        return 0.0  # most details are nothing: drawn, or rounded, not noisy
    at, before = 0, 0
    while before + counts[at] < half:
        before += counts[at]
        at += 1
    return float(at + (half - before) / counts[at])


def noise_excess(now: Noise, before: Sequence[float], errors: float = 0.0) -> float:
    """Tell how many octaves noisier a slice is than the reference.

    Args:
        now: of the slice.
        before: (6,) shares of the reference.
        errors: so many standard errors are taken off: a small slice tells its noise badly.

    Returns:
        The most of all directions and scales; below 0 where it is quieter in all of them.
    """
    octaves = np.log2(now.shares / np.asarray(before))
    doubt = errors * DOUBT / np.sqrt(np.maximum(now.blocks, 1.0))
    return float((octaves - doubt).max())


def noise_on_top(shares: NDArray[np.float64], before: NDArray[np.float64], window: Window) -> float:
    """Return the standard deviation, in the channel's values, of the noise that came on top."""
    more = np.sqrt(np.maximum(shares**2 - before**2, 0.0)) * SCALES
    return float(more.max()) * (float(window[1]) - float(window[0]))
