"""Registration: slices in the plane, sessions in space; refuses rather than invents.

All matrices take moving to fixed. Slices: pixels (x, y, 1), centres on whole numbers. Volumes: LPS mm.

`plane` and `space` walk alike (prepare, start, refine, weigh, judge) and share results, verdicts, figures of likeness
and keypoints. They differ where their images do. A slice is prepared once for both its neighbours, over a pyramid
with a window of its own, and moves by similarities up to any turn, so its evidence counts separate structures and
asks patches. Two volumes share one window, so that equal tissue stays equal, and one working spacing in mm, whatever
their grids; they move rigidly and little, and their evidence is one correlation under a weight per voxel. Compiled
loops on float32 planes stand against array operations on volumes: the same formulas, other bits.
"""

from somray.kernels.registration.plane.describe import DescribedSlice, describe
from somray.kernels.registration.plane.keypoints import DETECTORS, ROBUST
from somray.kernels.registration.plane.register import (
    MODELS,
    PlaneOptions,
    refuse_blank,
    register,
    register_described,
)
from somray.kernels.registration.result import SliceRegistration, VolumeRegistration
from somray.kernels.registration.space.register import SpaceOptions, register_volumes

__all__ = [
    "DETECTORS",
    "MODELS",
    "ROBUST",
    "DescribedSlice",
    "PlaneOptions",
    "SliceRegistration",
    "SpaceOptions",
    "VolumeRegistration",
    "describe",
    "refuse_blank",
    "register",
    "register_described",
    "register_volumes",
]
