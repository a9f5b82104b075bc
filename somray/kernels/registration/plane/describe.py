"""A slice described once, for all the pairs it takes part in.

Window, pyramid and keypoints belong to a slice, not to a pair: a slice of a chain has two neighbours, and
is the same to both.
"""

import numpy as np
from numpy.typing import NDArray

from somray.kernels.registration.plane.keypoints import Keypoints, detect, one_thread
from somray.kernels.registration.plane.prepare import Prepared, level_within, prepare

__all__ = ["DescribedSlice", "describe"]


class DescribedSlice:
    """A prepared slice and what was found on it so far; keypoints are detected when first asked for.

    Args:
        prepared: the windowed slice with its pyramid.
    """

    def __init__(self, prepared: Prepared) -> None:
        self.prepared = prepared
        self._keypoints: dict[tuple[str, int], Keypoints] = {}

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.prepared.shape

    def keypoints(self, detector: str, longest: int | None = None) -> Keypoints:
        """Return the slice's keypoints, the same ones at every call.

        Args:
            detector: kaze, akaze, sift or orb.
            longest: pixels along the longer side that are enough; finer levels of the pyramid are left
                out. None for the slice itself.

        Returns:
            Keypoints in pixels of the slice.

        Raises:
            ShapeError: if the detector is not known.
        """
        index = 0 if longest is None else level_within(self.prepared, longest)
        if (detector, index) not in self._keypoints:
            level = self.prepared.levels[index]
            with one_thread():
                found = detect(level, detector)
            scaled = Keypoints(found.points * level.step, found.descriptors)
            self._keypoints[(detector, index)] = scaled
        return self._keypoints[(detector, index)]


def describe(image: NDArray[np.generic], name: str = "slice") -> DescribedSlice | None:
    """Prepare a slice for `register_described`.

    Args:
        image: (y, x), any number type and range; NaN and infinities mean no data.
        name: what messages call it.

    Returns:
        The described slice, or None where the slice shows nothing (all pixels equal, or hardly any data).

    Raises:
        ShapeError: if the image is not 2D or not a number array.

    Cost: about 11 bytes a pixel, 40 once it took part in a pair, and 1 MB for the keypoints of each detector
        that was asked.
    """
    with one_thread():
        prepared = prepare(np.asarray(image), name)
    return None if prepared is None else DescribedSlice(prepared)
