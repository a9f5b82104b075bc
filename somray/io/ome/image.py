"""One scan as an OME-Zarr 0.5 group (zarr v3, sharded): image, pyramid, labels, marks.

The order is the law: `create_scan`, `write_brick` for every brick, `finish_scan`; only the last sets
`attributes.somray.complete`, so a reader never takes half a scan for a whole one. Labels follow the same
order. Axes are (t, c, z, y, x); NaN means no data. No consolidated metadata: it goes stale. What storage refuses
is a `StoreError`.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from somray.domain.brick import Brick
from somray.io.ome.arrays import create_levels, store_errors, write_levels
from somray.io.ome.chunks import StoredLevel
from somray.io.ome.labels import (
    create_labels,
    finish_labels,
    labels_complete,
    list_labels,
    read_label_brick,
    write_label_brick,
)
from somray.io.ome.links import StoredArray, link_level
from somray.io.ome.marks import group_attributes, is_complete, linked, read_meta
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
    "link_again",
    "list_labels",
    "read_brick",
    "read_channel_box",
    "read_label_brick",
    "read_meta",
    "read_slab",
    "slab_depth",
    "slabs",
    "write_brick",
    "write_label_brick",
]

RANGE_SLICES = 16  # slices of the coarsest level that the displayed range is taken from


def create_scan(
    storage: Storage, name: str, meta: ScanMeta, stored: Sequence[StoredArray] = ()
) -> None:
    """Make an empty scan without its mark; what was there under that name is removed, labels too.

    Where its channels are given as their source stores them, the full level lies there; smaller levels are made empty.
    """
    own: dict[str, Any] = {"complete": False}
    with store_errors(storage.uri(name)):
        storage.remove(name)
        if stored:
            own["linked"] = link_level(storage, name, meta, stored)
        attributes = {"ome": scan_metadata(meta), "somray": own}
        zarr.create_group(zarr_format=3, store=storage.zarr(name), attributes=attributes)
        create_levels(storage, name, "", meta, first=int(bool(stored)))


def link_again(storage: Storage, name: str, meta: ScanMeta, stored: Sequence[StoredArray]) -> None:
    """Lead a scan that lies in its source to where the same voxels lie now."""
    links = link_level(storage, name, meta, stored)
    own = (group_attributes(storage, name) or {}).get("somray", {})
    if own.get("linked") != links:
        with store_errors(storage.uri(name)):
            group = zarr.open_group(store=storage.zarr(name), mode="r+")
            group.update_attributes({"somray": {**own, "linked": links}})


def write_brick(
    storage: Storage, name: str, brick: Brick, block: NDArray[np.float32], first: int = 0
) -> None:
    """Write one whole brick (c, z, y, x) to all levels; see `write_levels` for `first` and the errors."""
    write_levels(storage, name, "", brick, block, first)


def read_brick(storage: Storage, name: str, brick: Brick) -> NDArray[np.float32]:
    """Read any box of voxels as (c, z, y, x) float32; see `read_slab`."""
    array = StoredLevel(storage, name, "0")
    with store_errors(storage.uri(name)):
        return np.asarray(array[(brick.t, slice(None), *brick.box)], dtype=np.float32)


def finish_scan(storage: Storage, name: str, meta: ScanMeta) -> None:
    """Write what the scan says of itself and, in the same replaced file, its `complete` mark."""
    ome = scan_metadata(meta, _shown_ranges(storage, name, meta))
    own = somray_attributes(meta, complete=True)
    with store_errors(storage.uri(name)):
        group = zarr.open_group(store=storage.zarr(name), mode="r+")
        if links := linked(storage, name):
            own["linked"] = links
        group.update_attributes({"ome": ome, "somray": own})


def _shown_ranges(storage: Storage, name: str, meta: ScanMeta) -> tuple[tuple[float, float], ...]:
    """Per channel the values a viewer should show: 0.5 to 99.5 % of some coarse slices."""
    coarse = StoredLevel(storage, name, str(len(level_shapes(*meta.shape[3:])) - 1))
    chosen = np.unique(np.linspace(0, meta.shape[2] - 1, RANGE_SLICES).round().astype(int))
    ranges = []
    for channel in range(meta.shape[1]):
        sample = np.stack([np.asarray(coarse[0, channel, int(z)]) for z in chosen])
        known = sample[np.isfinite(sample)]
        low, high = np.percentile(known, (0.5, 99.5)) if known.size else (0.0, 1.0)
        ranges.append((float(low), float(high) if high > low else float(low) + 1.0))
    return tuple(ranges)


def read_slab(storage: Storage, name: str, t: int, z0: int, z1: int) -> NDArray[np.float32]:
    """Read slices z0 to z1 (excluded), any range, as (c, z, y, x) float32."""
    array = StoredLevel(storage, name, "0")
    with store_errors(storage.uri(name)):
        return np.asarray(array[t, :, z0:z1], dtype=np.float32)


def read_channel_box(
    storage: Storage, name: str, box: Brick, channel: int = 0
) -> NDArray[np.float32]:
    """Read any box of voxels of one channel as (z, y, x) float32; see `read_slab`."""
    array = StoredLevel(storage, name, "0")
    with store_errors(storage.uri(name)):
        return np.asarray(array[(box.t, channel, *box.box)], dtype=np.float32)
