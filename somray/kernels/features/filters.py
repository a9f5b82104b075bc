"""The fused pass: the ten features of a row from the seven rows around it, each line read few times.

Kernels before division by the spacing (all separable, y and x):
    gradient    Sobel: [-1 0 1]/2 across, [1 2 1]/4 along
    curvature   [1 0 -2 0 1]/4 (second difference of a smoothed line) across, [1 4 6 4 1]/16 along;
                mixed: [-1 -2 0 2 1]/8 both ways
    sides       [-1 0 0 0 1]/4 across, [1 4 6 4 1]/16 along
    tensor      products of the gradient, smoothed by [1 4 6 4 1]/16 both ways
    moments     3×3 and 5×5 pixels, all alike
Sources: I. Sobel 1968; J. Bigün & G. Granlund 1987 (structure tensor); A. Frangi et al. 1998 (thin
structures from the Hessian's eigenvalues); T. Koller, G. Gerig, G. Székely & D. Dettwiler 1995 (the
smaller response of a structure's two sides); T. Chan, G. Golub & R. LeVeque 1983 (moments of parts put
together without cancellation).

Arithmetic is float32 on *differences* from the centre row or pixel, which are exact for neighbours that
are alike: so a slice of 1000 ± 0.01 keeps its digits, and squares are taken of small numbers. Nothing
is re-associated nor contracted: a pixel's features are the same bits wherever its tile begins, on any
thread and any machine. Working lines stay in the first-level cache.
"""

import math

import numpy as np
from numpy.typing import NDArray

from somray.kernels.compiled import compiled
from somray.kernels.features.band import Band

__all__ = ["CORE", "CORE_HALO", "CORE_LINES", "write_core"]

CORE = (
    "intensity",
    "edge",
    "local_contrast",
    "thickness",
    "mean3",
    "mean5",
    "anisotropy_p",
    "anisotropy_q",
    "ratio_row_column",
    "ratio_local_global",
)
"""The features that `write_core` writes, in the order of its slots."""

CORE_HALO = 3
"""Pixels that the widest of them (gradient 3×3, then tensor smoothing 5×5) looks to each side."""

CORE_LINES = 42
"""Lines of scratch: rings of five gradient rows (20), working lines (12), rows not asked for (10)."""

Line = NDArray[np.float32]
Lines = NDArray[np.float32]
Slots = NDArray[np.int64]

# float32 constants: a bare number would make the arithmetic float64.
_0, _1, _2, _3, _4, _5, _6, _16 = (np.float32(v) for v in (0, 1, 2, 3, 4, 5, 6, 16))
_FIFTH, _NINTH, _25TH = (np.float32(v) for v in (1 / 5, 1 / 9, 1 / 25))


@compiled
def _gradient_row(band: Band, row: int, columns: int, scratch: Lines, ring: Lines) -> None:
    """Write row `row` of the padded tile into `ring` (4, x): three smoothed products, squared length.

    The products are gx² + gy², gx² - gy² and 2·gx·gy, smoothed by [1 4 6 4 1] along x; the squared
    length of the gradient begins two pixels before the tile.
    """
    begin, size = band.halo - CORE_HALO, columns + 4
    # Two indices one after the other: numba takes [row, begin:] for strided.
    above, here, below = (
        band.padded[row - 1][begin:],
        band.padded[row][begin:],
        band.padded[row + 1][begin:],
    )
    a1, a2, b2, c1, c2 = above[1:], above[2:], here[2:], below[1:], below[2:]
    power, across, mixed = ring[3], scratch[0], scratch[1]
    y_scale, x_scale = np.float32(0.125 / band.frame.step_y), np.float32(0.125 / band.frame.step_x)
    for x in range(size):
        falling, rising = c2[x] - above[x], a2[x] - below[x]
        gx = ((falling + rising) + _2 * (b2[x] - here[x])) * x_scale
        gy = ((falling - rising) + _2 * (c1[x] - a1[x])) * y_scale
        power[x] = gx * gx + gy * gy
        across[x] = gx * gx - gy * gy
        mixed[x] = _2 * (gx * gy)
    _smooth_along(power, columns, ring[0])
    _smooth_along(across, columns, ring[1])
    _smooth_along(mixed, columns, ring[2])


@compiled
def _smooth_along(line: Line, size: int, out: Line) -> None:
    """[1 4 6 4 1] along x; reads four pixels more than it writes."""
    b, c, d, e = line[1:], line[2:], line[3:], line[4:]
    for x in range(size):
        out[x] = (line[x] + e[x]) + _4 * (b[x] + d[x]) + _6 * c[x]


@compiled
def _edge_row(power: Line, gain: float, out: Line) -> None:
    """Gradient magnitude, from its squares."""
    scale, inside = np.float32(gain), power[2:]
    for x in range(out.size):
        out[x] = math.sqrt(inside[x]) * scale


@compiled
def _anisotropy_row(ring: Lines, row: int, floor: float, out: tuple[Line, Line]) -> None:
    """Write the direction (p, q) of the structure tensor around row `row` of the slice."""
    p, q = out
    least = np.float32(floor * 256.0)
    a, b, c = ring[(row - 2) % 5], ring[(row - 1) % 5], ring[row % 5]
    d, e = ring[(row + 1) % 5], ring[(row + 2) % 5]
    a0, b0, c0, d0, e0 = a[0], b[0], c[0], d[0], e[0]
    a1, b1, c1, d1, e1 = a[1], b[1], c[1], d[1], e[1]
    a2, b2, c2, d2, e2 = a[2], b[2], c[2], d[2], e[2]
    for x in range(p.size):
        trace = (a0[x] + e0[x]) + _4 * (b0[x] + d0[x]) + _6 * c0[x]
        across = (a1[x] + e1[x]) + _4 * (b1[x] + d1[x]) + _6 * c1[x]
        mixed = (a2[x] + e2[x]) + _4 * (b2[x] + d2[x]) + _6 * c2[x]
        inverse = _1 / (trace + least)
        p[x] = across * inverse
        q[x] = mixed * inverse


@compiled
def _column_sums(rows: tuple[Line, Line, Line, Line, Line], lines: Lines) -> None:
    """Write six sums of each column's five pixels, as differences from the middle one.

    `lines` (6, x): outer two, inner two, first derivative, sum of squares about the column's mean, last
    minus first, all.
    """
    a, b, c, d, e = rows
    outer, inner, first = lines[0], lines[1], lines[2]
    squares, wide, sums = lines[3], lines[4], lines[5]
    for x in range(c.size):
        middle = c[x]
        top, high, low, bottom = a[x] - middle, b[x] - middle, d[x] - middle, e[x] - middle
        far, near = top + bottom, high + low
        outer[x], inner[x] = far, near
        wide[x] = bottom - top
        first[x] = (bottom - top) + _2 * (low - high)
        total = far + near
        sums[x] = total
        spread = (top * top + bottom * bottom) + (high * high + low * low)
        squares[x] = spread - _FIFTH * (total * total)


@compiled
def _thickness_row(
    here: Line, lines: Lines, steps: tuple[float, float], gain: float, out: Line
) -> None:
    """How far a pixel stands out from both its sides: above 0 on thin bright structures, below in holes.

    The Hessian's eigenvalue of larger size says how far it stands out from the mean of its two sides,
    the gradient over the same length how much the sides differ: size minus gradient is the smaller of
    the two drops (Koller et al.), which is 0 at a straight edge of any width, on a plateau and on a
    ramp. Without it an edge echoes half the response of a line, and a line 1 pixel wide no more.
    """
    outer, inner, first, wide = lines[0], lines[1], lines[2], lines[4]
    s0, s1, s2, s3, s4 = outer[1:], outer[2:], outer[3:], outer[4:], outer[5:]
    w0, w1, w2, w3, w4 = wide[1:], wide[2:], wide[3:], wide[4:], wide[5:]
    h0, h2, h4 = inner[1:], inner[3:], inner[5:]
    f0, f1, f3, f4 = first[1:], first[2:], first[4:], first[5:]
    c0, c2, c4 = here[1:], here[3:], here[5:]
    # Halved, so that half their sum and half their difference need no further product.
    yy_scale = np.float32(1.0 / (128.0 * steps[0] * steps[0]))
    xx_scale = np.float32(1.0 / (128.0 * steps[1] * steps[1]))
    xy_scale, scale = np.float32(1.0 / (64.0 * steps[0] * steps[1])), np.float32(gain)
    for x in range(out.size):
        yy = ((s0[x] + s4[x]) + _4 * (s1[x] + s3[x]) + _6 * s2[x]) * yy_scale
        left, middle, right = s0[x] + _4 * h0[x], s2[x] + _4 * h2[x], s4[x] + _4 * h4[x]
        along = (c0[x] - c2[x]) + (c4[x] - c2[x])
        xx = (_16 * along + ((left - middle) + (right - middle))) * xx_scale
        xy = ((f4[x] - f0[x]) + _2 * (f3[x] - f1[x])) * xy_scale
        # The sides' difference over four pixels, in the curvature's unit.
        dy = ((w0[x] + w4[x]) + _4 * (w1[x] + w3[x]) + _6 * w2[x]) * (_2 * yy_scale)
        dx = (_16 * (c4[x] - c0[x]) + (right - left)) * (_2 * xx_scale)
        half = yy + xx
        curvature = math.sqrt((yy - xx) * (yy - xx) + xy * xy) + abs(half)
        drop = curvature - math.sqrt(dy * dy + dx * dx)
        drop = drop if drop > _0 else _0
        # The scale comes last: squares of values in odd units would overflow.
        out[x] = (-drop if half > _0 else drop) * scale


@compiled
def _moments_row(here: Line, lines: Lines, gain: float, above: Line, out: Line) -> None:
    """Write the standard deviation over 5×5 and, into `above`, the mean over 5×5 minus the pixel.

    Column sums are put together about the middle pixel (Chan, Golub & LeVeque).
    """
    sums, squares = lines[5], lines[3]
    s0, s1, s2, s3, s4 = sums[1:], sums[2:], sums[3:], sums[4:], sums[5:]
    q0, q1, q2, q3, q4 = squares[1:], squares[2:], squares[3:], squares[4:], squares[5:]
    c0, c1, c2, c3, c4 = here[1:], here[2:], here[3:], here[4:], here[5:]
    scale = np.float32(gain)
    for x in range(out.size):
        middle = c2[x]
        g0 = _5 * (c0[x] - middle) + s0[x]
        g1 = _5 * (c1[x] - middle) + s1[x]
        g2 = s2[x]
        g3 = _5 * (c3[x] - middle) + s3[x]
        g4 = _5 * (c4[x] - middle) + s4[x]
        total = (g0 + g4) + (g1 + g3) + g2
        between = (g0 * g0 + g4 * g4) + (g1 * g1 + g3 * g3) + g2 * g2
        within = (q0[x] + q4[x]) + (q1[x] + q3[x]) + q2[x]
        power = (within + (_FIFTH * between - _25TH * (total * total))) * _25TH
        out[x] = math.sqrt(power if power > _0 else _0) * scale
        above[x] = total * _25TH


@compiled
def _value_rows(here: Line, above: Line, band: Band, out: tuple[Line, Line, Line]) -> None:
    """Write the pixel, the mean over 5×5, and that mean to the slice's."""
    frame = band.frame
    intensity, mean5, local_global = out
    zero, gain = np.float32(frame.zero), np.float32(frame.gain)
    base = np.float32(frame.floor - frame.low)
    to_global = np.float32(1.0 / (frame.mean - frame.low + frame.floor))
    middle = here[CORE_HALO:]
    for x in range(intensity.size):
        intensity[x] = (middle[x] - zero) * gain
    for x in range(mean5.size):
        mean5[x] = ((middle[x] - zero) + above[x]) * gain
        local_global[x] = ((middle[x] + base) + above[x]) * to_global


@compiled
def _mean3_row(here: Line, inner: Line, zero: float, gain: float, out: Line) -> None:
    """Mean over 3×3 pixels."""
    h1, h2, h3 = inner[2:], inner[3:], inner[4:]
    c1, c2, c3 = here[2:], here[3:], here[4:]
    least, scale = np.float32(zero), np.float32(gain)
    for x in range(out.size):
        middle = c2[x]
        beside = _3 * ((c1[x] - middle) + (c3[x] - middle)) + ((h1[x] + h3[x]) + h2[x])
        out[x] = ((middle - least) + beside * _NINTH) * scale


@compiled
def _ratio_row(here: Line, lines: Lines, base: float, out: Line) -> None:
    """Mean of five pixels along the row to the mean of five along the column, above the low end."""
    sums = lines[5][CORE_HALO:]
    c0, c1, c2, c3, c4 = here[1:], here[2:], here[3:], here[4:], here[5:]
    lift = np.float32(base)
    for x in range(out.size):
        middle = c2[x]
        beside = ((c0[x] - middle) + (c4[x] - middle)) + ((c1[x] - middle) + (c3[x] - middle))
        level = middle + lift
        out[x] = (level + beside * _FIFTH) / (level + sums[x] * _FIFTH)


@compiled
def _target(out: Lines, slot: int, y: int, spare: Line) -> Line:
    """Return where a feature of row y goes: its plane, or a spare line where it is not asked for."""
    target: Line = out[slot, y] if slot >= 0 else spare[: out.shape[2]]
    return target


@compiled
def write_core(band: Band, slots: Slots, out: NDArray[np.float32]) -> None:
    """Write the ten features of a tile, or those asked for.

    Args:
        band: one channel's padded tile; its `work` has `CORE_LINES` lines at least.
        slots: (10,) plane of `out` for each of `CORE`, -1 for what is not asked for.
        out: (f, y, x) float32, C-contiguous.
    """
    columns, frame = out.shape[2], band.frame
    begin, end = band.halo - CORE_HALO, band.halo + columns + CORE_HALO
    ring = band.work[:20].reshape(5, 4, band.work.shape[1])
    scratch, lines, above = band.work[20:24], band.work[24:30], band.work[30]
    spare = band.work[32:42]
    tensor = slots[1] >= 0 or slots[6] >= 0 or slots[7] >= 0
    steps = (frame.step_y, frame.step_x)
    if tensor and band.fresh:
        for near in range(-2, 2):
            row = (band.first + near) % 5
            _gradient_row(band, band.halo + near, columns, scratch, ring[row])
    for n in range(band.padded.shape[0] - 2 * band.halo):
        y, at, row = band.into + n, band.first + n, band.halo + n
        p = band.padded[row - 2 : row + 3]
        here = p[2][begin:end]
        if tensor:
            _gradient_row(band, row + 2, columns, scratch, ring[(at + 2) % 5])
            _edge_row(ring[at % 5, 3], frame.gain, _target(out, slots[1], y, spare[1]))
            pair = (_target(out, slots[6], y, spare[6]), _target(out, slots[7], y, spare[7]))
            _anisotropy_row(ring, at, frame.tensor_floor, pair)
        _column_sums((p[0][begin:], p[1][begin:], here, p[3][begin:], p[4][begin:]), lines)
        if slots[3] >= 0:
            _thickness_row(here, lines, steps, frame.gain, out[slots[3], y])
        if slots[2] >= 0 or slots[5] >= 0 or slots[9] >= 0:
            _moments_row(here, lines, frame.gain, above, _target(out, slots[2], y, spare[2]))
        values = (
            _target(out, slots[0], y, spare[0]),
            _target(out, slots[5], y, spare[5]),
            _target(out, slots[9], y, spare[9]),
        )
        _value_rows(here, above, band, values)
        if slots[4] >= 0:
            _mean3_row(here, lines[1], frame.zero, frame.gain, out[slots[4], y])
        if slots[8] >= 0:
            _ratio_row(here, lines, frame.floor - frame.low, out[slots[8], y])
