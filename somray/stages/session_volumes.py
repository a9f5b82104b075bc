"""Sessions read for registration: whole ones reduced while they are read, thin ones slice by slice."""

import numpy as np
from numpy.typing import NDArray

from somray.domain.geometry import Geometry
from somray.domain.run import ScanPlace
from somray.io.ome_zarr import read_meta, read_slab, slabs
from somray.io.storage import Storage
from somray.kernels.registration.reduction import VolumeReducer
from somray.kernels.registration.thin import Stack

__all__ = ["reduced_volume", "slice_stack"]


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
