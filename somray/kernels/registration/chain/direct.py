"""A slice onto the next but one: a second opinion on the two pairs in between.

It starts from what is known already (the two pairs' motions composed, or no motion at all) and is refined on
intensities on a coarse level: a part of what a pair costs. It says where a chain of pairs disagrees with
itself; it finds nothing that lies far from where it starts.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from somray.kernels.registration.plane.describe import DescribedSlice
from somray.kernels.registration.plane.keypoints import one_thread
from somray.kernels.registration.plane.motions import affine_part
from somray.kernels.registration.plane.search import PlaneSearch, best_of
from somray.kernels.registration.plane.verdict import belief, is_motion, judge

__all__ = ["register_direct"]

Matrix = NDArray[np.float64]


def register_direct(
    fixed: DescribedSlice, moving: DescribedSlice, begin: Sequence[Matrix], model: str = "auto"
) -> Matrix | None:
    """Refine a motion that is nearly known.

    Args:
        fixed: the slice that stays.
        moving: the slice that moves.
        begin: (3, 3) motions to start from, moving to fixed in pixels (x, y, 1); the one that explains
            most after refinement is kept. Of a homography the affine part about the middle is taken.
        model: of the pairs in between; affine for affine and homography, else similarity.

    Returns:
        (3, 3) moving to fixed, or None where nothing explains the slices well enough to be believed.
    """
    freedom = "affine" if model in ("affine", "homography") else "similarity"
    search = PlaneSearch(fixed.prepared, moving.prepared)
    with one_thread():
        starts = [np.linalg.inv(affine_part(matrix, moving.shape)) for matrix in begin]
        best = best_of([search.judged(np.asarray(start), freedom) for start in starts])
        if best is None:
            return None
        # Starting from what is known there were no rivals: as next to the identity.
        if judge(belief(best, None), near=True, supported=False).is_refused:
            return None
        best = search.finished(best, coarsest_only=True)
    back = np.asarray(np.linalg.inv(best.sampling), dtype=np.float64)
    return back / back[2, 2] if is_motion(back, moving.shape) else None
