"""How alike two images of one grid are: mean |difference| and normalised cross-correlation.

Three ways to the same two figures, by what is at hand; their last digits differ, so none stands for another:
sums that a compiled loop took on the way (slices), a weight per voxel (volumes), and pieces of an image pair
that come by one after the other (`PixelSums`). None where either side is flat: rounding is all that is left.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from somray.kernels.compiled import compiled

__all__ = [
    "Figures",
    "PixelSums",
    "correlation_of_sums",
    "region_sums",
    "weighted_correlation",
]

Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class Figures:
    """Mean |difference| (window 0..1) and normalised cross-correlation over common data."""

    mad: float | None = None
    ncc: float | None = None


def correlation_of_sums(sums: NDArray[np.float64]) -> float | None:
    """Return the correlation from n, Σf, Σm, Σf², Σm², Σf·m; None where either side is flat."""
    n, f1, m1, f2, m2, fm = (float(v) for v in sums[:6])
    power = (f2 - f1 * f1 / n) * (m2 - m1 * m1 / n)
    return (fm - f1 * m1 / n) / power**0.5 if power > 1e-12 * n * n else None


def weighted_correlation(one: Float32, other: Float32, weight: Float32) -> float | None:
    """Return the correlation of two images under a weight; None where either is flat."""
    total = float(weight.sum(dtype=np.float64))
    if total <= 0:
        return None
    a = one - np.float32((one * weight).sum(dtype=np.float64) / total)
    b = other - np.float32((other * weight).sum(dtype=np.float64) / total)
    power = float((a * a * weight).sum(dtype=np.float64) * (b * b * weight).sum(dtype=np.float64))
    if power <= 1e-12 * total * total:
        return None
    return float((a * b * weight).sum(dtype=np.float64) / power**0.5)


@compiled
def region_sums(one: Float32, other: Float32, target: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Add up two images of one grid over the pixels that both show, outside a target and inside.

    Args:
        one: (rows, columns) float32; what is not finite counts as no data.
        other: the same of the other image.
        target: (rows, columns) bool.

    Returns:
        (2, 7) float64, outside first: n, Σa, Σb, Σa², Σb², Σa·b, Σ|a − b|, added row by row.
    """
    sums = np.zeros((2, 7))
    row = np.zeros((2, 7))
    for y in range(one.shape[0]):
        row[:] = 0.0
        for x in range(one.shape[1]):
            a, b = np.float64(one[y, x]), np.float64(other[y, x])
            if np.isfinite(a) and np.isfinite(b):
                part = row[1] if target[y, x] else row[0]
                part[0] += 1.0
                part[1] += a
                part[2] += b
                part[3] += a * a
                part[4] += b * b
                part[5] += a * b
                part[6] += abs(a - b)
        sums += row
    return sums


@dataclass
class PixelSums:
    """Sums over the pixels that two images share, added piece by piece."""

    count: int = 0
    sums: NDArray[np.float64] = field(default_factory=lambda: np.zeros(6))

    def add(self, sums: NDArray[np.float64]) -> None:
        """Add one region's sums of a piece, (7,); see `region_sums`."""
        self.count += int(sums[0])
        self.sums += sums[1:]

    def figures(self) -> Figures:
        """Return what the pixels say so far."""
        if not self.count:
            return Figures()
        a, b, aa, bb, ab, apart = (float(v) for v in self.sums / self.count)
        power = (aa - a * a, bb - b * b)
        if power[0] <= 1e-12 * aa or power[1] <= 1e-12 * bb:
            return Figures(apart)
        return Figures(apart, float((ab - a * b) / (power[0] * power[1]) ** 0.5))
