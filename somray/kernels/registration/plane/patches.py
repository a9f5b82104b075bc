"""What separate places say about a motion: each patch is asked where it would rather lie.

Outlines and one bright spot can carry the correlation of two slices that have nothing in common; the
patches of such a pair then point anywhere. Under a true motion they agree that they lie where they should.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from somray.kernels.registration.plane.evidence import laid_on, structure
from somray.kernels.registration.plane.prepare import Float32, Prepared

__all__ = ["Votes", "vote"]

Matrix = NDArray[np.float64]

_HALF, _REACH, _APART = 6, 5, 8  # pixels: half a patch, its search, between patches
_EDGE = _HALF + _REACH
_AT_HOME = 1.5  # pixels: a patch that best fits this near to its place agrees
_LEAST_KNOWN = 0.75  # of a patch
_DOUBT = 6  # patches' worth of doubt
_LEAST_ENERGY = 0.25  # of the mean: emptier patches have nothing to say


@dataclass(frozen=True)
class Votes:
    """How many patches were asked, and how many agree."""

    asked: int
    agree: int

    @property
    def share(self) -> float:
        """The share that agrees, drawn towards chance where few were asked."""
        return (self.agree + 1) / (self.asked + _DOUBT)


def vote(fixed: Prepared, moving: Prepared, sampling: Matrix, index: int) -> Votes:
    """Ask the patches of two slices.

    Args:
        fixed: fixed slice.
        moving: moving slice.
        sampling: (3, 3) fixed pixels to moving pixels, full grid.
        index: the pyramid level to ask on.
    """
    one, other = structure(fixed, index), structure(moving, index)
    if min(*one.plane.shape, *other.plane.shape) < 2:
        return Votes(0, 0)
    warped = laid_on(one, other, sampling)
    gap = np.isnan(one.plane) | np.isnan(warped)
    still, moved = (np.where(gap, np.float32(0.0), plane) for plane in (one.plane, warped))
    asked = agree = 0
    for y, x in _places(still, gap):
        window = moved[y - _EDGE : y + _EDGE + 1, x - _EDGE : x + _EDGE + 1]
        patch = still[y - _HALF : y + _HALF + 1, x - _HALF : x + _HALF + 1]
        fit = np.asarray(cv2.matchTemplate(window, patch, cv2.TM_CCOEFF_NORMED))
        down, right = divmod(int(fit.argmax()), fit.shape[1])
        asked += 1
        agree += bool(np.hypot(down - _REACH, right - _REACH) <= _AT_HOME)
    return Votes(asked, agree)


def _places(still: Float32, gap: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return where patches with enough structure and data lie, row by row."""
    size = (2 * _HALF + 1,) * 2
    energy = np.asarray(cv2.boxFilter(still * still, -1, size))
    known = np.asarray(cv2.boxFilter((~gap).astype(np.float32), -1, size))
    mean = float((still * still).sum(dtype=np.float64)) / max(int((~gap).sum()), 1)
    worth = (known >= _LEAST_KNOWN) & (energy >= _LEAST_ENERGY * mean)
    rows, columns = still.shape
    grid = np.ix_(range(_EDGE, rows - _EDGE, _APART), range(_EDGE, columns - _EDGE, _APART))
    y, x = np.nonzero(worth[grid])
    return [(_EDGE + _APART * int(i), _EDGE + _APART * int(j)) for i, j in zip(y, x, strict=True)]
