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
Rows = tuple[Row, Row, Row, Row]

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
def _gradient_row(padded: Array, row: int, step: Array, lines: Array, out: Array) -> None:
    """Write the gradient's magnitude and its three products smoothed along x into `out` (4, x)."""
    above, here, below = padded[row - 1], padded[row], padded[row + 1]
    size = here.size - 2
    a, b, c = above[:size], above[1 : size + 1], above[2:]
    d, f = here[:size], here[2:]
    g, h, i = below[:size], below[1 : size + 1], below[2:]
    xx, xy, yy, magnitude = lines[0, :size], lines[1, :size], lines[2, :size], lines[3, :size]
    y_scale, x_scale = 0.125 / step[0], 0.125 / step[1]
    for x in range(size):
        gy = ((g[x] - a[x]) + 2.0 * (h[x] - b[x]) + (i[x] - c[x])) * y_scale
        gx = ((c[x] - a[x]) + 2.0 * (f[x] - d[x]) + (i[x] - g[x])) * x_scale
        xx[x], xy[x], yy[x] = gx * gx, gx * gy, gy * gy
        magnitude[x] = math.sqrt(gx * gx + gy * gy)
    _smooth_row(xx, out[0])
    _smooth_row(xy, out[1])
    _smooth_row(yy, out[2])
    out[3] = magnitude[2 : size - 2]


@compiled
def _smooth_row(line: Array, out: Array) -> None:
    """[1 4 6 4 1] along x; `out` is four shorter."""
    a, b, c, d, e = line, line[1:], line[2:], line[3:], line[4:]
    for x in range(out.size):
        out[x] = (a[x] + e[x]) + 4.0 * (b[x] + d[x]) + 6.0 * c[x]


@compiled
def _anisotropy_row(ring: Array, row: int, out_p: Row, out_q: Row) -> None:
    """Direction (p, q) of the structure tensor; `ring` (5, 4, x) holds gradient rows modulo 5."""
    a, b, c = ring[(row - 2) % 5], ring[(row - 1) % 5], ring[row % 5]
    d, e = ring[(row + 1) % 5], ring[(row + 2) % 5]
    for x in range(out_p.size):
        xx = ((a[0, x] + e[0, x]) + 4.0 * (b[0, x] + d[0, x]) + 6.0 * c[0, x]) / 256.0
        xy = ((a[1, x] + e[1, x]) + 4.0 * (b[1, x] + d[1, x]) + 6.0 * c[1, x]) / 256.0
        yy = ((a[2, x] + e[2, x]) + 4.0 * (b[2, x] + d[2, x]) + 6.0 * c[2, x]) / 256.0
        inverse = 1.0 / (xx + yy + TENSOR_FLOOR)
        out_p[x] = (xx - yy) * inverse
        out_q[x] = 2.0 * xy * inverse


@compiled
def _thickness_row(padded: Array, row: int, step: Array, lines: Array, out: Row) -> None:
    """Curvature across the thinnest direction: above 0 on bright rims and vessels, below in holes.

    It is minus the Hessian's eigenvalue of larger size; a straight edge echoes on
    either side of it, with about half the strength of a thin rim of the same height.
    """
    a, b, c, d, e = padded[row - 2], padded[row - 1], padded[row], padded[row + 1], padded[row + 2]
    smooth, second, first = lines[0], lines[1], lines[2]
    for x in range(c.size):
        outer, inner, middle = a[x] + e[x], b[x] + d[x], c[x]
        smooth[x] = outer + 4.0 * inner + 6.0 * middle
        second[x] = outer - 2.0 * middle
        first[x] = (e[x] - a[x]) + 2.0 * (d[x] - b[x])
    s0, s2, s4 = smooth[1:], smooth[3:], smooth[5:]
    k0, k1, k2, k3, k4 = second[1:], second[2:], second[3:], second[4:], second[5:]
    f0, f1, f3, f4 = first[1:], first[2:], first[4:], first[5:]
    y_scale, x_scale = 1.0 / (64.0 * step[0] * step[0]), 1.0 / (64.0 * step[1] * step[1])
    xy_scale = 1.0 / (64.0 * step[0] * step[1])
    for x in range(out.size):
        yy = ((k0[x] + k4[x]) + 4.0 * (k1[x] + k3[x]) + 6.0 * k2[x]) * y_scale
        xx = ((s0[x] + s4[x]) - 2.0 * s2[x]) * x_scale
        xy = ((f4[x] - f0[x]) + 2.0 * (f3[x] - f1[x])) * xy_scale
        half = 0.5 * (xx + yy)
        spread = math.sqrt(0.25 * (xx - yy) * (xx - yy) + xy * xy)
        out[x] = -(half + spread) if half > 0.0 else spread - half


@compiled
def _mean3_row(padded: Array, row: int, line: Array, out: Row) -> None:
    """Mean over 3×3 pixels."""
    a, b, c = padded[row - 1], padded[row], padded[row + 1]
    for x in range(b.size):
        line[x] = (a[x] + c[x]) + b[x]
    d, e, f = line[2:], line[3:], line[4:]
    for x in range(out.size):
        out[x] = ((d[x] + f[x]) + e[x]) * (1.0 / 9.0)


@compiled
def _moments_row(padded: Array, row: int, level: Level, lines: Array, out: Rows) -> None:
    """Over 5×5 pixels: mean, standard deviation, row mean to column mean, mean to slice mean.

    `level` is (slice mean, low end, floor): ratios are taken above the low end of the values.
    """
    a, b, c, d, e = padded[row - 2], padded[row - 1], padded[row], padded[row + 1], padded[row + 2]
    total, square = lines[0], lines[1]
    for x in range(c.size):
        total[x] = (a[x] + e[x]) + (b[x] + d[x]) + c[x]
        square[x] = (a[x] * a[x] + e[x] * e[x]) + (b[x] * b[x] + d[x] * d[x]) + c[x] * c[x]
    t0, t1, t2, t3, t4 = total[1:], total[2:], total[3:], total[4:], total[5:]
    q0, q1, q2, q3, q4 = square[1:], square[2:], square[3:], square[4:], square[5:]
    c0, c1, c2, c3, c4 = c[1:], c[2:], c[3:], c[4:], c[5:]
    contrast, mean5, row_column, local_global = out
    base = level[2] - level[1]
    to_global = 1.0 / (level[0] + base)
    for x in range(mean5.size):
        mean = ((t0[x] + t4[x]) + (t1[x] + t3[x]) + t2[x]) * 0.04
        power = ((q0[x] + q4[x]) + (q1[x] + q3[x]) + q2[x]) * 0.04
        along = ((c0[x] + c4[x]) + (c1[x] + c3[x]) + c2[x]) * 0.2
        mean5[x] = mean
        variance = power - mean * mean
        contrast[x] = math.sqrt(variance if variance > 0.0 else 0.0)
        row_column[x] = (along + base) / (t2[x] * 0.2 + base)
        local_global[x] = (mean + base) * to_global


@compiled
def write_features(padded: Array, step: Array, level: Level, out: NDArray[np.float32]) -> None:
    """Write all ten features (10, y, x) of a padded slice; `step` is the spacing (y, x) in mm."""
    rows, columns = out.shape[1:]
    ring = np.empty((5, 4, columns))
    lines = np.empty((4, padded.shape[1]))
    for row in range(1, 5):
        _gradient_row(padded, row, step, lines, ring[row % 5])
    for y in range(rows):
        row = y + REACH
        _gradient_row(padded, row + 2, step, lines, ring[(row + 2) % 5])
        centre, edge = padded[row, REACH:], ring[row % 5, 3]
        for x in range(columns):
            out[0, y, x] = centre[x]
            out[1, y, x] = edge[x]
        moments = (out[2, y], out[5, y], out[8, y], out[9, y])
        _moments_row(padded, row, level, lines, moments)
        _thickness_row(padded, row, step, lines, out[3, y])
        _mean3_row(padded, row, lines[0], out[4, y])
        _anisotropy_row(ring, row, out[6, y], out[7, y])
