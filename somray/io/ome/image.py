"""One scan as an OME-Zarr 0.5 group (zarr v3, sharded): image, pyramid, labels, marks.

The order is the law: `create_scan`, `write_brick` for every brick, `finish_scan`; only the last sets
`attributes.somray.complete`, so a reader never takes half a scan for a whole one. Labels follow the same
order. Axes are (t, c, z, y, x); NaN means no data. No consolidated metadata: it goes stale.
"""

import numpy as np
import zarr
from numpy.typing import NDArray

from somray.domain.brick import Brick
from somray.io.ome.arrays import create_levels, open_level, store_errors, write_levels
from somray.io.ome.labels import (
    create_labels,
    finish_labels,
    labels_complete,
    list_labels,
    read_label_brick,
    read_label_slab,
    write_label_brick,
    write_label_slab,
)
from somray.io.ome.marks import is_complete, read_meta
from somray.io.ome.metadata import (
    ScanMeta,
    level_shapes,
    scan_metadata,
    slab_depth,
    slabs,
    somray_attributes,
)
from somray.io.storage import Storage

__all__ = [
    "ScanMeta",
    "create_labels",
    "create_scan",
    "finish_labels",
    "finish_scan",
    "is_complete",
    "labels_complete",
    "list_labels",
    "read_brick",
    "read_channel",
    "read_channel_box",
    "read_label_brick",
    "read_label_slab",
    "read_meta",
    "read_slab",
    "slab_depth",
    "slabs",
    "write_brick",
    "write_label_brick",
    "write_label_slab",
    "write_slab",
]

RANGE_SLICES = 16  # slices of the coarsest level that the displayed range is taken from


def create_scan(storage: Storage, name: str, meta: ScanMeta) -> None:
    """Make an empty scan without its mark; what was there under that name is removed, labels too.

    Raises:
        StoreError: storage refuses.
    """
    with store_errors(storage.uri(name)):
        storage.remove(name)
        attributes = {"ome": scan_metadata(meta), "somray": {"complete": False}}
        zarr.create_group(store=storage.zarr(name), attributes=attributes)
        create_levels(storage, name, "", meta)


def write_brick(storage: Storage, name: str, brick: Brick, block: NDArray[np.float32]) -> None:
    """Write one whole brick (c, z, y, x) to all levels; see `write_levels` for the errors."""
    write_levels(storage, name, "", brick, block)


def write_slab(storage: Storage, name: str, t: int, z0: int, block: NDArray[np.float32]) -> None:
    """Write one whole slab (c, z, y, x) of slices that are not cut; see `write_levels` for the errors."""
    brick = Brick.of_slices(t, z0, z0 + block.shape[1], block.shape[2:])
    write_levels(storage, name, "", brick, block)


def read_brick(storage: Storage, name: str, brick: Brick) -> NDArray[np.float32]:
    """Read any box of voxels as (c, z, y, x) float32; see `read_slab`."""
    array = open_level(storage, name, "0")
    with store_errors(storage.uri(name)):
        return np.asarray(array[(brick.t, slice(None), *brick.box)], dtype=np.float32)


def finish_scan(storage: Storage, name: str, meta: ScanMeta) -> None:
    """Write what the scan says of itself and, in the same replaced file, its `complete` mark.

    Raises:
        StoreError: the arrays are missing or storage refuses.
    """
    ome = scan_metadata(meta, _shown_ranges(storage, name, meta))
    with store_errors(storage.uri(name)):
        group = zarr.open_group(store=storage.zarr(name), mode="r+")
        group.update_attributes({"ome": ome, "somray": somray_attributes(meta, complete=True)})


def _shown_ranges(storage: Storage, name: str, meta: ScanMeta) -> tuple[tuple[float, float], ...]:
    """Per channel the values a viewer should show: 0.5 to 99.5 % of some coarse slices."""
    coarse = open_level(storage, name, str(len(level_shapes(*meta.shape[3:])) - 1))
    chosen = np.unique(np.linspace(0, meta.shape[2] - 1, RANGE_SLICES).round().astype(int))
    ranges = []
    for channel in range(meta.shape[1]):
        sample = np.stack([np.asarray(coarse[0, channel, int(z)]) for z in chosen])
        known = sample[np.isfinite(sample)]
        low, high = np.percentile(known, (0.5, 99.5)) if known.size else (0.0, 1.0)
        ranges.append((float(low), float(high) if high > low else float(low) + 1.0))
    return tuple(ranges)


def read_slab(storage: Storage, name: str, t: int, z0: int, z1: int) -> NDArray[np.float32]:
    """Read slices z0 to z1 (excluded), any range, as (c, z, y, x) float32.

    Raises:
        StoreError: the scan is missing or cannot be read.
    """
    array = open_level(storage, name, "0")
    with store_errors(storage.uri(name)):
        return np.asarray(array[t, :, z0:z1], dtype=np.float32)


def read_channel(
    storage: Storage, name: str, t: int, z0: int, z1: int, channel: int = 0
) -> NDArray[np.float32]:
    """Read slices z0 to z1 (excluded) of one channel as (z, y, x) float32; see `read_slab`."""
    array = open_level(storage, name, "0")
    with store_errors(storage.uri(name)):
        return np.asarray(array[t, channel, z0:z1], dtype=np.float32)


def read_channel_box(
    storage: Storage, name: str, box: Brick, channel: int = 0
) -> NDArray[np.float32]:
    """Read any box of voxels of one channel as (z, y, x) float32; see `read_slab`."""
    array = open_level(storage, name, "0")
    with store_errors(storage.uri(name)):
        return np.asarray(array[(box.t, channel, *box.box)], dtype=np.float32)
