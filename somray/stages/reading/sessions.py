"""Sessions read for registration: whole ones reduced while they are read, thin ones slice by slice.

Beside it, whether a scan's header told which side of the body is left.
"""

import numpy as np
from numpy.typing import NDArray

from somray.domain.geometry import Geometry
from somray.domain.run import ScanPlace
from somray.io.ome.image import ScanMeta, read_meta
from somray.io.storage import Storage
from somray.kernels.registration.space.few_slices import Stack
from somray.kernels.registration.space.reduction import VolumeReducer
from somray.stages.reading.planes import PlaneReader, level_geometry, plane_level

__all__ = ["REDUCED_PIXELS", "reduced_volume", "slice_stack", "tells_sides"]

REDUCED_PIXELS = 2048 * 2048
"""Pixels of a cut slice that a volume is reduced from: four such slices are more than it keeps."""

_BARE = 1e-6  # of a voxel
_ASSUMED = "position_assumed"  # the readers' code for a header that does not place the scan


def reduced_volume(storage: Storage, place: ScanPlace) -> tuple[NDArray[np.float32], Geometry]:
    """Read the first channel at t 0, slice by slice, averaged until it fits registration's budget."""
    planes, geometry, _ = _planes(storage, place, REDUCED_PIXELS)
    reducer = VolumeReducer(geometry)
    for z in range(geometry.shape[0]):
        reducer.add(planes.plane(z).astype(np.float32, copy=False))
    return reducer.finish()


def slice_stack(storage: Storage, place: ScanPlace, most: int) -> tuple[Stack, float]:
    """Return the first channel at t 0 as slices that are read when asked for.

    Args:
        storage: of the run.
        place: the scan.
        most: pixels of a slice that may be held, where slices are cut.

    Returns:
        The stack, and how many pixels of the scan lie along one of its own: 1 where slices are not cut.
    """
    planes, geometry, factor = _planes(storage, place, most)
    return Stack(planes.plane, geometry), factor


def _planes(storage: Storage, place: ScanPlace, most: int) -> tuple[PlaneReader, Geometry, float]:
    meta = read_meta(storage, place.name)
    level = plane_level(meta.shape, most)
    planes = PlaneReader(storage, place.name, level=level)
    return planes, level_geometry(meta.geometry, level), 2.0**level


def tells_sides(meta: ScanMeta) -> bool:
    """Tell whether a scan's header said where left and right are.

    Materials have no sides. Readers mark a position that they had to assume; files without any header (TIFF)
    get bare axes from the origin on, so a grid that looks like those counts as not told.
    """
    if not meta.anatomical or _ASSUMED in meta.repairs:
        return False
    bare = Geometry.from_spacing(meta.geometry.shape, meta.geometry.spacing_mm)
    rounding = _BARE * min(meta.geometry.spacing_mm)
    return not np.allclose(meta.geometry.matrix, bare.matrix, atol=rounding)
