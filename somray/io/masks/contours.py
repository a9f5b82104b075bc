"""Closed contours to pixels: those whose centres lie inside, to the last one; and shapes between two of them.

Pillow, OpenCV and scikit-image draw pixels that a line merely touches, or round its corners to pixels; a volume of
small regions is then too large by a tenth and more. Here rows are cut with edges and counted: even-odd, so that rings
in rings are holes and the two sides of a keyhole cancel. A centre on a left or upper edge lies inside, on a right or
lower one outside: regions that share an edge share no pixel, and areas are those of the polygons.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, find_objects

__all__ = ["between", "filled"]

_SNAP = 4  # decimals of a pixel: what headers and the way to the grid round


def filled(rings: Sequence[NDArray[np.float64]], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Fill what an odd number of rings encloses.

    Args:
        rings: (n, 2) each, y and x in pixels, centres on whole numbers; closed by themselves.
        shape: (y, x) of the plane; what lies outside is cut off.

    Returns:
        (y, x).

    Cost: O(edges + their rows + pixels).
    """
    begin = np.round(np.concatenate(rings), _SNAP)
    end = np.concatenate([np.roll(ring, -1, axis=0) for ring in rings]).round(_SNAP)
    turned = begin[:, 0] > end[:, 0]  # the same edge both ways must meet a row in the same bit
    begin[turned], end[turned] = end[turned], begin[turned]
    # An edge meets the rows from its upper end on, without its lower end.
    first, last = (np.clip(np.ceil(e[:, 0]), 0, shape[0]).astype(np.int64) for e in (begin, end))
    counts = last - first
    edge = np.repeat(np.arange(len(counts)), counts)
    row = first[edge] + np.arange(len(edge)) - (np.cumsum(counts) - counts)[edge]
    (y, x), (dy, dx) = begin[edge].T, (end - begin)[edge].T
    met = np.round(x + (row - y) / dy * dx, _SNAP)
    column = np.clip(np.ceil(met), 0, shape[1]).astype(np.int64)
    plane = np.zeros((shape[0], shape[1] + 1), dtype=np.uint8)
    np.add.at(plane, (row, column), 1)  # overflows by whole turns, which parity does not feel
    return np.asarray(np.bitwise_xor.accumulate(plane[:, :-1] & 1, axis=1), dtype=bool)


def between(
    below: NDArray[np.bool_],
    above: NDArray[np.bool_],
    share: float,
    spacing_mm: tuple[float, float],
) -> NDArray[np.bool_]:
    """Return the shape a share of the way from one plane to another: where their signed distances add up to inside.

    Args:
        below: (y, x).
        above: (y, x).
        share: of the way, 0 to 1.
        spacing_mm: of a pixel (y, x).

    Returns:
        (y, x); nothing where either is empty.

    Source: Raya and Udupa, "Shape-based interpolation of multidimensional objects", 1990.
    """
    found = np.zeros(below.shape, dtype=bool)
    if below.any() and above.any():
        (box,) = find_objects((below | above).astype(np.uint8))
        inside = (1.0 - share) * _depth(below[box], spacing_mm) + share * _depth(
            above[box], spacing_mm
        )
        found[box] = inside > 0
    return found


def _depth(shape: NDArray[np.bool_], spacing_mm: tuple[float, float]) -> NDArray[np.float64]:
    """Return how deep each pixel lies inside a shape, in mm; negative outside."""
    wide = np.pad(shape, 1)  # what lies beyond is outside
    inside, outside = (distance_transform_edt(one, sampling=spacing_mm) for one in (wide, ~wide))
    return np.asarray(inside - outside)[1:-1, 1:-1]
