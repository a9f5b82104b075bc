"""What lies on disk of a zarr array, described as zarr v3 describes an image of (t, c, z, y, x).

Axes that the array lacks are added with length one. zarr v2 is said in the words of v3: its chunks are the same
bytes wherever they are packed by Blosc, Zstandard or gzip, or not at all.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from zarr.storage import LocalStore

from somray.io.ome.links import StoredArray

__all__ = ["stored_array"]

AXES = "tczyx"
_SHUFFLES = {0: "noshuffle", 1: "shuffle", 2: "bitshuffle", -1: "bitshuffle"}

Json = dict[str, Any]


def stored_array(array: Any, axes: str, channel: int) -> StoredArray | None:  # Any: zarr's arrays
    """Return one channel of an array; None where it is not on a disk of this machine, or packed in another way."""
    store = array.store_path.store.inner
    if not isinstance(store, LocalStore) or list(axes) != [a for a in AXES if a in axes]:
        return None
    folder = Path(store.root, str(array.path)).resolve()
    document = _v3(folder) if array.metadata.zarr_format == 3 else _v2(folder)
    wide = None if document is None else _with_all_axes(document, axes)
    if wide is None:
        return None

    def file(number: tuple[int, int, int, int]) -> Path:
        along = dict(zip("tzyx", number, strict=True)) | {"c": channel}
        key: str = array.metadata.encode_chunk_key(tuple(along[a] for a in axes))
        return folder / key

    return StoredArray(wide, file)


def _v3(folder: Path) -> Json | None:
    told: Json = json.loads((folder / "zarr.json").read_text())
    kept = ("zarr_format", "node_type", "shape", "data_type", "chunk_grid", "fill_value", "codecs")
    is_plain = told["chunk_grid"]["name"] == "regular" and not told.get("storage_transformers")
    return {key: told[key] for key in kept} if is_plain else None


def _v2(folder: Path) -> Json | None:
    told: Json = json.loads((folder / ".zarray").read_text())
    packing = _packing(told.get("compressor"))
    if packing is None or told.get("filters") or told["order"] != "C":
        return None
    dtype = np.dtype(told["dtype"])
    endian = "big" if told["dtype"].startswith(">") else "little"
    return {
        "zarr_format": 3,
        "node_type": "array",
        "shape": told["shape"],
        "data_type": dtype.name,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": told["chunks"]}},
        "fill_value": told["fill_value"] or 0.0,
        "codecs": [{"name": "bytes", "configuration": {"endian": endian}}, *packing],
    }


def _packing(told: Mapping[str, Any] | None) -> list[Json] | None:
    """Say a compressor of zarr v2 in the words of v3; None where v3 has none."""
    if told is None:
        return []
    if told["id"] == "blosc":
        settings = {
            "cname": told["cname"], "clevel": told["clevel"], "shuffle": _SHUFFLES[told["shuffle"]],
            "typesize": 4, "blocksize": told.get("blocksize", 0),
        }  # fmt: skip
        return [{"name": "blosc", "configuration": settings}]
    if told["id"] == "zstd":
        settings = {"level": told["level"], "checksum": bool(told.get("checksum", False))}
        return [{"name": "zstd", "configuration": settings}]
    if told["id"] == "gzip":
        return [{"name": "gzip", "configuration": {"level": told["level"]}}]
    return None


def _with_all_axes(document: Json, axes: str) -> Json | None:
    """Add the axes that are not there; None where a file holds several channels."""
    grid = _widened(document["chunk_grid"]["configuration"]["chunk_shape"], axes)
    if grid[1] != 1:
        return None
    shape = _widened(document["shape"], axes)
    return {
        **document,
        "shape": [shape[0], 1, *shape[2:]],
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": grid}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "codecs": [_codec_with_all_axes(codec, axes) for codec in document["codecs"]],
        "attributes": {},
        "dimension_names": list(AXES),
    }


def _codec_with_all_axes(codec: Json, axes: str) -> Json:
    if codec["name"] != "sharding_indexed":
        return codec
    inner = codec["configuration"]
    chunk = _widened(inner["chunk_shape"], axes)
    codecs = [_codec_with_all_axes(one, axes) for one in inner["codecs"]]
    return {**codec, "configuration": {**inner, "chunk_shape": chunk, "codecs": codecs}}


def _widened(sizes: list[int], axes: str) -> list[int]:
    along = dict(zip(axes, sizes, strict=True))
    return [along.get(axis, 1) for axis in AXES]
