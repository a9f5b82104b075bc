"""The fused pass: the features of a row from the seven padded rows around it, one function each.

Kernels before division by the spacing (all separable, y and x):
    gradient    Sobel: [-1 0 1]/2 across, [1 2 1]/4 along
    curvature   [1 0 -2 0 1]/4 (second difference of a smoothed line) across, [1 4 6 4 1]/16 along;
                mixed: [-1 -2 0 2 1]/8 both ways
    tensor      products of the gradient, smoothed by [1 4 6 4 1]/16 both ways
Sources: I. Sobel 1968; J. Bigün & G. Granlund 1987 (structure tensor); A. Frangi 1998 (thin
structures from the Hessian's eigenvalues).

Row functions take `padded` (the slice with its border), the padded row number and write one or more
output rows; the row's working lines stay in the first-level cache.
"""

import math

import numpy as np
from numpy.typing import NDArray

from somray.kernels.compiled import compiled
from somray.kernels.features.border import REACH

__all__ = ["FLOOR_FRACTION", "TENSOR_FLOOR", "level_of", "write_features"]

Array = NDArray[np.float64]
Row = NDArray[np.float32]
Level = tuple[float, float, float]

TENSOR_FLOOR = 1e-12
"""Added to the structure tensor's trace, so that a flat region has anisotropy 0 and not 0/0."""

FLOOR_FRACTION = 0.05
"""Share of the value range added above and below in ratios, so that air and noise do not explode."""


@compiled
def level_of(padded: Array, holes: NDArray[np.bool_]) -> tuple[float, float, float]:
    """Return mean, minimum and maximum of the pixels with data, summed by columns in row order."""
    rows, columns = holes.shape
    sums = np.zeros(columns)
    count = 0
    low, high = math.inf, -math.inf
    for y in range(rows):
        for x in range(columns):
            if not holes[y, x]:
                value = padded[y + REACH, x + REACH]
                sums[x] += value
                low = min(low, value)
                high = max(high, value)
                count += 1
    total = 0.0
    for x in range(columns):
        total += sums[x]
    return (total / count, low, high) if count else (0.0, 0.0, 0.0)


@compiled
def _gradient_row(padded: Array, row: int, step: Array, lines: Array) -> None:
    """Write the gradient's magnitude and its three products smoothed along x into `lines` (4, w)."""
    above, here, below = padded[row - 1], padded[row], padded[row + 1]
    width = here.size
    xx, xy, yy = np.empty(width), np.empty(width), np.empty(width)
    magnitude = lines[3]
    for x in range(1, width - 1):
        down_left, down, down_right = below[x - 1] - above[x - 1], below[x] - above[x], 0.0
        down_right = below[x + 1] - above[x + 1]
        right = (above[x + 1] - above[x - 1]) + 2.0 * (here[x + 1] - here[x - 1])
        right += below[x + 1] - below[x - 1]
        gy = (down_left + 2.0 * down + down_right) * (0.125 / step[0])
        gx = right * (0.125 / step[1])
        xx[x], xy[x], yy[x] = gx * gx, gx * gy, gy * gy
        magnitude[x] = math.sqrt(gx * gx + gy * gy)
    _smooth_row(xx, lines[0])
    _smooth_row(xy, lines[1])
    _smooth_row(yy, lines[2])


@compiled
def _smooth_row(line: Array, out: Array) -> None:
    """[1 4 6 4 1] along x where the gradient exists on both sides."""
    for x in range(REACH, line.size - REACH):
        out[x] = line[x - 2] + line[x + 2] + 4.0 * (line[x - 1] + line[x + 1]) + 6.0 * line[x]


@compiled
def _anisotropy_row(ring: Array, row: int, out_p: Row, out_q: Row) -> None:
    """Direction (p, q) of the structure tensor; `ring` holds gradient rows modulo 5."""
    a, b, c = ring[(row - 2) % 5], ring[(row - 1) % 5], ring[row % 5]
    d, e = ring[(row + 1) % 5], ring[(row + 2) % 5]
    for x in range(out_p.size):
        u = x + REACH
        xx = (a[0, u] + e[0, u] + 4.0 * (b[0, u] + d[0, u]) + 6.0 * c[0, u]) / 256.0
        xy = (a[1, u] + e[1, u] + 4.0 * (b[1, u] + d[1, u]) + 6.0 * c[1, u]) / 256.0
        yy = (a[2, u] + e[2, u] + 4.0 * (b[2, u] + d[2, u]) + 6.0 * c[2, u]) / 256.0
        trace = xx + yy + TENSOR_FLOOR
        out_p[x] = (xx - yy) / trace
        out_q[x] = 2.0 * xy / trace


@compiled
def _thickness_row(padded: Array, row: int, step: Array, out: Row) -> None:
    """Curvature across the thinnest direction: above 0 on bright rims and vessels, below in holes.

    It is minus the Hessian's eigenvalue of larger size; a straight edge gives only a weak echo on
    either side of it.
    """
    a, b, c, d, e = padded[row - 2], padded[row - 1], padded[row], padded[row + 1], padded[row + 2]
    width = c.size
    smooth, second, first = np.empty(width), np.empty(width), np.empty(width)
    for x in range(width):
        smooth[x] = a[x] + e[x] + 4.0 * (b[x] + d[x]) + 6.0 * c[x]
        second[x] = a[x] + e[x] - 2.0 * c[x]
        first[x] = (e[x] - a[x]) + 2.0 * (d[x] - b[x])
    for x in range(out.size):
        u = x + REACH
        yy = second[u - 2] + second[u + 2] + 4.0 * (second[u - 1] + second[u + 1]) + 6.0 * second[u]
        xx = smooth[u - 2] + smooth[u + 2] - 2.0 * smooth[u]
        xy = (first[u + 2] - first[u - 2]) + 2.0 * (first[u + 1] - first[u - 1])
        yy /= 64.0 * step[0] * step[0]
        xx /= 64.0 * step[1] * step[1]
        xy /= 64.0 * step[0] * step[1]
        middle = 0.5 * (xx + yy)
        spread = math.sqrt(0.25 * (xx - yy) ** 2 + xy * xy)
        out[x] = -(middle + spread) if middle > 0.0 else spread - middle


@compiled
def _mean3_row(padded: Array, row: int, out: Row) -> None:
    """Mean over 3×3 pixels."""
    a, b, c = padded[row - 1], padded[row], padded[row + 1]
    line = np.empty(b.size)
    for x in range(b.size):
        line[x] = a[x] + b[x] + c[x]
    for x in range(out.size):
        u = x + REACH
        out[x] = (line[u - 1] + line[u] + line[u + 1]) / 9.0


@compiled
def _moments_row(padded: Array, row: int, level: Level, out: tuple[Row, Row, Row, Row]) -> None:
    """Over 5×5 pixels: mean, standard deviation, row mean to column mean, mean to slice mean.

    `level` is (slice mean, low end, floor): ratios are taken above the low end of the values.
    """
    a, b, c, d, e = padded[row - 2], padded[row - 1], padded[row], padded[row + 1], padded[row + 2]
    width = c.size
    total, square = np.empty(width), np.empty(width)
    for x in range(width):
        total[x] = (a[x] + e[x]) + (b[x] + d[x]) + c[x]
        square[x] = (a[x] * a[x] + e[x] * e[x]) + (b[x] * b[x] + d[x] * d[x]) + c[x] * c[x]
    contrast, mean5, row_column, local_global = out
    base = level[2] - level[1]
    for x in range(mean5.size):
        u = x + REACH
        mean = ((total[u - 2] + total[u + 2]) + (total[u - 1] + total[u + 1]) + total[u]) / 25.0
        power = (square[u - 2] + square[u + 2]) + (square[u - 1] + square[u + 1]) + square[u]
        along = ((c[u - 2] + c[u + 2]) + (c[u - 1] + c[u + 1]) + c[u]) / 5.0
        mean5[x] = mean
        contrast[x] = math.sqrt(max(power / 25.0 - mean * mean, 0.0))
        row_column[x] = (along + base) / (total[u] / 5.0 + base)
        local_global[x] = (mean + base) / (level[0] + base)


@compiled
def write_features(padded: Array, step: Array, level: Level, out: NDArray[np.float32]) -> None:
    """Write all ten features (10, y, x) of a padded slice; `step` is the spacing (y, x) in mm."""
    rows, columns = out.shape[1:]
    ring = np.empty((5, 4, columns + 2 * REACH))
    for row in range(1, 5):
        _gradient_row(padded, row, step, ring[row % 5])
    for y in range(rows):
        row = y + REACH
        _gradient_row(padded, row + 2, step, ring[(row + 2) % 5])
        for x in range(columns):
            out[0, y, x] = padded[row, x + REACH]
            out[1, y, x] = ring[row % 5, 3, x + REACH]
        moments = (out[2, y], out[5, y], out[8, y], out[9, y])
        _moments_row(padded, row, level, moments)
        _thickness_row(padded, row, step, out[3, y])
        _mean3_row(padded, row, out[4, y])
        _anisotropy_row(ring, row, out[6, y], out[7, y])
