"""Registration: slices in the plane, sessions in space; refuses rather than invents.

All matrices take moving to fixed. Slices: pixels (x, y, 1), centres on whole numbers. Volumes: LPS mm.
"""

from somray.kernels.registration.keypoints import DETECTORS
from somray.kernels.registration.resample import warp_volume_slice
from somray.kernels.registration.result import SliceRegistration, VolumeRegistration
from somray.kernels.registration.slices import MODELS, register
from somray.kernels.registration.volumes import reduction_for, register_volumes

__all__ = [
    "DETECTORS",
    "MODELS",
    "SliceRegistration",
    "VolumeRegistration",
    "reduction_for",
    "register",
    "register_volumes",
    "warp_volume_slice",
]
