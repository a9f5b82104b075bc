"""Labels beside a scan's image: `labels/NAME` on the image's grid without c, same slabs, same levels.

A label is made, written slab by slab and finished like the image; its own `complete` mark comes last.
`list_labels` names the complete ones in `labels/zarr.json`, once, at the end.
"""

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.errors import ContainsGroupError

from somray.domain.brick import Brick
from somray.errors import ShapeError
from somray.io.ome.arrays import create_levels, store_errors, write_levels
from somray.io.ome.chunks import StoredLevel
from somray.io.ome.marks import group_attributes, read_meta
from somray.io.ome.metadata import OME_VERSION, label_metadata
from somray.io.storage import Storage

__all__ = [
    "create_labels",
    "finish_labels",
    "label_look",
    "labels_complete",
    "list_labels",
    "read_label_brick",
    "write_label_brick",
]

LABEL_DTYPES = ("uint8", "uint16", "int32")


def create_labels(storage: Storage, scan_name: str, label: str, dtype: str) -> None:
    """Make an empty label of one of `LABEL_DTYPES` on a complete scan; what was there under that name is removed.

    Raises:
        ShapeError: the dtype is another.
        StoreError: the scan is not complete, or storage refuses.
    """
    if str(np.dtype(dtype)) not in LABEL_DTYPES:
        raise ShapeError(f"label dtype must be one of {LABEL_DTYPES}, got {dtype}")
    meta = read_meta(storage, scan_name)
    path = f"labels/{label}"
    with store_errors(storage.uri(f"{scan_name}/{path}")):
        storage.remove(f"{scan_name}/{path}")
        if group_attributes(storage, f"{scan_name}/labels") is None:
            empty = {"ome": {"version": OME_VERSION, "labels": []}}
            # Another label of the same scan may be made at this very moment.
            with contextlib.suppress(ContainsGroupError):
                zarr.create_group(
                    zarr_format=3, store=storage.zarr(scan_name), path="labels", attributes=empty
                )
        attributes = {"ome": label_metadata(meta, label, {}), "somray": {"complete": False}}
        zarr.create_group(
            zarr_format=3, store=storage.zarr(scan_name), path=path, attributes=attributes
        )
        create_levels(storage, scan_name, path, meta, str(np.dtype(dtype)))


def write_label_brick(
    storage: Storage, scan_name: str, label: str, brick: Brick, block: NDArray[np.integer[Any]]
) -> None:
    """Write one whole brick (z, y, x) of a label to all levels; see `write_levels`."""
    write_levels(storage, scan_name, f"labels/{label}", brick, block)


def finish_labels(
    storage: Storage,
    scan_name: str,
    label: str,
    classes: Mapping[int, str],
    colors: Mapping[int, tuple[int, int, int, int]] | None = None,
) -> None:
    """Write a label's `image-label` metadata and, with it, its `complete` mark; see `label_metadata`."""
    path = f"labels/{label}"
    ome = label_metadata(read_meta(storage, scan_name), label, classes, colors)
    with store_errors(storage.uri(f"{scan_name}/{path}")):
        group = zarr.open_group(store=storage.zarr(scan_name), path=path, mode="r+")
        group.update_attributes({"ome": ome, "somray": {"complete": True}})


def labels_complete(storage: Storage, scan_name: str, label: str) -> bool:
    """Whether a label stands, all of it."""
    attributes = group_attributes(storage, f"{scan_name}/labels/{label}") or {}
    return attributes.get("somray", {}).get("complete") is True


def label_look(
    storage: Storage, scan_name: str, label: str
) -> tuple[dict[int, str], dict[int, tuple[int, int, int, int]]]:
    """Return what a label's group calls its values, and their colours (red, green, blue, alpha, 0 to 255)."""
    attributes = group_attributes(storage, f"{scan_name}/labels/{label}") or {}
    shown = attributes.get("ome", {}).get("image-label", {})
    names = {int(one["label-value"]): str(one["class"]) for one in shown.get("properties", [])}
    colors = {}
    for one in shown.get("colors", []):
        red, green, blue, alpha = (int(part) for part in one["rgba"])
        colors[int(one["label-value"])] = (red, green, blue, alpha)
    return names, colors


def list_labels(storage: Storage, scan_name: str, names: Sequence[str]) -> None:
    """Name the labels in `labels/zarr.json`, where viewers look for them."""
    with store_errors(storage.uri(f"{scan_name}/labels")):
        ome = {"version": OME_VERSION, "labels": list(names)}
        group = zarr.open_group(
            store=storage.zarr(scan_name), path="labels", mode="a", zarr_format=3
        )
        group.update_attributes({"ome": ome})


def read_label_brick(
    storage: Storage, scan_name: str, label: str, brick: Brick
) -> NDArray[np.integer[Any]]:
    """Read any box of voxels of a label as (z, y, x) in its own type."""
    path = f"labels/{label}/0"
    array = StoredLevel(storage, scan_name, path)
    with store_errors(storage.uri(f"{scan_name}/{path}")):
        return array[(brick.t, *brick.box)]
