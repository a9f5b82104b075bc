"""The features of one slice among its neighbours: kernels along z and the ten of them, in float64.

See `slab` for what they mean. Kernels along z stand for those of the plane over the same length in mm.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from somray.kernels.compiled import compiled
from somray.kernels.features.border import FLOOR_FRACTION, TENSOR_FLOOR
from somray.kernels.features.filters import CORE, CORE_HALO

__all__ = ["HALO_Z", "AlongZ", "SlabView", "along_z", "core_planes"]

HALO_Z = 3
"""Slices that the widest feature (gradient 3, then tensor smoothing 5) looks to each side."""

Array = NDArray[np.float64]

_DIFFERENCE, _SMOOTH3 = np.array([-1.0, 0.0, 1.0]) / 2, np.array([1.0, 2.0, 1.0]) / 4
_SMOOTH5, _SECOND5 = np.array([1.0, 4, 6, 4, 1]) / 16, np.array([1.0, 0, -2, 0, 1]) / 4
_FIRST5, _WIDE5 = np.array([-1.0, -2, 0, 2, 1]) / 8, np.array([-1.0, 0, 0, 0, 1]) / 4
_BOX3, _BOX5, _ONE = np.full(3, 1 / 3), np.full(5, 1 / 5), np.ones(1)


class AlongZ(NamedTuple):
    """What stands for the plane's kernels along z: taps over slices -3 … 3 of the one looked at."""

    box3: Array
    box5: Array
    smooth3: Array
    smooth5: Array
    first: Array
    second: Array
    wide: Array
    step: float


def along_z(step: Array) -> AlongZ:
    """Derive the taps from the spacing (z, y, x)."""
    pixel = math.sqrt(step[1] * step[2])
    gap = max(step[0] / pixel, 1.0)  # in pixels
    near = 0.25 / gap**2  # [1 2 1]/4 has a variance of half a pixel squared
    smooth3 = np.array([near, 1.0 - 2.0 * near, near])
    # Two pixels of the plane's curvature: two slices where those are near, else one.
    reach = 2 if gap < 1.5 else 1
    first = _FIRST5 if reach == 2 else _DIFFERENCE
    second, wide = np.zeros(2 * reach + 1), np.zeros(2 * reach + 1)
    second[[0, reach, -1]] = np.array([1.0, -2.0, 1.0]) / reach**2
    wide[[0, -1]] = np.array([-1.0, 1.0]) / reach**2
    return AlongZ(
        _box(3.0, gap),
        _box(5.0, gap),
        _centred(smooth3),
        _centred(np.convolve(smooth3, smooth3)),
        _centred(first) / step[0],
        _centred(second) / step[0] ** 2,
        _centred(wide) / step[0] ** 2,
        float(step[0]),
    )


def _box(width: float, gap: float) -> Array:
    """Return how much of each slice lies within `width` pixels, together 1."""
    place = np.arange(-HALO_Z, HALO_Z + 1) * gap
    part = np.minimum(place + gap / 2, width / 2) - np.maximum(place - gap / 2, -width / 2)
    part = np.maximum(part, 0.0)
    return np.asarray(part / part.sum(), dtype=np.float64)


def _centred(taps: Array) -> Array:
    """Put taps in the middle of 2·`HALO_Z` + 1."""
    room = HALO_Z - len(taps) // 2
    return np.pad(taps, (room, room))


@compiled
def _filtered(plane: Array, down: Array, along: Array) -> Array:
    """Filter a plane where the taps fit into it, down the columns and along the rows."""
    rows, columns = plane.shape[0] - down.size + 1, plane.shape[1] - along.size + 1
    out = np.zeros((rows, columns))
    line = np.empty(plane.shape[1])
    for y in range(rows):
        line[:] = 0.0
        for k in range(down.size):
            source, tap = plane[y + k], down[k]
            for x in range(line.size):
                line[x] += tap * source[x]
        target = out[y]
        for k in range(along.size):
            shifted, tap = line[k:], along[k]
            for x in range(columns):
                target[x] += tap * shifted[x]
    return out


@compiled
def _combined(planes: Array, taps: Array) -> Array:
    """Add up planes (z, y, x), each by its tap, in slice order."""
    out = np.zeros(planes.shape[1:])
    for z in range(taps.size):
        if taps[z] != 0.0:
            out += taps[z] * planes[z]
    return out


@compiled
def _widest(hessian: Array, sides: Array) -> Array:
    """Return minus the eigenvalue of larger size, less the sides' difference; see `filters`.

    Args:
        hessian: (6, y, x): zz, yy, xx, zy, zx, yx.
        sides: (y, x), in the curvature's unit.
    """
    out = np.zeros(sides.shape)
    for y in range(sides.shape[0]):
        for x in range(sides.shape[1]):
            a, b, c, d, e, f = hessian[:, y, x]
            mean = (a + b + c) / 3.0
            a, b, c = a - mean, b - mean, c - mean
            size = math.sqrt((a * a + b * b + c * c + 2.0 * (d * d + e * e + f * f)) / 6.0)
            value = mean
            if size > 0.0:
                volume = a * (b * c - f * f) - d * (d * c - f * e) + e * (d * f - b * e)
                turn = math.acos(min(1.0, max(-1.0, volume / (2.0 * size**3)))) / 3.0
                high = mean + 2.0 * size * math.cos(turn)
                low = mean + 2.0 * size * math.cos(turn + 2.0 * math.pi / 3.0)
                value = high if high + low > 0.0 else low
            drop = max(abs(value) - sides[y, x], 0.0)
            out[y, x] = -drop if value > 0.0 else drop
    return out


def _crop(plane: Array, margin: int) -> Array:
    """Leave `margin` pixels of the border."""
    cut = CORE_HALO - margin
    return np.ascontiguousarray(plane[cut:-cut, cut:-cut]) if cut else plane


class SlabView(NamedTuple):
    """A slice as its features see it.

    Args:
        planes: (7, y + 6, x + 6) the slice in the middle of its neighbours, windowed and padded.
        along: taps along z.
        step_y: distance of rows in mm.
        step_x: distance of columns in mm.
        low: low end of the slice's values.
        width: their range.
        mean: their mean.
    """

    planes: Array
    along: AlongZ
    step_y: float
    step_x: float
    low: float
    width: float
    mean: float


def _gradients(view: SlabView, smooth: Array) -> tuple[Array, Array]:
    """Return the gradient along y and x of a smoothed plane, two pixels of border left."""
    return (
        _filtered(smooth, _DIFFERENCE, _SMOOTH3) / view.step_y,
        _filtered(smooth, _SMOOTH3, _DIFFERENCE) / view.step_x,
    )


def _edge_and_direction(view: SlabView) -> tuple[Array, Array, Array]:
    """Return the gradient's magnitude and the structure tensor's direction (p, q)."""
    along, planes = view.along, view.planes
    rise = _combined(planes, _centred(_DIFFERENCE) / along.step)
    gz = _filtered(rise, _SMOOTH3, _SMOOTH3)
    products = np.zeros((3, *gz.shape))
    power = gz**2
    for k in range(-2, 3):
        near = planes[HALO_Z + k - 1 : HALO_Z + k + 2]
        gy, gx = _gradients(view, _combined(near, along.smooth3[HALO_Z - 1 : HALO_Z + 2]))
        products += along.smooth5[HALO_Z + k] * np.stack([gx * gx, gx * gy, gy * gy])
        if k == 0:
            power += gx**2 + gy**2
    xx, xy, yy = (_filtered(part, _SMOOTH5, _SMOOTH5) for part in products)
    trace = xx + yy + TENSOR_FLOOR * view.width**2
    return np.sqrt(power[2:-2, 2:-2]), (xx - yy) / trace, 2.0 * xy / trace


def _thickness(view: SlabView) -> Array:
    """Return how far pixels stand out from both sides along the three axes."""
    along, y, x = view.along, view.step_y, view.step_x
    smooth, rise, bend, sides = (
        _crop(_combined(view.planes, taps), 2)
        for taps in (along.smooth5, along.first, along.second, along.wide)
    )
    hessian = np.stack(
        [
            _filtered(bend, _SMOOTH5, _SMOOTH5),
            _filtered(smooth, _SECOND5, _SMOOTH5) / y**2,
            _filtered(smooth, _SMOOTH5, _SECOND5) / x**2,
            _filtered(rise, _FIRST5, _SMOOTH5) / y,
            _filtered(rise, _SMOOTH5, _FIRST5) / x,
            _filtered(smooth, _FIRST5, _FIRST5) / (y * x),
        ]
    )
    wide = (
        _filtered(sides, _SMOOTH5, _SMOOTH5),
        _filtered(smooth, _WIDE5, _SMOOTH5) / y**2,
        _filtered(smooth, _SMOOTH5, _WIDE5) / x**2,
    )
    return _widest(hessian, np.sqrt(wide[0] ** 2 + wide[1] ** 2 + wide[2] ** 2))


def core_planes(view: SlabView) -> dict[str, Array]:
    """Return the ten features of the slice in the middle, by name, each (y, x)."""
    thin, thick = (_combined(view.planes, taps) for taps in (view.along.box3, view.along.box5))
    # About the slice's mean: a small spread of large values keeps its digits.
    square = _combined((view.planes - view.mean) ** 2, view.along.box5)
    mean5 = _filtered(_crop(thick, 2), _BOX5, _BOX5)
    power = _filtered(_crop(square, 2), _BOX5, _BOX5) - (mean5 - view.mean) ** 2
    base = FLOOR_FRACTION * view.width - view.low
    edge, p, q = _edge_and_direction(view)
    row = _filtered(_crop(thin, 2), _ONE, _BOX5)[2:-2]
    column = _filtered(_crop(thin, 2), _BOX5, _ONE)[:, 2:-2]
    planes = (
        _crop(view.planes[HALO_Z], 0),
        edge,
        np.sqrt(np.maximum(power, 0.0)),
        _thickness(view),
        _filtered(_crop(thin, 1), _BOX3, _BOX3),
        mean5,
        p,
        q,
        (row + base) / (column + base),
        (mean5 + base) / (view.mean + base),
    )
    return dict(zip(CORE, planes, strict=True))
