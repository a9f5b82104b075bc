"""Registration: slices in the plane, sessions in space; refuses rather than invents.

All matrices take moving to fixed. Slices: pixels (x, y, 1), centres on whole numbers. Volumes: LPS mm.
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
