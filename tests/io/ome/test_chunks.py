"""Boxes read without zarr's machinery are those that zarr reads; what is not of our kind is left to zarr."""

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from zarr.codecs import BloscCodec, GzipCodec

from somray.errors import StoreError
from somray.io.ome import chunks
from somray.io.ome.arrays import open_level, store_errors
from somray.io.ome.chunks import StoredLevel
from somray.io.storage import Storage

KINDS = {
    "image": ((2, 2, 7, 30, 41), (1, 1, 1, 30, 41), (1, 2, 4, 30, 41), "float32"),
    "labels": ((1, 7, 50, 70), (1, 1, 16, 16), (1, 4, 32, 48), "uint8"),
    "pieces": ((3, 9, 20, 20), (1, 5, 10, 10), (3, 5, 10, 10), "int32"),
}


def made(root, kind, packed=None):
    """Write an array with a shard and some chunks that hold nothing; return its values too."""
    shape, chunk, shard, dtype = KINDS[kind]
    fill = float("nan") if dtype == "float32" else 0
    array = zarr.create_array(
        store=f"{root}/a/0", shape=shape, chunks=chunk, shards=shard, dtype=dtype, fill_value=fill,
        compressors=packed or BloscCodec(cname="zstd", clevel=3, shuffle="bitshuffle"),
    )  # fmt: skip
    values = np.random.default_rng(0).integers(0, 200, shape).astype(dtype)
    values[..., 4:, :, :] = fill
    values[0, ..., -1:, : chunk[-2], : chunk[-1]] = 5
    values[..., :1, :17, :16] = fill
    array[...] = values
    return values


@pytest.fixture(scope="module", params=KINDS)
def stored(request, tmp_path_factory):
    place = tmp_path_factory.mktemp("stored")
    return Storage.at(place), made(place, request.param)


@pytest.fixture
def no_zarr(monkeypatch):
    """Have zarr refuse to open."""

    def refused(*_):
        raise AssertionError

    monkeypatch.setattr(chunks, "open_level", refused)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(data=st.data())
def test_any_box_is_what_zarr_reads(stored, data):
    storage, values = stored
    ends = st.one_of(st.none(), st.integers(-9, 60))
    axis = st.builds(slice, ends, ends)
    key = tuple(
        data.draw(st.one_of(axis, st.integers(0, n - 1)))
        for n in values.shape[: data.draw(st.integers(1, values.ndim))]
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chunks, "open_level", None)
        found = StoredLevel(storage, "a", "0")[key]
    expected = np.asarray(open_level(storage, "a", "0")[key])
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(found, values[key])
    assert found.flags.writeable


def test_an_array_says_its_shape_and_type(stored, no_zarr):
    storage, values = stored
    level = StoredLevel(storage, "a", "0")
    assert (level.shape, level.dtype) == (values.shape, values.dtype)
    np.testing.assert_array_equal(level[0], values[0])


def test_another_codec_and_a_url_are_left_to_zarr(tmp_path):
    values = made(tmp_path, "labels", GzipCodec())
    np.testing.assert_array_equal(
        StoredLevel(Storage.at(tmp_path), "a", "0")[0, 2:5], values[0, 2:5]
    )
    far = Storage.at("memory://somray-chunks")
    zarr.create_array(store=far.zarr("a"), name="0", data=values)
    np.testing.assert_array_equal(StoredLevel(far, "a", "0")[0, 2:5], values[0, 2:5])


def test_steps_and_places_from_the_end_are_left_to_zarr(stored):
    storage, values = stored
    level = StoredLevel(storage, "a", "0")
    np.testing.assert_array_equal(level[0, :, ::2], values[0, :, ::2])
    np.testing.assert_array_equal(level[-1], values[-1])
    with pytest.raises(IndexError):
        level[9]


@pytest.mark.parametrize("spoil", ["checksum", "chunk", "short"])
def test_a_damaged_shard_is_told_as_zarr_tells_it(tmp_path, spoil):
    made(tmp_path, "labels")
    path = tmp_path / "a/0/c/0/0/0/0"
    data = bytearray(path.read_bytes())
    if spoil == "checksum":
        data[-9] ^= 1
    elif spoil == "chunk":
        data[:40] = bytes(40)
    path.write_bytes(data[: -30 if spoil == "short" else None])
    storage = Storage.at(tmp_path)
    with pytest.raises(Exception) as expected:  # noqa: PT011  # whatever zarr raises
        open_level(storage, "a", "0")[0]
    with pytest.raises(
        type(expected.value), match="^" + str(expected.value)[:20].replace("(", ".")
    ):
        StoredLevel(storage, "a", "0")[0]


def test_an_array_that_is_not_there_and_a_link_to_nothing_are_refused(tmp_path):
    storage = Storage.at(tmp_path)
    with pytest.raises(StoreError, match="a/0"):
        StoredLevel(storage, "a", "0")
    made(tmp_path, "labels")
    path = tmp_path / "a/0/c/0/0/0/0"
    path.unlink()
    path.symlink_to(tmp_path / "nowhere")
    with pytest.raises(StoreError, match="is gone"), store_errors("a"):
        StoredLevel(storage, "a", "0")[0]
