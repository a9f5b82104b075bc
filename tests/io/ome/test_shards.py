"""Shards written at once hold the bytes that zarr writes."""

import numpy as np
import pytest
import zarr
from zarr.codecs import BloscCodec

from somray.io.ome.shards import stored_layout, write_shard
from somray.io.storage import Storage


def arrays(tmp_path, shape, chunks, shards, dtype):
    """Make the same empty array twice."""
    return [
        zarr.create_array(
            store=str(tmp_path / name / "0"),
            shape=shape,
            chunks=chunks,
            shards=shards,
            dtype=dtype,
            compressors=BloscCodec(cname="zstd", clevel=3, shuffle="bitshuffle"),
            fill_value=float("nan") if dtype == "float32" else 0,
        )
        for name in ("own", "zarr")
    ]


def write(tmp_path, corner, block):
    storage = Storage.at(tmp_path)
    write_shard(storage, "own/0", corner, block, stored_layout(storage, "own/0"))


def files(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


CASES = [
    ((2, 2, 5, 30, 41), (1, 1, 1, 30, 41), (1, 2, 4, 30, 41), "float32"),
    ((1, 7, 50, 70), (1, 1, 16, 16), (1, 4, 32, 48), "uint8"),
    ((1, 3, 33, 20), (1, 1, 33, 20), (1, 2, 33, 20), "uint16"),
    ((1, 2, 20, 20), (1, 1, 20, 20), (1, 1, 20, 20), "int32"),
]


@pytest.mark.parametrize(("shape", "chunks", "shards", "dtype"), CASES)
def test_the_files_are_those_of_zarr(tmp_path, shape, chunks, shards, dtype):
    own, other = arrays(tmp_path, shape, chunks, shards, dtype)
    whole = np.random.default_rng(0).integers(0, 200, shape).astype(dtype)
    whole[:, ..., :1, :17, :] = own.fill_value  # some chunks hold nothing
    counts = [-(-n // s) for n, s in zip(shape, shards, strict=True)]
    for place in np.ndindex(*counts):
        corner = tuple(n * s for n, s in zip(place, shards, strict=True))
        box = tuple(slice(c, c + s) for c, s in zip(corner, shards, strict=True))
        write(tmp_path, corner, whole[box])
        other[box] = whole[box]
    assert np.array_equal(own[:], whole, equal_nan=dtype == "float32")
    assert files(tmp_path / "own") == files(tmp_path / "zarr")


def test_a_shard_of_nothing_leaves_no_file(tmp_path):
    own, other = arrays(tmp_path, (1, 4, 9, 9), (1, 1, 9, 9), (1, 4, 9, 9), "uint8")
    full = np.ones((1, 4, 9, 9), np.uint8)
    for array in (own, other):
        array[:] = full
    write(tmp_path, (0, 0, 0, 0), full * 0)
    other[:] = full * 0
    assert files(tmp_path / "own") == files(tmp_path / "zarr")
    assert not own[:].any()
