"""What registration leaves: |difference| and correlation inside the target and outside, before and after.

Sums are added piece by piece, so that a whole volume is never held. Where two images of one session are
compared, what is left is anatomy; of two sessions, change: the caller keeps the two apart.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

__all__ = ["REGIONS", "Residual", "ResidualSums", "regions_of"]

REGIONS = ("lesion", "outside")

Image = NDArray[np.float32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Residual:
    """What is left in one region.

    Args:
        pixels: that both images show after registration (as they lie, where there is none).
        mad_before: mean |difference| as they lie; None where they share no pixel.
        mad_after: after registration; None where that was refused.
        ncc_before: correlation as they lie; None also where either is flat.
        ncc_after: after registration.
    """

    pixels: int
    mad_before: float | None
    mad_after: float | None
    ncc_before: float | None
    ncc_after: float | None


@dataclass
class _Pair:
    """Sums over the pixels that two images share."""

    count: int = 0
    sums: NDArray[np.float64] = field(default_factory=lambda: np.zeros(6))

    def add(self, one: Image, other: Image) -> None:
        a, b = one.astype(np.float64), other.astype(np.float64)
        self.count += a.size
        self.sums += [a.sum(), b.sum(), (a * a).sum(), (b * b).sum(), (a * b).sum(),
                      np.abs(a - b).sum()]  # fmt: skip

    @property
    def mad(self) -> float | None:
        return float(self.sums[5] / self.count) if self.count else None

    @property
    def ncc(self) -> float | None:
        if not self.count:
            return None
        a, b, aa, bb, ab = (float(v) for v in self.sums[:5] / self.count)
        power = (aa - a * a, bb - b * b)
        if power[0] <= 1e-12 * aa or power[1] <= 1e-12 * bb:
            return None  # flat: rounding is all that is left
        return float((ab - a * b) / (power[0] * power[1]) ** 0.5)


class ResidualSums:
    """Adds pieces of an image pair and tells what is left in each region.

    Args:
        registered: whether there is a motion to compare after.
    """

    def __init__(self, registered: bool) -> None:
        self._registered = registered
        self._before = {region: _Pair() for region in REGIONS}
        self._after = {region: _Pair() for region in REGIONS}

    def add(
        self, fixed: Image, before: Image, after: Image | None, regions: Mapping[str, Mask]
    ) -> None:
        """Add a piece.

        Args:
            fixed: any shape; NaN means no data.
            before: the moving image on the same pixels, as the files lie; NaN where it shows nothing.
            after: the moving image after registration; None where that was refused.
            regions: region to its pixels; see `regions_of`.
        """
        for pairs, moving in ((self._before, before), (self._after, after)):
            if moving is not None:
                both = np.isfinite(fixed) & np.isfinite(moving)
                for region, mask in regions.items():
                    here = both & mask
                    pairs[region].add(fixed[here], moving[here])

    def residuals(self) -> dict[str, Residual]:
        """Return what is left, region by region."""
        found = {}
        for region in REGIONS:
            before, after = self._before[region], self._after[region]
            counted = after if self._registered else before
            found[region] = Residual(counted.count, before.mad, after.mad, before.ncc, after.ncc)
        return found


def regions_of(fixed: Mask, moving: Mask) -> dict[str, Mask]:
    """Return the target in either image, both on the same pixels, and all the rest."""
    target = fixed | moving
    return {"lesion": target, "outside": ~target}
