"""Gauss–Newton steps on a pair of planes, compiled; see `refine` for the scheme and the conventions.

Sums are float64, kept by column while rows are walked, in a fixed order and on one thread.
"""

import numpy as np
from numpy.typing import NDArray

from somray.kernels.compiled import compiled_contracting
from somray.kernels.registration.plane.loops import moments, sample

__all__ = ["align"]

Float32 = NDArray[np.float32]
Matrix = NDArray[np.float64]

_ROBUST = 1.5  # residuals of so many mean absolute residuals lose 3/4 of their weight
_CONVERGED_PX = 0.01  # largest movement of a corner in one step
_LEAST_STRETCH, _MOST_STRETCH = 0.4, 2.5


@compiled_contracting
def _mean_residual(fixed: Float32, warped: Float32, line: Matrix, stride: int) -> float:
    """Return mean |a·warped + b − c·fixed − d| on every second of the sampled rows; line is a, b, c, d."""
    rows, columns = fixed.shape
    gain, own = np.float32(line[0]), np.float32(line[2])
    bias = np.float32(line[1] - line[3])
    by_column = np.zeros((2, columns))
    for y in range(0, rows, 2 * stride):
        one, other = fixed[y], warped[y]
        for x in range(columns):
            rest = abs(gain * other[x] + bias - own * one[x])
            known = rest == rest
            by_column[0, x] += np.float64(rest) if known else 0.0
            by_column[1, x] += 1.0 if known else 0.0
    total = count = 0.0
    for x in range(columns):
        total += by_column[0, x]
        count += by_column[1, x]
    return total / max(count, 1.0)


@compiled_contracting
def _normal_sums(
    planes: tuple[Float32, Float32, Float32, Float32], line: Matrix, bound: float, stride: int
) -> Matrix:
    """Return thirteen sums by column: w·gx², w·gx·gy, w·gy² times y⁰, y¹, y²; w·r·gx, w·r·gy times y⁰, y¹.

    y is in halves of the longer side about the middle; w falls with the residual r.
    """
    fixed, warped, slope_x, slope_y = planes
    rows, columns = fixed.shape
    half, middle = max(rows, columns) / 2.0, (rows - 1) / 2.0
    gain, own, sharp = np.float32(line[0]), np.float32(line[2]), np.float32(1.0 / bound)
    bias = np.float32(line[1] - line[3])
    one, none = np.float32(1.0), np.float32(0.0)
    products = np.empty((5, columns), dtype=np.float32)
    sums = np.zeros((13, columns))
    for row in range(0, rows, stride):
        f, m, gx, gy = fixed[row], warped[row], slope_x[row], slope_y[row]
        for x in range(columns):
            rest = gain * m[x] + bias - own * f[x]
            share = rest * sharp
            damped = one / (one + share * share)
            weight = damped * damped if rest == rest else none
            rest = rest if rest == rest else none
            a, b = weight * gx[x], weight * gy[x]
            products[0, x] = a * gx[x]
            products[1, x] = a * gy[x]
            products[2, x] = b * gy[x]
            products[3, x] = a * rest
            products[4, x] = b * rest
        y = (row - middle) / half
        for k in range(3):
            for x in range(columns):
                value = np.float64(products[k, x])
                sums[3 * k, x] += value
                sums[3 * k + 1, x] += value * y
                sums[3 * k + 2, x] += value * (y * y)
        for k in range(2):
            for x in range(columns):
                value = np.float64(products[3 + k, x])
                sums[9 + 2 * k, x] += value
                sums[10 + 2 * k, x] += value * y
    return sums


@compiled_contracting
def _assembled(by_column: Matrix, half: float) -> tuple[Matrix, Matrix]:
    """Put the sums together as hessian (6, 6) and slope (6,) over (tx, ty, xx, xy, yx, yy)."""
    columns = by_column.shape[1]
    sums = np.zeros((13, 3))  # times x⁰, x¹, x²
    for column in range(columns):
        x = (column - (columns - 1) / 2.0) / half
        for k in range(13):
            sums[k, 0] += by_column[k, column]
            sums[k, 1] += by_column[k, column] * x
            sums[k, 2] += by_column[k, column] * (x * x)
    hessian, slope = np.zeros((6, 6)), np.zeros(6)
    for i in range(2):  # over gx, gy
        slope[i], slope[2 + 2 * i], slope[3 + 2 * i] = (
            sums[9 + 2 * i, 0], sums[9 + 2 * i, 1], sums[10 + 2 * i, 0]
        )  # fmt: skip
        for j in range(2):
            k, p, q = 3 * (i + j), 2 + 2 * i, 2 + 2 * j
            hessian[i, j] = sums[k, 0]
            hessian[i, q] = hessian[q, i] = sums[k, 1]
            hessian[i, q + 1] = hessian[q + 1, i] = sums[k + 1, 0]
            hessian[p, q] = sums[k, 2]
            hessian[p, q + 1] = hessian[q + 1, p] = sums[k + 1, 1]
            hessian[p + 1, q + 1] = sums[k + 2, 0]
    return hessian, slope


@compiled_contracting
def _solved(hessian: Matrix, slope: Matrix, basis: Matrix) -> Matrix:
    """Solve the normal equations within the span of a basis (6, p); returns six affine parameters."""
    count = basis.shape[1]
    left = np.zeros((count, count))
    right = np.zeros(count)
    for i in range(count):
        right[i] = _dot(slope, basis, i)
        for j in range(count):
            for k in range(6):
                left[i, j] += basis[k, i] * _dot(hessian[k], basis, j)
    trace = 0.0
    for i in range(count):
        trace += left[i, i]
    ridge = 1e-6 * trace / count + 1e-30
    for i in range(count):
        left[i, i] += ridge
    _eliminate(left, right)
    affine, part = np.zeros(6), np.empty(6)
    for i in range(count):
        for k in range(len(part)):
            part[k] = basis[k, i] * right[i]
        for k in range(len(part)):
            affine[k] += part[k]
    return affine


@compiled_contracting
def _dot(line: Matrix, basis: Matrix, column: int) -> float:
    """Multiply, then add up; slices of arrays would take numba seconds to compile."""
    products = np.empty(len(line))
    for k in range(len(line)):
        products[k] = line[k] * basis[k, column]
    total = 0.0
    for k in range(len(line)):
        total += products[k]
    return total


@compiled_contracting
def _eliminate(left: Matrix, right: Matrix) -> None:
    """Solve a positive definite system in place by Gauss's elimination, which then needs no pivots."""
    count = len(right)
    row = np.empty(count)
    for i in range(count):
        for j in range(i + 1, count):
            factor = left[j, i] / left[i, i]
            for k in range(i, count):
                row[k] = factor * left[i, k]
            for k in range(i, count):
                left[j, k] -= row[k]
            right[j] -= factor * right[i]
    for i in range(count - 1, -1, -1):
        for j in range(i + 1, count):
            right[i] -= left[i, j] * right[j]
        right[i] /= left[i, i]


@compiled_contracting
def _composed(sampling: Matrix, motion: Matrix, shape: tuple[int, int]) -> float:
    """Let `sampling` undo a small motion first (in place); returns how far a corner moved, < 0 for wild."""
    rows, columns = shape
    half = max(rows, columns) / 2.0
    a, b, c, d = 1.0 + motion[2], motion[3], motion[4], 1.0 + motion[5]
    determinant = a * d - b * c
    if not determinant > 0.25:
        return -1.0
    middle_x, middle_y = (columns - 1) / 2.0, (rows - 1) / 2.0
    at_x, at_y = middle_x + half * motion[0], middle_y + half * motion[1]
    for i in range(2):
        p, q = sampling[i, 0], sampling[i, 1]
        sampling[i, 0] = (p * d - q * c) / determinant
        sampling[i, 1] = (q * a - p * b) / determinant
        sampling[i, 2] += p * middle_x + q * middle_y
        sampling[i, 2] -= sampling[i, 0] * at_x + sampling[i, 1] * at_y
    reach_x, reach_y = columns / 2.0, rows / 2.0
    moved = abs(motion[0]) * half + abs(motion[2]) * reach_x + abs(motion[3]) * reach_y
    other = abs(motion[1]) * half + abs(motion[4]) * reach_x + abs(motion[5]) * reach_y
    both = sampling[0, 0] ** 2 + sampling[0, 1] ** 2 + sampling[1, 0] ** 2 + sampling[1, 1] ** 2
    area = abs(sampling[0, 0] * sampling[1, 1] - sampling[0, 1] * sampling[1, 0])
    spread = np.sqrt(max(both * both / 4.0 - area * area, 0.0))
    if both / 2.0 + spread > _MOST_STRETCH**2 or both / 2.0 - spread < _LEAST_STRETCH**2:
        return -1.0
    return float(max(moved, other))


@compiled_contracting
def align(
    planes: tuple[Float32, Float32, Float32],
    moving: Float32,
    sampling: Matrix,
    basis: Matrix,
    steps: tuple[int, int],
    least: float,
) -> bool:
    """Run Gauss–Newton steps, changing `sampling` in place.

    Args:
        planes: fixed plane and its change along x and y per half the longer side; NaN in the first
            wherever a gradient would touch missing data.
        moving: moving plane.
        sampling: (3, 3) float64 start.
        basis: (6, p) which affine motions are allowed: columns over (tx, ty, xx, xy, yx, yy).
        steps: most steps; every how many-th row counts.
        least: pixels of fixed (all rows) that must have a partner.

    Returns:
        False when the planes lost each other or show nothing.
    """
    fixed, slope_x, slope_y = planes
    half = max(fixed.shape[0], fixed.shape[1]) / 2.0
    warped, line = np.empty_like(fixed), np.zeros(4)
    most, stride = steps
    for _ in range(most):
        sample(moving, sampling, stride, warped)
        sums = moments(fixed, warped, stride)
        n = sums[0]
        if n < max(least / stride, 4.0):
            return False
        own, other = sums[1] / n, sums[2] / n
        scale = np.sqrt(max(sums[3] / n - own * own, 0.0))
        spread = np.sqrt(max(sums[4] / n - other * other, 0.0))
        if scale < 1e-4 or spread < 1e-4:
            return False
        line[0], line[1] = 1.0 / spread, -other / spread
        line[2], line[3] = 1.0 / scale, -own / scale
        bound = _ROBUST * _mean_residual(fixed, warped, line, stride) + 1e-6
        by_column = _normal_sums((fixed, warped, slope_x, slope_y), line, bound, stride)
        hessian, slope = _assembled(by_column, half)
        motion = _solved(hessian, slope * scale, basis)
        moved = _composed(sampling, motion, fixed.shape)
        if not moved >= 0.0:
            return False
        if moved < _CONVERGED_PX:
            break
    return True
