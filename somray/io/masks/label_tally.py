"""Whether whole numbers can be labels, told from the numbers alone.

An image given in place of its mask is whole numbers too: CT of every value, grey levels of eight bits. Labels hold
together: a voxel's neighbour mostly wears the same one, however many there are. Negative ones are a rim or
"ignore", a few at most; a mask that was saved with the rescaling of a CT has no others.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["LabelTally"]

MOST_NEGATIVE = 16  # kinds of negative values that a mask may hold
IGNORED = -100.0  # least of the values that programs write for "ignore"
MANY = 100  # kinds of values that an image has at least
TORN_SHARE = 0.6
"""Of the neighbours that both wear a label; a parcellation of 2 × 2 × 2 voxels has .5."""
LEAST_PAIRS = 300
MOST_PIXELS = 1 << 20  # of a plane, about; rows between them are left out


class LabelTally:
    """Counts what tells images from masks; add planes, then ask."""

    def __init__(self) -> None:
        """Begin to count."""
        self._values: set[float] = set()
        self._pairs = self._torn = 0
        self._has_ground = False

    def add(self, plane: NDArray[Any]) -> None:  # Any: ints or floats
        """Count a plane (y, x) of whole numbers; of 0, and of few kinds, nothing is to be counted."""
        plane = plane[:: 1 + plane.size // MOST_PIXELS]
        self._has_ground = self._has_ground or bool(plane.size and plane.max() >= 0)
        if plane.size == 0 or (plane.min() >= 0 and plane.max() <= MANY):
            return
        self._values.update(np.unique(plane).tolist())
        one, other = plane[:, :-1], plane[:, 1:]
        both = (one != 0) & (other != 0)
        self._pairs += int(np.count_nonzero(both))
        self._torn += int(np.count_nonzero(both & (one != other)))

    def fault(self) -> str | None:
        """Say in words why these are no labels; None where they may be."""
        negative = sum(value < 0 for value in self._values)
        if negative > MOST_NEGATIVE:
            return f"holds {negative} different negative values, from {min(self._values):g} on, as images do"
        if negative and not self._has_ground and min(self._values) < IGNORED:
            return f"holds values below 0 alone, from {min(self._values):g} on, as one saved with a CT's rescaling does"
        is_torn = self._pairs >= LEAST_PAIRS and self._torn > TORN_SHARE * self._pairs
        if len(self._values) > MANY and is_torn:
            return (
                f"holds {len(self._values)} different values that change from voxel to voxel, up to "
                f"{max(self._values):g}, as images do"
            )
        return None
