"""Sessions read for registration: whole ones reduced while they are read, thin ones slice by slice.

Beside it, whether a scan's header told which side of the body is left.
"""

import numpy as np
from numpy.typing import NDArray

from somray.domain.geometry import Geometry
from somray.domain.run import ScanPlace
from somray.io.ome.image import ScanMeta, read_meta, read_slab, slabs
from somray.io.storage import Storage
from somray.kernels.registration.space.few_slices import Stack
from somray.kernels.registration.space.reduction import VolumeReducer

__all__ = ["reduced_volume", "slice_stack", "tells_sides"]

_BARE = 1e-6  # of a voxel
_ASSUMED = "position_assumed"  # the readers' code for a header that does not place the scan


def reduced_volume(storage: Storage, place: ScanPlace) -> tuple[NDArray[np.float32], Geometry]:
    """Read the first channel at t 0, slab by slab, averaged until it fits registration's budget."""
    meta = read_meta(storage, place.name)
    reducer = VolumeReducer(meta.geometry)
    for z0, z1 in slabs(meta.shape[2], meta.slab_depth):
        for plane in read_slab(storage, place.name, 0, z0, z1)[0]:
            reducer.add(plane)
    return reducer.finish()


def slice_stack(storage: Storage, place: ScanPlace) -> Stack:
    """Return the first channel at t 0 as slices that are read when asked for."""
    geometry = read_meta(storage, place.name).geometry
    return Stack(lambda z: read_slab(storage, place.name, 0, z, z + 1)[0, 0], geometry)


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
