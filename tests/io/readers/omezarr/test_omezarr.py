"""OME-Zarr as input: both versions, any axes, units, transformations, channels, stores; and what is no image."""

import json
import shutil

import fsspec
import numcodecs
import numpy as np
import pytest
import zarr
from zarr.codecs import BloscCodec
from zarr.storage import FsspecStore, ZipStore

from somray.domain.geometry import Geometry
from somray.errors import DataError
from somray.io.ome.image import ScanMeta, create_labels, create_scan, finish_labels, finish_scan
from somray.io.readers import open_source
from somray.io.storage import Storage
from tests.slabs import write_label_slab, write_slab

SIZES = {"t": 2, "c": 2, "z": 7, "y": 8, "x": 9}
SCALE = {"z": 3.0, "y": 2.0, "x": 1.5}
TYPES = {"t": "time", "c": "channel"}


def values(axes, dtype=np.uint16):
    return np.random.default_rng(0).integers(0, 999, [SIZES[a] for a in axes]).astype(dtype)


def write(place, data, axes="zyx", version=5, store=None, **said):
    """Write one image; `said` replaces parts of its metadata."""
    unit = said.get("unit", "micrometer")
    named = [
        {"name": a, "type": TYPES.get(a, "space"), **({"unit": unit} if a in SCALE and unit else {})}
        | said.get("axis", {}).get(a, {})
        for a in axes
    ]  # fmt: skip
    scale = [{"type": "scale", "scale": [SCALE.get(a, 1.0) for a in axes]}]
    dataset = {"path": "0", "coordinateTransformations": said.get("dataset", scale)}
    image = {"axes": named, "datasets": [dataset]}
    if "whole" in said:
        image["coordinateTransformations"] = said["whole"]
    ome = {"multiscales": [image]}
    if "channels" in said:
        ome["omero"] = {"channels": [{"label": name} for name in said["channels"]]}
    attributes = {"ome": {"version": "0.5", **ome}} if version == 5 else ome
    group = zarr.create_group(
        store=store or str(place), zarr_format=3 if version == 5 else 2, attributes=attributes
    )
    chunks = said.get("chunks", tuple(min(n, 4) for n in data.shape))
    packs = {5: BloscCodec(), 4: numcodecs.Blosc()}
    packed = {"compressors": packs[version]} if said.get("pack") == "blosc" else {}
    array = group.create_array(
        "0", shape=data.shape, dtype=data.dtype, chunks=chunks, shards=said.get("shards"), **packed
    )
    array[...] = data
    return place


def whole(place):
    with open_source(place) as source:
        source.verify()
        times, slices = source.header.shape[:2]
        found = np.stack([source.read(t, 0, slices) for t in range(times)])
        np.testing.assert_array_equal(source.read(0, slices - 1, slices)[0], found[0, -1])
        return found, source.header


def refused(place):
    with pytest.raises(DataError) as caught, open_source(place) as source:
        source.read(0, 0, source.header.shape[1])
    return caught.value


@pytest.mark.parametrize("version", [4, 5])
@pytest.mark.parametrize("axes", ["tczyx", "czyx", "zyx", "tzyx", "yx", "cyx", "tyx", "xyz"])
def test_any_axes_of_both_versions_are_read(tmp_path, version, axes):
    data = values(axes)
    write(tmp_path / "a.zarr", data, axes, version, channels=["CT", "PET"] if "c" in axes else [])
    place = f"{tmp_path}/a.zarr#channel=PET" if "c" in axes else tmp_path / "a.zarr"
    if "c" in axes:
        data = data.take(1, axes.index("c"))
    rest = axes.replace("c", "")
    data = data.transpose([rest.index(a) for a in "tzyx" if a in rest])
    found, header = whole(place)
    np.testing.assert_array_equal(found.reshape(data.shape), data)
    z = 0.003 if "z" in axes else 0.002
    assert header.geometry.spacing_mm == pytest.approx((z, 0.002, 0.0015))
    assert header.repairs == (() if "z" in axes else ("z_spacing_assumed",))


@pytest.mark.parametrize(
    ("unit", "mm"),
    [
        ("millimeter", 1.0),
        ("nanometer", 1e-6),
        ("meter", 1e3),
        ("inch", 25.4),
        ("angstrom", 1e-7),
        ("um", 1e-3),
    ],
)
def test_units_are_lengths(tmp_path, unit, mm):
    header = whole(write(tmp_path / "a.zarr", values("zyx"), unit=unit))[1]
    assert header.geometry.spacing_mm == pytest.approx((3 * mm, 2 * mm, 1.5 * mm))
    assert header.repairs == ()


@pytest.mark.parametrize("said", [{"unit": None}, {"unit": "pixel"}, {"dataset": []}])
def test_a_size_without_unit_or_scale_is_told(tmp_path, said):
    header = whole(write(tmp_path / "a.zarr", values("zyx"), **said))[1]
    assert header.geometry.spacing_mm == (1.0, 1.0, 1.0)
    assert header.repairs == ("spacing_assumed",)


def test_scale_and_translation_of_dataset_and_image_join(tmp_path):
    dataset = [
        {"type": "scale", "scale": [3.0, 2.0, 1.0]},
        {"type": "translation", "translation": [10.0, 20.0, 30.0]},
    ]
    whole_image = [
        {"type": "scale", "scale": [0.5, 0.5, 0.25]},
        {"type": "translation", "translation": [1.0, 2.0, 3.0]},
    ]
    place = write(
        tmp_path / "a.zarr", values("zyx"), unit="millimeter", dataset=dataset, whole=whole_image
    )
    matrix = whole(place)[1].geometry.matrix
    np.testing.assert_allclose(
        matrix, [[0.25, 0, 0, 10.5], [0, 1.0, 0, 12.0], [0, 0, 1.5, 6.0], [0, 0, 0, 1]]
    )


def test_orientations_of_all_axes_give_the_patients_directions(tmp_path):
    towards = {"z": "superior-to-inferior", "y": "posterior-to-anterior", "x": "right-to-left"}
    axis = {a: {"orientation": {"type": "anatomical", "value": v}} for a, v in towards.items()}
    place = write(tmp_path / "a.zarr", values("zyx"), unit="millimeter", axis=axis)
    np.testing.assert_allclose(whole(place)[1].geometry.matrix, np.diag([1.5, -2.0, -3.0, 1.0]))


@pytest.mark.parametrize(
    "cut", [{"chunks": (7, 3, 3)}, {"chunks": (2, 4, 4), "shards": (4, 8, 12)}]
)
def test_few_chunks_are_decoded_at_a_time(tmp_path, monkeypatch, cut):
    monkeypatch.setattr("somray.io.readers.omezarr.reader.AT_ONCE_BYTES", 200)
    data = values("zyx")
    np.testing.assert_array_equal(whole(write(tmp_path / "a.zarr", data, **cut))[0][0], data)


def test_a_zip_archive_is_read_with_and_without_a_folder_inside(tmp_path):
    data = values("zyx")
    store = ZipStore(str(tmp_path / "a.ozx"), mode="w")
    write("", data, store=store)
    store.close()
    write(tmp_path / "in" / "a.ome.zarr", data)
    shutil.make_archive(str(tmp_path / "b"), "zip", tmp_path / "in")
    for name in ("a.ozx", "b.zip"):
        np.testing.assert_array_equal(whole(tmp_path / name)[0][0], data)


def test_a_url_is_read_in_place():
    data, url = values("zyx"), "memory://omezarr-test/a.zarr"
    write("", data, store=FsspecStore.from_url(url))
    np.testing.assert_array_equal(whole(url)[0][0], data)


def test_bioformats2raw_with_one_image_is_that_image(tmp_path):
    zarr.create_group(
        store=str(tmp_path / "a.zarr"), attributes={"ome": {"bioformats2raw.layout": 3}}
    )
    write(tmp_path / "a.zarr" / "0", values("zyx"))
    np.testing.assert_array_equal(whole(tmp_path / "a.zarr")[0][0], values("zyx"))
    write(tmp_path / "a.zarr" / "1", values("zyx"))
    assert refused(tmp_path / "a.zarr").code == "mixed_series"


@pytest.mark.parametrize(
    ("attributes", "word"),
    [({"ome": {"plate": {}}}, "plate"), ({"ome": {"well": {}}}, "well"), ({"labels": ["a"]}, "label images"),
     ({}, "no OME-Zarr image"), ({"ome": {"multiscales": [{}, {}]}}, "2 images"),
     ({"ome": {"multiscales": [{"coordinateSystems": []}]}}, "0.6"),
     ({"ome": {"multiscales": [{"axes": [{"name": "q"}]}]}}, "axis 'q'"),
     ({"multiscales": [{"axes": "nonsense"}]}, "metadata")],
)  # fmt: skip
def test_what_is_no_single_image_is_named(tmp_path, attributes, word):
    zarr.create_group(store=str(tmp_path / "a.zarr"), attributes=attributes)
    assert word in refused(tmp_path / "a.zarr").message


def test_damage_is_coded(tmp_path):
    chunked = write(tmp_path / "chunk.zarr", values("zyx"))
    chunk = next(p for p in (chunked / "0" / "c").rglob("*") if p.is_file())
    chunk.write_bytes(b"no zstd")
    lost = write(tmp_path / "lost.zarr", values("zyx"))
    shutil.rmtree(lost / "0")
    garbled = write(tmp_path / "json.zarr", values("zyx"))
    (garbled / "zarr.json").write_text("{")
    odd = write(tmp_path / "odd.zarr", values("zyx", np.complex64))
    affine = [{"type": "affine", "affine": []}]
    turned = write(tmp_path / "turned.zarr", values("zyx"), dataset=affine)
    codes = [refused(place).code for place in (chunked, lost, garbled, odd, turned)]
    assert codes == ["unreadable", "missing", "unreadable", "unreadable", "unreadable"]


def test_a_codec_that_is_not_here_is_named(tmp_path):
    place = write(tmp_path / "a.zarr", values("zyx"), version=4)
    told = json.loads((place / "0" / ".zarray").read_text())
    told["compressor"] = {"id": "zfpy", "mode": 4}
    (place / "0" / ".zarray").write_text(json.dumps(told))
    error = refused(place)
    assert (error.code, "zfpy" in error.message) == ("unreadable", True)


@pytest.mark.parametrize(("version", "asked"), [(4, "/"), (4, "."), (5, "/")])
def test_chunks_under_other_names_are_never_read_as_nothing(tmp_path, version, asked):
    place = write(tmp_path / "a.zarr", values("zyx"), version=version)
    whole(place)
    chunks = [p for p in (place / "0").rglob("*") if p.is_file() and p.name[0].isdecimal()]
    for chunk in chunks:
        name = ".".join(chunk.relative_to(place / "0").parts).removeprefix("c.")
        chunk.rename(place / "0" / name)
    if version == 4:
        told = json.loads((place / "0" / ".zarray").read_text())
        (place / "0" / ".zarray").write_text(json.dumps(told | {"dimension_separator": asked}))
    if asked == ".":
        np.testing.assert_array_equal(whole(place)[0][0], values("zyx"))
        return
    error = refused(place)
    assert (error.code, "named like" in error.message) == ("unreadable", True)


def test_an_image_of_nothing_but_its_fill_value_is_read(tmp_path):
    assert not whole(write(tmp_path / "a.zarr", values("zyx") * 0))[0].any()


@pytest.mark.parametrize(
    ("version", "said"), [(4, {}), (5, {}), (5, {"chunks": (1, 2, 4, 4), "shards": (1, 4, 4, 4)})]
)
def test_chunks_that_a_copy_lost_are_counted_for_the_channel_that_is_read(tmp_path, version, said):
    said = {"chunks": (1, 4, 4, 4), "channels": ["a", "b"], **said}
    place = write(tmp_path / "a.zarr", values("czyx"), axes="czyx", version=version, **said)
    with open_source(f"{place}#channel=b") as source:
        assert source.absent() == ""
    encode = zarr.open_array(place / "0", mode="r").metadata.encode_chunk_key
    (place / "0" / encode((1, 0, 0, 0))).unlink()
    counts = [-(-SIZES[axis] // 4) for axis in "zyx"]
    with open_source(f"{place}#channel=b") as source:
        assert source.absent().startswith(f"1 of its {np.prod(counts)} chunks are not there")
        assert not source.read(0, 0, 4)[:, :4, :4].any()
    with open_source(f"{place}#channel=a") as source:
        assert source.absent() == ""


def test_chunks_of_archives_and_urls_are_counted_too(tmp_path):
    data, url = values("zyx"), "memory://omezarr-test/lost.zarr"
    write("", data, store=FsspecStore.from_url(url))
    place = write(tmp_path / "a.zarr", data)
    fsspec.filesystem("memory").rm("/omezarr-test/lost.zarr/0/c/0/0/0")
    (place / "0/c/0/0/0").unlink()
    shutil.make_archive(str(tmp_path / "a"), "zip", place)
    for one in (place, tmp_path / "a.zip", url):
        with open_source(one) as source:
            assert source.absent().startswith("1 of its ")


@pytest.mark.parametrize("version", [4, 5])
@pytest.mark.parametrize("kept", [0, 12, 40, -1])
def test_a_chunk_cut_short_is_never_filled_from_elsewhere(tmp_path, version, kept):
    noise = np.random.default_rng(0).bytes(np.prod(SIZES["z"] * SIZES["y"] * SIZES["x"]))
    data = np.frombuffer(noise, np.uint8).reshape(SIZES["z"], SIZES["y"], SIZES["x"])
    place = write(tmp_path / "a.zarr", data, version=version, chunks=data.shape, pack="blosc")
    np.testing.assert_array_equal(whole(place)[0][0], data)
    (chunk,) = [p for p in (place / "0").rglob("*") if p.is_file() and p.name[0].isdecimal()]
    chunk.write_bytes(chunk.read_bytes()[:kept])
    error = refused(place)
    assert (error.code, "ends early" in error.message) == ("truncated", True)


def test_a_chunk_beyond_a_tasks_memory_is_refused_before_it_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr("somray.io.readers.omezarr.reader.MOST_BYTES", 100)
    assert refused(write(tmp_path / "a.zarr", values("zyx"))).code == "too_large"


def oblique_scan(root):
    """Write a scan of two channels, and a label, as a run holds them."""
    matrix = np.eye(4)
    matrix[:3, :3] = np.array([[0.8, -0.6, 0], [0.6, 0.8, 0], [0, 0, 1]]) @ np.diag([0.5, 0.7, 2.0])
    matrix[:3, 3] = [5.0, -6.0, 7.0]
    meta = ScanMeta(
        (1, 2, 3, 4, 5), Geometry.from_matrix((3, 4, 5), matrix), ("CT", "PET"), "HU,SUVbw",
        repairs=("padding_filled",),
    )  # fmt: skip
    data = np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype(np.float32)
    data[1, 0, 0, 0] = np.nan
    storage = Storage.at(root)
    create_scan(storage, "a.ome.zarr", meta)
    write_slab(storage, "a.ome.zarr", 0, 0, data)
    return storage, meta, data


def test_scans_of_a_run_keep_affine_unit_and_no_data(tmp_path):
    storage, meta, data = oblique_scan(tmp_path)
    assert refused(f"{tmp_path}/a.ome.zarr#channel=PET").code == "truncated"  # not finished
    finish_scan(storage, "a.ome.zarr", meta)
    found, header = whole(f"{tmp_path}/a.ome.zarr#channel=PET")
    np.testing.assert_array_equal(found[0], data[1])
    np.testing.assert_allclose(header.geometry.matrix, meta.geometry.matrix)
    assert (header.unit, header.outside_is_nan, header.repairs) == (
        "SUVbw",
        True,
        ("padding_filled",),
    )


def test_labels_of_a_run_lie_where_their_oblique_scan_lies(tmp_path):
    storage, meta, _ = oblique_scan(tmp_path)
    finish_scan(storage, "a.ome.zarr", meta)
    create_labels(storage, "a.ome.zarr", "som", "uint8")
    labels = np.random.default_rng(0).integers(0, 4, (3, 4, 5))
    write_label_slab(storage, "a.ome.zarr", "som", 0, 0, labels)
    finish_labels(storage, "a.ome.zarr", "som", {3: "lesion"})
    found, header = whole(tmp_path / "a.ome.zarr" / "labels" / "som")
    np.testing.assert_array_equal(found[0], labels)
    np.testing.assert_allclose(header.geometry.matrix, meta.geometry.matrix)
