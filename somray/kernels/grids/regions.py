"""What a part of a resampled slice needs of the source's planes: for slices that are too large to be held.

Places are those of the whole slice less whole pixels, so that values differ from the whole slice's in the last digit at
most.
"""

import numpy as np
from numpy.typing import NDArray

from somray.domain.brick import Brick

__all__ = ["part_of_plane", "part_of_volume"]

MARGIN = 2  # pixels beyond the outermost place: its neighbours, and rounding

Matrix = NDArray[np.float64]


def part_of_volume(
    index: Matrix, box: Brick, shape: tuple[int, int, int]
) -> tuple[slice, slice, Matrix]:
    """Say where a part of a slice lies in a source volume.

    Args:
        index: (4, 4) indices of the result (z, y, x, 1) to those of the source; see `index_map`.
        box: one slice of the result, some rows and columns.
        shape: of the source, (z, y, x).

    Returns:
        Rows and columns of the source's slices that it needs, and the index map from the part, whose own rows and
        columns count from 0, to these. Nothing is needed where a range is empty.
    """
    corners = np.array(
        [[box.z0, y, x, 1.0] for y in (box.y0, box.y1 - 1) for x in (box.x0, box.x1 - 1)]
    )
    at = corners @ index[:3].T
    rows, columns = _range(at[:, 1], shape[1]), _range(at[:, 2], shape[2])
    moved = index.copy()
    moved[:3, 3] += index[:3, 1] * box.y0 + index[:3, 2] * box.x0
    moved[1:3, 3] -= rows.start, columns.start
    return rows, columns, moved


def part_of_plane(
    sampling: Matrix, box: Brick, shape: tuple[int, int]
) -> tuple[slice, slice, Matrix]:
    """Say where a part of a slice lies in a source slice.

    Args:
        sampling: (3, 3) pixels (x, y, 1) of the result to pixels of the source.
        box: some rows and columns of the result.
        shape: of the source, (y, x).

    Returns:
        As `part_of_volume`; the whole source where the part reaches a homography's horizon.
    """
    corners = np.array(
        [[x, y, 1.0] for y in (box.y0, box.y1 - 1) for x in (box.x0, box.x1 - 1)], dtype=np.float64
    )
    x, y, w = sampling @ corners.T
    rows, columns = slice(0, shape[0]), slice(0, shape[1])
    if (w > 1e-9).all():
        rows, columns = _range(y / w, shape[0]), _range(x / w, shape[1])
    there, here = np.eye(3), np.eye(3)
    there[:2, 2] = -columns.start, -rows.start
    here[:2, 2] = box.x0, box.y0
    return rows, columns, there @ sampling @ here


def _range(places: Matrix, size: int) -> slice:
    low = min(max(0, int(np.floor(places.min())) - MARGIN), size)
    return slice(low, max(low, min(size, int(np.ceil(places.max())) + MARGIN + 1)))
