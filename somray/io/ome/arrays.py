"""The pixel arrays of a scan's OME-Zarr group: made, written slab by slab, read.

One zarr v3 array per pyramid level. A chunk is one slice (larger slices are cut into 2048 × 2048), a shard
is one slab with all its channels. Two tasks that write one shard lose data silently (zarr-python #3682),
so `write_levels` refuses anything but whole slabs; distinct slabs may be written at the same time.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import BloscCodec

from somray.errors import ShapeError, StoreError
from somray.io.ome.metadata import ScanMeta, level_shapes
from somray.io.storage import Storage

__all__ = ["create_levels", "open_level", "store_errors", "write_levels"]

CHUNK_PIXELS = 2048
_AXES = ("t", "c", "z", "y", "x")


@contextmanager
def store_errors(place: str) -> Iterator[None]:
    """Turn what storage and zarr raise into `StoreError` with the place in front."""
    try:
        yield
    except (OSError, KeyError, ValueError) as error:
        if isinstance(error, ShapeError):
            raise
        raise StoreError(f"{place}: {type(error).__name__}: {error}") from error


def create_levels(
    storage: Storage, scan_name: str, path: str, meta: ScanMeta, label_dtype: str | None = None
) -> None:
    """Make the empty arrays of all levels.

    Args:
        storage: where the run lies.
        scan_name: the scan's group.
        path: prefix of the arrays inside the group, "" for the image.
        meta: the scan.
        label_dtype: integer type of a label (t, z, y, x); None makes the float32 image (t, c, z, y, x).
    """
    is_label = label_dtype is not None
    lead = (meta.shape[0],) if is_label else meta.shape[:2]
    for level, (rows, columns) in enumerate(level_shapes(*meta.shape[3:])):
        chunk = (min(rows, CHUNK_PIXELS), min(columns, CHUNK_PIXELS))
        whole = (-(-rows // chunk[0]) * chunk[0], -(-columns // chunk[1]) * chunk[1])
        # zarr's overloads cannot see that both branches give equal lengths
        zarr.create_array(
            store=storage.zarr(scan_name),
            name=f"{path}/{level}".lstrip("/"),
            shape=(*lead, meta.shape[2], rows, columns),
            chunks=(1,) * (len(lead) + 1) + chunk,
            shards=(1, *lead[1:], meta.slab_depth, *whole),
            dtype=label_dtype or "float32",
            compressors=BloscCodec(cname="zstd", clevel=3, shuffle="bitshuffle"),
            fill_value=0 if is_label else float("nan"),
            dimension_names=_AXES[:1] + _AXES[2:] if is_label else _AXES,
        )


def open_level(
    storage: Storage, scan_name: str, path: str, *, write: bool = False
) -> zarr.Array[Any]:
    """Open one array of a scan, e.g. path "0" or "labels/som/0".

    Raises:
        StoreError: there is none, or it cannot be read.
    """
    place = storage.uri(f"{scan_name}/{path}")
    with store_errors(place):
        store = storage.zarr(scan_name, read_only=not write)
        return zarr.open_array(store=store, path=path, mode="r+" if write else "r")


def _mean_half(plane: NDArray[np.float32]) -> NDArray[np.float32]:
    """Halve one (y, x) plane: mean of each 2 × 2, NaN left out; odd edges average what is there."""
    rows, columns = plane.shape
    padded = np.pad(plane, ((0, rows % 2), (0, columns % 2)), constant_values=np.nan)
    four = np.stack(
        [padded[0::2, 0::2], padded[0::2, 1::2], padded[1::2, 0::2], padded[1::2, 1::2]]
    )
    known = np.isfinite(four)
    count = known.sum(axis=0)
    total = np.where(known, four, np.float32(0)).sum(axis=0, dtype=np.float64)
    mean = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
    return np.asarray(mean, dtype=np.float32)


def _half(block: NDArray[Any]) -> NDArray[Any]:
    """Halve y and x of a block (..., y, x): mean for floats, nearest for integers."""
    if block.dtype.kind != "f":
        return np.ascontiguousarray(block[..., ::2, ::2])
    planes = block.reshape(-1, *block.shape[-2:])
    halves = np.stack([_mean_half(plane) for plane in planes])
    return np.asarray(halves.reshape(*block.shape[:-2], *halves.shape[-2:]))


def write_levels(
    storage: Storage, scan_name: str, path: str, t: int, z0: int, block: NDArray[Any]
) -> None:
    """Write one whole slab to all levels.

    Args:
        storage: where the run lies.
        scan_name: the scan's group.
        path: prefix of the arrays inside the group, "" for the image.
        t: time index.
        z0: first slice of the slab, a multiple of the slab depth.
        block: (c, z, y, x) of the image or (z, y, x) of a label: all slices of the slab.

    Raises:
        ShapeError: the block is not exactly one slab.
        StoreError: it cannot be written.
    """
    array = open_level(storage, scan_name, f"{path}/0".lstrip("/"), write=True)
    _check_slab(array, t, z0, block)
    slab = slice(z0, z0 + block.shape[-3])
    for level in range(len(level_shapes(int(array.shape[-2]), int(array.shape[-1])))):
        if level > 0:
            array = open_level(storage, scan_name, f"{path}/{level}".lstrip("/"), write=True)
            block = _half(block)
        block = np.ascontiguousarray(block, dtype=array.dtype)
        with store_errors(storage.uri(f"{scan_name}/{path}")):
            array[t, ..., slab, :, :] = block


def _check_slab(array: zarr.Array[Any], t: int, z0: int, block: NDArray[Any]) -> None:
    shards = array.shards
    depth = int(shards[-3]) if shards else 1
    size_z = int(array.shape[-3])
    expected = (*array.shape[1:-3], min(depth, size_z - z0), *array.shape[-2:])
    if not (0 <= t < array.shape[0] and 0 <= z0 < size_z and z0 % depth == 0):
        raise ShapeError(
            f"no slab begins at t={t}, z={z0}; slabs of {depth} slices, {array.shape} voxels"
        )
    if tuple(block.shape) != tuple(expected):
        raise ShapeError(f"slab at z={z0} must have shape {expected}, got {block.shape}")
