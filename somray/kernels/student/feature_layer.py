"""The ten features as a torch module, for devices and exported graphs.

The same formulas as `kernels/features/filters.py`, on whole batches instead of bands: float32 on
differences of neighbours, which are exact, borders by reflection, holes filled by the mean of the
nearest pixels that hold data. `kernels/features` stays the reference; rounding differs in the last
digits, because a device may contract products and sums.

Not here: slices whose pixel size is another than the features', which `feature_stack_at` brings to it.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from somray.errors import ShapeError
from somray.kernels.features.border import frame_of
from somray.kernels.features.filters import CORE_HALO
from somray.kernels.features.stack import checked_spacing, checked_window
from somray.kernels.features.table import FEATURES, plan_of

__all__ = ["FeatureLayer"]

Planes = dict[str, torch.Tensor]
Window = tuple[float, float]

RINGS = ((0, 1), (1, 1), (0, 2), (1, 2), (2, 2), (0, 3), (1, 3), (2, 3), (3, 3))
"""Offsets of neighbours within `CORE_HALO` rows and columns, nearest first; no two equally far."""


class FeatureLayer(nn.Module):
    """Features of every channel of a batch of slices.

    Args:
        windows: per channel (low, high); clips and scales to [0, 1].
        names: features to make, in the order wanted.
        spacing_mm: (y, x) distance of pixel centres.

    Raises:
        ShapeError: a window, the spacing or a name cannot be used.
    """

    bottom: torch.Tensor
    top: torch.Tensor
    unit: torch.Tensor
    zero: torch.Tensor
    gain: torch.Tensor
    low: torch.Tensor
    floor: torch.Tensor
    tensor_floor: torch.Tensor

    def __init__(
        self,
        windows: Sequence[Window],
        names: Sequence[str] = FEATURES,
        spacing_mm: tuple[float, float] = (1.0, 1.0),
    ) -> None:
        super().__init__()
        plan_of(names)  # refuses names that do not fit
        if not windows:
            raise ShapeError("a feature layer needs a window for each of at least one channel")
        step = checked_spacing(spacing_mm)
        nothing = np.zeros((1, 1), dtype=np.float32)
        frames = [frame_of(nothing, checked_window(window, ""), step) for window in windows]
        for field in ("bottom", "top", "unit", "zero", "gain", "low", "floor", "tensor_floor"):
            numbers = torch.tensor([getattr(frame, field) for frame in frames])
            self.register_buffer(field, numbers[:, None, None], persistent=False)  # (c, 1, 1)
        self.names = tuple(names)
        self.step = (float(step[0]), float(step[1]))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return (b, c·f, y, x) of physical values (b, c, y, x), channel-major; NaN where they are."""
        clipped = torch.minimum(torch.maximum(image, self.bottom), self.top) * self.unit
        hole = torch.isnan(image)
        there = (~hole).float()
        known = torch.where(hole, torch.zeros_like(clipped), clipped)
        # Along rows first: a float32 sum over a whole slice at once would lose digits.
        count = there.sum(dim=3).sum(dim=2)
        mean = known.sum(dim=3).sum(dim=2) / count.clamp_min(1.0)
        whole = torch.where(hole, self._filling(known, there), clipped)
        made = self._made(reflected(whole, CORE_HALO), mean[..., None, None])
        stack = torch.stack([made[name] for name in self.names], dim=2)  # (b, c, f, y, x)
        return torch.where(hole[:, :, None], torch.full_like(stack, torch.nan), stack).flatten(1, 2)

    def _filling(self, known: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
        """Return the mean of the nearest pixels with data at every pixel; `low` where none is near.

        A ring of equally far neighbours (±a, ±b), (±b, ±a) is a sum of pairs of columns of pairs of rows.
        """
        both = torch.stack([known, there])
        rows = [_beside(both, reach, 3) for reach in range(CORE_HALO + 1)]
        out = self.low.expand(known.shape)
        for a, b in reversed(RINGS):  # nearer ones are written over further ones
            ring = _beside(rows[b], a, 4)
            if a != b:
                ring = ring + _beside(rows[a], b, 4)
            total, count = ring[0], ring[1]
            out = torch.where(count > 0, total / count.clamp_min(1.0), out)
        return out

    def _made(self, padded: torch.Tensor, mean: torch.Tensor) -> Planes:
        """Make the planes that are asked for, by the parts that make several at once."""
        wanted = set(self.names)
        made: Planes = {}
        if wanted & {"edge", "anisotropy_p", "anisotropy_q"}:
            made |= self._gradients(padded)
        if wanted - {"edge", "anisotropy_p", "anisotropy_q"}:
            made |= self._moments(padded, mean)
        if "thickness" in wanted:
            made |= self._thickness(padded)
        return made

    def _gradients(self, padded: torch.Tensor) -> Planes:
        """Gradient and structure tensor."""
        above, here, below = (_rows(padded, n, 2) for n in range(3))
        falling = _columns(below, 2, 2) - _columns(above, 0, 2)
        rising = _columns(above, 2, 2) - _columns(below, 0, 2)
        level = _columns(here, 2, 2) - _columns(here, 0, 2)
        upright = _columns(below, 1, 2) - _columns(above, 1, 2)
        gx = ((falling + rising) + 2 * level) * (0.125 / self.step[1])
        gy = ((falling - rising) + 2 * upright) * (0.125 / self.step[0])
        power = gx * gx + gy * gy
        trace = _smoothed(power) + self.tensor_floor * 256.0
        return {
            "edge": torch.sqrt(_columns(_rows(power, 2, 4), 2, 4)) * self.gain,
            "anisotropy_p": _smoothed(gx * gx - gy * gy) / trace,
            "anisotropy_q": _smoothed(2 * (gx * gy)) / trace,
        }

    def _moments(self, padded: torch.Tensor, mean: torch.Tensor) -> Planes:
        """Means, spread and ratios, as differences from the middle pixel."""
        seen = _columns(padded, 1, 2)
        rows = [_rows(seen, n, 6) for n in range(1, 6)]
        top, high, low, bottom = (rows[n] - rows[2] for n in (0, 1, 3, 4))
        inner = high + low
        sums = (top + bottom) + inner
        spread = (top * top + bottom * bottom) + (high * high + low * low)
        squares = spread - (sums * sums) * 0.2
        across = [_columns(rows[2], n, 4) for n in range(5)]
        middle = across[2]
        away = [part - middle for part in across]
        totals = [5 * gap + _columns(sums, n, 4) for n, gap in enumerate(away)]
        total = (totals[0] + totals[4]) + (totals[1] + totals[3]) + totals[2]
        within = _five(squares)
        between = sum((t * t for t in totals[1:]), totals[0] * totals[0])
        power = (within + (between * 0.2 - (total * total) * 0.04)) * 0.04
        near = 3 * (away[1] + away[3]) + (
            (_columns(inner, 1, 4) + _columns(inner, 3, 4)) + _columns(inner, 2, 4)
        )
        level = middle + (self.floor - self.low)
        beside = (away[0] + away[4]) + (away[1] + away[3])
        upright = level + _columns(sums, 2, 4) * 0.2
        return {
            "intensity": (middle - self.zero) * self.gain,
            "local_contrast": torch.sqrt(power.clamp_min(0.0)) * self.gain,
            "mean3": ((middle - self.zero) + near * (1 / 9)) * self.gain,
            "mean5": ((middle - self.zero) + total * 0.04) * self.gain,
            "ratio_row_column": (level + beside * 0.2) / upright,
            "ratio_local_global": (level + total * 0.04) / (mean - self.low + self.floor),
        }

    def _thickness(self, padded: torch.Tensor) -> Planes:
        """How far a pixel stands out from both its sides: curvature less the sides' difference."""
        seen, (dy, dx) = _columns(padded, 1, 2), self.step
        rows = [_rows(seen, n, 6) for n in range(1, 6)]
        top, high, low, bottom = (rows[n] - rows[2] for n in (0, 1, 3, 4))
        outer, inner, wide = top + bottom, high + low, bottom - top
        first = wide + 2 * (low - high)
        yy_scale, xx_scale = 1 / (128 * dy * dy), 1 / (128 * dx * dx)
        yy = _weighted(outer) * yy_scale
        side = [_columns(outer, n, 4) + 4 * _columns(inner, n, 4) for n in (0, 2, 4)]
        left, middle, right = side
        ends = [_columns(rows[2], n, 4) for n in (0, 2, 4)]
        along = (ends[0] - ends[1]) + (ends[2] - ends[1])
        xx = (16 * along + ((left - middle) + (right - middle))) * xx_scale
        mixed = (_columns(first, 4, 4) - _columns(first, 0, 4)) + 2 * (
            _columns(first, 3, 4) - _columns(first, 1, 4)
        )
        xy = mixed * (1 / (64 * dy * dx))
        fall_y = _weighted(wide) * (2 * yy_scale)
        fall_x = (16 * (ends[2] - ends[0]) + (right - left)) * (2 * xx_scale)
        half = yy + xx
        curvature = torch.sqrt((yy - xx) * (yy - xx) + xy * xy) + half.abs()
        drop = (curvature - torch.sqrt(fall_y * fall_y + fall_x * fall_x)).clamp_min(0.0)
        return {"thickness": torch.where(half > 0, -drop, drop) * self.gain}


def reflected(plane: torch.Tensor, reach: int) -> torch.Tensor:
    """Continue the last two axes by reflection that repeats the edge pixel; any size from 1."""
    for axis in (2, 3):
        size = plane.shape[axis]
        place = torch.arange(-reach, size + reach, device=plane.device)
        for _ in range(reach):  # a single pixel is reflected `reach` times
            place = torch.maximum(place, -1 - place)
            place = torch.minimum(place, 2 * size - 1 - place)
        plane = plane.index_select(axis, place)
    return plane


def _rows(plane: torch.Tensor, first: int, less: int) -> torch.Tensor:
    """Return all rows but `less`, from row `first`."""
    return plane[..., first : plane.shape[-2] - less + first, :]


def _columns(plane: torch.Tensor, first: int, less: int) -> torch.Tensor:
    """Return all columns but `less`, from column `first`."""
    return plane[..., first : plane.shape[-1] - less + first]


def _weighted(plane: torch.Tensor) -> torch.Tensor:
    """[1 4 6 4 1] along x."""
    a, b, c, d, e = (_columns(plane, n, 4) for n in range(5))
    return (a + e) + 4 * (b + d) + 6 * c


def _smoothed(plane: torch.Tensor) -> torch.Tensor:
    """[1 4 6 4 1] both ways."""
    line = _weighted(plane)
    a, b, c, d, e = (_rows(line, n, 4) for n in range(5))
    return (a + e) + 4 * (b + d) + 6 * c


def _five(plane: torch.Tensor) -> torch.Tensor:
    """Sum of five columns."""
    a, b, c, d, e = (_columns(plane, n, 4) for n in range(5))
    return (a + e) + (b + d) + c


def _beside(plane: torch.Tensor, reach: int, axis: int) -> torch.Tensor:
    """Return the sum of the two neighbours `reach` pixels off along axis 3 (y) or 4 (x), 0 beyond."""
    if reach == 0:
        return plane
    size = plane.shape[axis]
    pad = (0, 0, reach, reach) if axis == 3 else (reach, reach)
    wide = nn.functional.pad(plane, pad)
    return wide.narrow(axis, 0, size) + wide.narrow(axis, 2 * reach, size)
