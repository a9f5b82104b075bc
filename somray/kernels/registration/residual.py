"""What registration leaves: |difference| and correlation inside the target and outside, before and after.

Sums are added piece by piece, so that a whole volume is never held. Where two images of one session are
compared, what is left is anatomy; of two sessions, change: the caller keeps the two apart.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from somray.kernels.registration.correlation import PixelSums, region_sums

__all__ = ["REGIONS", "Residual", "ResidualSums"]

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


class ResidualSums:
    """Adds pieces of an image pair and tells what is left in each region.

    Args:
        registered: whether there is a motion to compare after.
    """

    def __init__(self, registered: bool) -> None:
        self._registered = registered
        self._before = {region: PixelSums() for region in REGIONS}
        self._after = {region: PixelSums() for region in REGIONS}

    def add(self, fixed: Image, before: Image, after: Image | None, target: Mask) -> None:
        """Add a piece.

        Args:
            fixed: (y, x); NaN means no data.
            before: the moving image on the same pixels, as the files lie; NaN where it shows nothing.
            after: the moving image after registration; None where that was refused.
            target: (y, x) bool, the target in either image, both on these pixels; all else is outside.
        """
        for sums, moving in ((self._before, before), (self._after, after)):
            if moving is not None:
                outside, inside = region_sums(fixed, moving, target)
                sums["outside"].add(outside)
                sums["lesion"].add(inside)

    def residuals(self) -> dict[str, Residual]:
        """Return what is left, region by region."""
        found = {}
        for region in REGIONS:
            before, after = self._before[region], self._after[region]
            count = (after if self._registered else before).count
            one, two = before.figures(), after.figures()
            found[region] = Residual(count, one.mad, two.mad, one.ncc, two.ncc)
        return found
