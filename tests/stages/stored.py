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


def store_bricks(root, volume, spacing_mm=(0.8, 0.8, 0.8), session="t0"):
    """Write (z, y, x) as one complete XCT scan, brick by brick, whether or not its slices are cut."""
    geometry = Geometry.from_spacing(volume.shape, spacing_mm)
    meta = ome_zarr.ScanMeta((1, 1, *volume.shape), geometry, ("XCT",), "", f"digest-{session}")
    storage, place = Storage.at(root), ScanPlace(str(root), "s", session)
    ome_zarr.create_scan(storage, place.name, meta)
    for brick in meta.bricks():
        ome_zarr.write_brick(storage, place.name, brick, volume[None][(slice(None), *brick.box)])
    ome_zarr.finish_scan(storage, place.name, meta)
    return place


def pores(shape, seed=0, noise=6.0):
    """Draw dark pores in a bright solid with a gradient, 8-bit: (z, y, x) float32."""
    rng = np.random.default_rng(seed)
    z, y, x = np.indices(shape)
    solid = 130 + 0.2 * y + 0.1 * x
    for cz, cy, cx, r in rng.integers([0, 0, 0, 4], [*shape, 10], (12, 4)):
        solid[4 * (z - cz) ** 2 + (y - cy) ** 2 + (x - cx) ** 2 < r * r] = 40
    grey = solid + rng.normal(0, noise, shape)
    return np.rint(np.clip(grey, 0, 255)).astype(np.float32)
