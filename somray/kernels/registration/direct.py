"""A slice onto the next but one: a second opinion on the two pairs in between.

It starts from what is known already (the two pairs' motions composed, or no motion at all) and is refined on
intensities at half size: a fifth of what a pair costs. It says where a chain of pairs disagrees with
itself; it finds nothing that lies far from where it starts.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from somray.kernels.registration import evidence
from somray.kernels.registration.coarse import level_within
from somray.kernels.registration.intensity import refine
from somray.kernels.registration.keypoints import one_thread
from somray.kernels.registration.look import Look
from somray.kernels.registration.verdict import Candidate, is_motion, judge

__all__ = ["register_direct"]

Matrix = NDArray[np.float64]

_THUMBNAIL = 80  # pixels: starts are compared at the first level within that …
_FINER = 2  # … refined there, and so many levels finer at most
_STEPS = 10


def register_direct(
    fixed: Look, moving: Look, begin: Sequence[Matrix], model: str = "auto"
) -> Matrix | None:
    """Refine a motion that is nearly known.

    Args:
        fixed: the slice that stays.
        moving: the slice that moves.
        begin: (3, 3) motions to start from, moving to fixed in pixels (x, y, 1); the one that explains
            most after refinement is kept.
        model: of the pairs in between; affine for affine and homography, else similarity.

    Returns:
        (3, 3) moving to fixed, or None where nothing explains the slices well enough to be believed.

    Cost: about a fifth of `register_looks`.
    """
    first, second = fixed.prepared, moving.prepared
    freedom = "affine" if model in ("affine", "homography") else "similarity"
    thumb = min(level_within(s, _THUMBNAIL) for s in (first, second))
    judged = max(0, thumb - 1)
    levels = tuple((k, _STEPS) for k in range(thumb, max(thumb - _FINER, 0) - 1, -1))
    found = []
    with one_thread():
        for matrix in begin:
            start = np.asarray(np.linalg.inv(matrix), dtype=np.float64)
            sampling = refine(first, second, start, freedom, levels)
            if sampling is not None:
                weighed = evidence.weigh(first, second, sampling, judged)
                found.append(Candidate(sampling, weighed, freedom))
    best = max(found, key=lambda c: c.structure, default=None)
    if best is None or judge(best, fixed.shape, supported=False)[0] == "refused":
        return None
    back = np.asarray(np.linalg.inv(best.sampling), dtype=np.float64)
    return back / back[2, 2] if is_motion(back, moving.shape) else None
