"""Arrays put into a run's storage as scans with labels, and a drifting texture made slice by slice."""

import numpy as np
from scipy import ndimage

from somray.domain.geometry import Geometry
from somray.domain.run import ScanPlace
from somray.io.ome import image as ome_zarr
from somray.io.storage import Storage


def store(root, volume, geometry=None, session="t0", labels=None):
    """Write (z, y, x) or (t, z, y, x) as one complete scan; `labels` names arrays of the same shape."""
    series = volume[None] if volume.ndim == 3 else volume
    grid = geometry or Geometry.from_spacing(series.shape[1:], (2.0, 0.8, 0.8))
    shape = (len(series), 1, *series.shape[1:])
    meta = ome_zarr.ScanMeta(shape, grid, ("CT",), "HU", f"digest-{session}")
    storage, place = Storage.at(root), ScanPlace(str(root), "s", session)
    ome_zarr.create_scan(storage, place.name, meta)
    for brick in meta.bricks():
        block = series[brick.t][brick.box].astype(np.float32)
        ome_zarr.write_brick(storage, place.name, brick, block[None])
    ome_zarr.finish_scan(storage, place.name, meta)
    for name, mask in (labels or {}).items():
        whole = mask[None] if mask.ndim == 3 else mask
        ome_zarr.create_labels(storage, place.name, name, "uint8")
        for brick in meta.bricks():
            block = whole[brick.t][brick.box].astype(np.uint8)
            ome_zarr.write_label_brick(storage, place.name, name, brick, block)
        ome_zarr.finish_labels(storage, place.name, name, {})
    return place


def texture(depth, shape=(64, 72), seed=0):
    """Blobs that change slowly along z inside a body, HU."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(depth + 12, *shape)).astype(np.float32)
    blobs = ndimage.gaussian_filter(noise, (5, 3, 3))[6 : 6 + depth]
    y, x = np.indices(shape)
    inside = np.hypot((y - shape[0] / 2) / shape[0], (x - shape[1] / 2) / shape[1]) < 0.4
    volume = np.where(inside, 100 * blobs / blobs.std(), -1000.0)
    return ndimage.gaussian_filter(volume, (0, 0.8, 0.8)).astype(np.float32)


def shifted(volume, where, by):
    """Misplace some slices by (y, x) whole pixels."""
    moved = volume.copy()
    for z in where:
        moved[z] = np.roll(volume[z], by, (0, 1))
    return moved
