"""Where a student of uptake must look closely: what is hot and no lesion (organs, vessels, joints)."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from somray.kernels.student.rounds.lesson import Lesson
from somray.kernels.student.views import ImageViews

__all__ = ["hot_rest"]

HOT = 2.0
"""Times the scan's unit of uptake."""
SMOOTH_VOXELS = 0.5
MOST_TARGET = 0.2
"""Share of a voxel that may be target."""


def hot_rest(lesson: Lesson, views: ImageViews) -> NDArray[np.bool_] | None:
    """Return where ([z,] y, x) a lesson shows uptake that is not its target; None without uptake."""
    if "PET" not in views.kinds:
        return None
    place = views.kinds.index("PET")
    uptake = np.nan_to_num(lesson.values[place]) / views.windows[place][1]
    hot = ndimage.gaussian_filter(uptake, SMOOTH_VOXELS) > HOT
    return np.asarray(hot & (lesson.target < MOST_TARGET) & lesson.known)
