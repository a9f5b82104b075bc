"""What a person says of a scan that its file does not: the voxel size."""

from dataclasses import replace

import numpy as np

from somray.domain.geometry import Geometry
from somray.domain.scan import ScanHeader

__all__ = ["with_spacing"]

_ASSUMED = {
    "spacing_assumed": ("z", "y", "x"),
    "z_spacing_assumed": ("z",),
    "thickness_assumed": ("z",),
}


def with_spacing(header: ScanHeader, spacing_mm: tuple[float, float, float] | None) -> ScanHeader:
    """Put a given voxel size (z, y, x) where the file names none, and `spacing_given` for what it assumes."""
    axes = [axis for code in header.repairs for axis in _ASSUMED.get(code, ())]
    if spacing_mm is None or not axes:
        return header
    matrix = header.geometry.matrix
    for axis, size in zip("zyx", spacing_mm, strict=True):
        if axis in axes:
            column = "xyz".index(axis)
            matrix[:3, column] *= size / np.linalg.norm(matrix[:3, column])
    kept = [code for code in header.repairs if code not in _ASSUMED]
    geometry = Geometry.from_matrix(header.geometry.shape, matrix)
    return replace(header, geometry=geometry, repairs=("spacing_given", *kept))
