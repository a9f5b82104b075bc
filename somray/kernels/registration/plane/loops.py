"""Compiled loops over a pair of planes: sample one at the pixels of the other, and compare them.

Planes are (rows, columns) float32, at least 2×2, with NaN where there is no data. `sampling` (3, 3) float64
is affine and takes fixed pixels (x, y, 1) to moving pixels. Sums are float64, kept by column while rows
are walked (that fills vector registers without re-ordering any sum), on one thread.
"""

import numpy as np
from numpy.typing import NDArray

from somray.kernels.compiled import compiled_contracting

__all__ = ["moments", "sample"]

Float32 = NDArray[np.float32]
Matrix = NDArray[np.float64]

_NEARLY_WHOLE = 1e-6  # pixels: sampled this far beyond the last pixel still counts as on it


@compiled_contracting
def _span(slope: float, start: float, last: float, count: int) -> tuple[int, int]:
    """Return the range of x in 0..count for which slope·x + start lies in 0..last."""
    low, high = -_NEARLY_WHOLE, last + _NEARLY_WHOLE
    if slope == 0.0:
        return (0, count) if low <= start <= high else (0, 0)
    one, other = (low - start) / slope, (high - start) / slope
    first, final = min(one, other), max(one, other)
    if not (first < count and final > -1.0):
        return 0, 0
    return max(int(np.ceil(max(first, 0.0))), 0), int(np.floor(min(final, count - 1.0))) + 1


@compiled_contracting
def sample(moving: Float32, sampling: Matrix, stride: int, warped: Float32) -> None:
    """Fill every stride-th row of `warped`, linear; NaN outside and next to missing data."""
    rows, columns = warped.shape
    high, wide = moving.shape
    flat, width = moving.ravel(), np.uint32(wide)
    last_x, last_y, none = np.int32(wide - 2), np.int32(high - 2), np.int32(0)
    along, down = sampling[0, 0], sampling[1, 0]
    for y in range(0, rows, stride):
        u0 = sampling[0, 1] * y + sampling[0, 2]
        v0 = sampling[1, 1] * y + sampling[1, 2]
        begin, end = _span(along, u0, wide - 1.0, columns)
        other, stop = _span(down, v0, high - 1.0, columns)
        begin, end = max(begin, other), min(end, stop)
        line = warped[y]
        line[:] = np.nan
        for x in range(begin, end):
            u, v = np.float32(along * x + u0), np.float32(down * x + v0)
            i = max(min(np.int32(u), last_x), none)
            j = max(min(np.int32(v), last_y), none)
            right, below = u - np.float32(i), v - np.float32(j)
            # Unsigned: an index that cannot be negative needs no branch.
            at = np.uint32(j) * width + np.uint32(i)
            under = at + width
            upper = flat[at] + right * (flat[at + np.uint32(1)] - flat[at])
            lower = flat[under] + right * (flat[under + np.uint32(1)] - flat[under])
            line[x] = upper + below * (lower - upper)


@compiled_contracting
def moments(fixed: Float32, warped: Float32, stride: int) -> Matrix:
    """Return n, Σf, Σm, Σf², Σm², Σf·m, Σ|m − f| where both have data."""
    rows, columns = fixed.shape
    by_column = np.zeros((7, columns))
    for y in range(0, rows, stride):
        one, other = fixed[y], warped[y]
        for x in range(columns):
            f, m = np.float64(one[x]), np.float64(other[x])
            both = f + m
            known = both == both
            f = f if known else np.float64(0.0)
            m = m if known else np.float64(0.0)
            by_column[0, x] += 1.0 if known else 0.0
            by_column[1, x] += f
            by_column[2, x] += m
            by_column[3, x] += f * f
            by_column[4, x] += m * m
            by_column[5, x] += f * m
            by_column[6, x] += abs(m - f)
    sums = np.zeros(7)
    for k in range(7):
        for x in range(columns):
            sums[k] += by_column[k, x]
    return sums
