"""The pixel arrays of a scan's OME-Zarr group: made, written brick by brick, read.

One zarr v3 array per pyramid level. A chunk is one slice (larger slices are cut into 2048 × 2048), a shard
is one brick with all its channels. Two tasks that write one shard lose data silently (zarr-python #3682),
so `write_levels` refuses anything but whole bricks; distinct bricks may be written at the same time.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import BloscCodec

from somray.domain.brick import Brick
from somray.errors import ShapeError, StoreError
from somray.io.ome.metadata import ScanMeta, level_shapes, tile_shape
from somray.io.ome.shards import Shape, stored_layout, write_shard
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
        plain = error.strerror if isinstance(error, OSError) else None
        raise StoreError(f"{place}: {plain or f'{type(error).__name__}: {error}'}") from error


def create_levels(
    storage: Storage, scan_name: str, path: str, meta: ScanMeta, label_dtype: str | None = None,
    first: int = 0,
) -> None:  # fmt: skip
    """Make the empty arrays of all levels.

    Args:
        storage: where the run lies.
        scan_name: the scan's group.
        path: prefix of the arrays inside the group, "" for the image.
        meta: the scan.
        label_dtype: integer type of a label (t, z, y, x); None makes the float32 image (t, c, z, y, x).
        first: level to begin with.
    """
    is_label = label_dtype is not None
    lead = (meta.shape[0],) if is_label else meta.shape[:2]
    plane = meta.shape[3:]
    tile = tile_shape((meta.shape[1], *plane))
    for level, (rows, columns) in enumerate(level_shapes(*plane)):
        if level < first:
            continue
        part = (
            rows if tile[0] == plane[0] else tile[0] >> level,
            columns if tile[1] == plane[1] else tile[1] >> level,
        )
        chunk = (min(part[0], CHUNK_PIXELS), min(part[1], CHUNK_PIXELS))
        whole = (-(-part[0] // chunk[0]) * chunk[0], -(-part[1] // chunk[1]) * chunk[1])
        document = _description(
            shape=(*lead, meta.shape[2], rows, columns),
            chunks=(1,) * (len(lead) + 1) + chunk,
            shards=(1, *lead[1:], meta.slab_depth, *whole),
            dtype=label_dtype or "float32",
        )
        storage.write_bytes(f"{scan_name}/{path}/{level}/zarr.json".replace("//", "/"), document)


@lru_cache(maxsize=256)
def _description(
    shape: tuple[int, ...], chunks: tuple[int, ...], shards: tuple[int, ...], dtype: str
) -> bytes:
    """Have zarr describe an empty array, of the image or of a label, as (t, c, z, y, x) or (t, z, y, x)."""
    is_label = len(shape) == 4
    made: dict[str, Any] = {}  # Any: zarr's buffers
    zarr.create_array(
        store=zarr.storage.MemoryStore(made),
        shape=shape,
        chunks=chunks,
        shards=shards,
        dtype=dtype,
        compressors=BloscCodec(cname="zstd", clevel=3, shuffle="bitshuffle"),
        fill_value=0 if is_label else float("nan"),
        dimension_names=_AXES[:1] + _AXES[2:] if is_label else _AXES,
    )
    return bytes(made["zarr.json"].to_bytes())


def open_level(storage: Storage, scan_name: str, path: str) -> zarr.Array[Any]:
    """Open one array of a scan, e.g. path "0" or "labels/som/0".

    Raises:
        StoreError: there is none, or it cannot be read.
    """
    place = storage.uri(f"{scan_name}/{path}")
    with store_errors(place):
        store = storage.zarr(scan_name, read_only=True)
        return zarr.open_array(store=store, path=path, mode="r")


def _mean_half(plane: NDArray[np.float32]) -> NDArray[np.float32]:
    """Halve one (y, x) plane: mean of each 2 × 2, NaN left out; odd edges average what is there."""
    rows, columns = plane.shape
    if not (rows % 2 or columns % 2) and np.isfinite(plane.min()) and np.isfinite(plane.max()):
        # The same sum in the same order, without looking for what is missing.
        whole = np.add(plane[0::2, 0::2], plane[0::2, 1::2], dtype=np.float64)
        whole += plane[1::2, 0::2]
        whole += plane[1::2, 1::2]
        return np.asarray(whole / 4, dtype=np.float32)
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
    storage: Storage, scan_name: str, path: str, brick: Brick, block: NDArray[Any], first: int = 0
) -> None:
    """Write one whole brick to all levels.

    Args:
        storage: where the run lies.
        scan_name: the scan's group.
        path: prefix of the arrays inside the group, "" for the image.
        brick: one of the scan's own (`ScanMeta.bricks`).
        block: (c, z, y, x) of the image or (z, y, x) of a label: all that the brick holds.
        first: level to begin with; what lies before is not ours.

    Raises:
        ShapeError: there is no such brick, or the block is another size.
        StoreError: it cannot be written.
    """
    group = f"{scan_name}/{path}".rstrip("/")
    y0, x0 = brick.y0, brick.x0
    with store_errors(storage.uri(group)):
        shape = _check_brick(storage, group, brick, block) if first == 0 else ()
        shape = shape or open_level(storage, group, "0").shape
        for level in range(len(level_shapes(int(shape[-2]), int(shape[-1])))):
            if level > 0:
                block, y0, x0 = _half(block), y0 // 2, x0 // 2
            if level < first:
                continue
            layout = stored_layout(storage, f"{group}/{level}")
            block = np.ascontiguousarray(block, dtype=layout.dtype)
            corner = (brick.t, *(0,) * (block.ndim - 3), brick.z0, y0, x0)
            write_shard(storage, f"{group}/{level}", corner, block[None], layout)


def _check_brick(storage: Storage, group: str, brick: Brick, block: NDArray[Any]) -> Shape:
    """Refuse what is not exactly one shard; returns the shape of the full level."""
    layout = stored_layout(storage, f"{group}/0")
    shape, shard = layout.shape, layout.shard[-3:]
    corner, size = brick.corner, shape[-3:]
    begins = all(0 <= c < n and c % s == 0 for c, n, s in zip(corner, size, shard, strict=True))
    if not (begins and 0 <= brick.t < shape[0]):
        raise ShapeError(f"no brick begins at t={brick.t}, {corner}; they have {shard} of {shape}")
    wanted = tuple(min(s, n - c) for c, n, s in zip(corner, size, shard, strict=True))
    expected = (*shape[1:-3], *wanted)
    if tuple(block.shape) != expected or brick.shape != wanted:
        raise ShapeError(
            f"the brick at t={brick.t}, {corner} must have shape {expected}, got {block.shape}"
        )
    return shape
