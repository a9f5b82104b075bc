import json

import numpy as np
import pytest
import zarr
from ome_zarr_models.v05 import Image, ImageLabel, Labels

from somray.domain.geometry import Geometry
from somray.domain.palette import class_rgba
from somray.errors import ShapeError, StoreError
from somray.io.ome import image as ome_zarr
from somray.io.ome import labels as ome_labels
from somray.io.ome.image import ScanMeta
from somray.io.storage import Storage
from tests.slabs import read_label_slab, write_label_slab, write_slab

NAME = "scans/sub-a_ses-b.ome.zarr"
SHAPE = (2, 2, 35, 262, 21)


@pytest.fixture(params=["local", "memory"])
def storage(request, tmp_path):
    place = tmp_path if request.param == "local" else f"memory://{tmp_path.name}"
    return Storage.at(place)


def make_meta(shape=SHAPE, matrix=None):
    grid = np.diag([1.5, 1.0, 3.0, 1.0]) if matrix is None else matrix
    geometry = Geometry.from_matrix(shape[2:], grid)
    channels = ("CT", "PET")[: shape[1]]
    windows = ((-1000.0, 400.0), None)[: shape[1]]
    return ScanMeta(shape, geometry, channels, "HU,SUVbw", "abc", windows, ("nan_filled",))


def random_image(shape=SHAPE, seed=0):
    image = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    image[..., :9, :7] = np.nan
    return image


def write(storage, meta, image, *, finish=True):
    ome_zarr.create_scan(storage, NAME, meta)
    for t in range(meta.shape[0]):
        for z0, z1 in meta.slabs:
            write_slab(storage, NAME, t, z0, image[t, :, z0:z1])
    if finish:
        ome_zarr.finish_scan(storage, NAME, meta)


def write_label(storage, meta, labels, name="som", classes=None):
    ome_zarr.create_labels(storage, NAME, name, str(labels.dtype))
    for t in range(meta.shape[0]):
        for z0, z1 in meta.slabs:
            write_label_slab(storage, NAME, name, t, z0, labels[t, z0:z1])
    ome_zarr.finish_labels(storage, NAME, name, classes or {})


def test_a_persons_setting_of_zarr_does_not_change_the_format(tmp_path):
    storage, meta = Storage.at(tmp_path), make_meta((1, 1, 2, 8, 9))
    with zarr.config.set(default_zarr_format=2):
        write(storage, meta, np.ones(meta.shape, dtype=np.float32))
        write_label(storage, meta, np.ones((1, 2, 8, 9), dtype=np.uint8))
        ome_labels.list_labels(storage, NAME, ["som"])
    assert not list(tmp_path.rglob(".z*"))
    assert zarr.open_group(str(tmp_path / NAME), mode="r")["labels"].attrs["ome"]["labels"] == [
        "som"
    ]


def test_what_is_written_is_read_back_any_slices_and_the_meta_too(storage):
    meta, image = make_meta(), random_image()
    write(storage, meta, image)
    np.testing.assert_array_equal(ome_zarr.read_slab(storage, NAME, 1, 3, 34), image[1, :, 3:34])
    assert ome_zarr.read_meta(storage, NAME) == meta


def test_a_scan_is_complete_only_after_finish(storage):
    meta = make_meta((1, 1, 2, 8, 8))
    assert not ome_zarr.is_complete(storage, NAME)
    write(storage, meta, random_image(meta.shape), finish=False)
    assert not ome_zarr.is_complete(storage, NAME)
    with pytest.raises(StoreError, match="not complete"):
        ome_zarr.read_meta(storage, NAME)
    ome_zarr.finish_scan(storage, NAME, meta)
    assert ome_zarr.is_complete(storage, NAME)


def test_making_a_scan_again_removes_mark_and_labels(storage):
    meta = make_meta((1, 1, 2, 8, 8))
    write(storage, meta, random_image(meta.shape))
    write_label(storage, meta, np.ones((1, 2, 8, 8), np.uint8))
    ome_zarr.create_scan(storage, NAME, meta)
    assert not ome_zarr.is_complete(storage, NAME)
    assert not ome_zarr.labels_complete(storage, NAME, "som")
    assert np.isnan(ome_zarr.read_slab(storage, NAME, 0, 0, 2)).all()


def test_the_slab_depth_is_a_power_of_two_within_64_mib():
    assert ome_zarr.slab_depth((1, 512, 512)) == 32
    assert ome_zarr.slab_depth((2, 512, 512)) == 32
    assert ome_zarr.slab_depth((1, 1024, 1025)) == 8
    assert ome_zarr.slab_depth((3, 20000, 20000)) == 1  # tiles
    for shape in [(1, 700, 700), (2, 333, 900), (5, 512, 512)]:
        depth = ome_zarr.slab_depth(shape)
        assert (
            depth * np.prod(shape) * 4 <= 64 * 2**20 < 2 * depth * np.prod(shape) * 4 or depth == 32
        )


def test_slabs_cover_every_slice_once():
    assert ome_zarr.slabs(35, 16) == [(0, 16), (16, 32), (32, 35)]
    assert ome_zarr.slabs(1, 32) == [(0, 1)]


def test_one_slab_is_one_file_per_level_and_larger_slices_are_cut(tmp_path):
    storage, meta = Storage.at(tmp_path), make_meta((1, 1, 3, 2500, 30))
    write(storage, meta, random_image(meta.shape))
    files = [p for p in (tmp_path / NAME / "0" / "c").rglob("*") if p.is_file()]
    assert len(files) == len(meta.slabs) == 1
    array = zarr.open_array(store=storage.zarr(NAME), path="0", mode="r")
    assert array.chunks == (1, 1, 1, 2048, 30)
    assert not list((tmp_path / NAME).rglob("*.zmetadata"))
    assert "consolidated_metadata" not in json.loads((tmp_path / NAME / "zarr.json").read_text())


def test_the_codec_is_blosc_zstd_bitshuffle(tmp_path):
    storage, meta = Storage.at(tmp_path), make_meta((1, 1, 2, 8, 8))
    write(storage, meta, random_image(meta.shape))
    text = (tmp_path / NAME / "0" / "zarr.json").read_text()
    assert '"zstd"' in text
    assert '"bitshuffle"' in text
    assert '"sharding_indexed"' in text


def test_the_same_scan_gives_the_same_bytes(tmp_path):
    meta, image = make_meta(), random_image()
    found = []
    for name in ("one", "two"):
        storage = Storage.at(tmp_path / name)
        write(storage, meta, image)
        files = sorted(p for p in (tmp_path / name).rglob("*") if p.is_file())
        found.append([(p.relative_to(tmp_path / name), p.read_bytes()) for p in files])
    assert found[0] == found[1]


def test_pyramid_levels_are_means_that_leave_out_nan():
    storage, meta = Storage.at("memory://pyramid"), make_meta((1, 1, 1, 5, 300))
    image = np.arange(1500, dtype=np.float32).reshape(meta.shape)
    image[0, 0, 0, 0, 0] = np.nan
    image[0, 0, 0, 0:2, 2:4] = np.nan
    write(storage, meta, image)
    half = np.asarray(zarr.open_array(store=storage.zarr(NAME), path="1", mode="r")[0, 0, 0])
    assert half.shape == (3, 150)
    assert half[0, 0] == np.float32(np.mean([1, 300, 301]))
    assert np.isnan(half[0, 1])
    assert half[1, 5] == image[0, 0, 0, 2:4, 10:12].mean()
    assert half[2, 5] == image[0, 0, 0, 4, 10:12].mean()


def test_coarse_pixels_lie_where_their_fine_pixels_do():
    matrix = np.diag([1.5, 1.0, 3.0, 1.0])
    matrix[:3, 3] = [10.0, 20.0, 30.0]
    storage, meta = Storage.at("memory://places"), make_meta((1, 1, 1, 600, 600), matrix)
    ome_zarr.create_scan(storage, NAME, meta)
    ome = json.loads(storage.read_text(f"{NAME}/zarr.json"))["attributes"]["ome"]
    datasets = ome["multiscales"][0]["datasets"]
    assert len(datasets) == 3
    for level, dataset in enumerate(datasets):
        scale, shift = (dataset["coordinateTransformations"][i] for i in (0, 1))
        factor = 2**level
        assert scale["scale"] == [1, 1, 3.0, 1.0 * factor, 1.5 * factor]
        fine = np.arange(factor)  # the fine pixels under coarse pixel 0
        centre = [20.0 + 1.0 * fine.mean(), 10.0 + 1.5 * fine.mean()]
        assert shift["translation"] == pytest.approx([0, 0, 30.0, *centre])


def test_ome_zarr_models_accepts_image_and_labels(tmp_path):
    storage, meta = Storage.at(tmp_path), make_meta()
    write(storage, meta, random_image())
    classes = {1: "background", 3: "lesion"}
    write_label(storage, meta, np.ones((2, *SHAPE[2:]), np.uint8), "som", classes)
    write_label(storage, meta, np.ones((2, *SHAPE[2:]), np.int32), "lesions")
    ome_zarr.list_labels(storage, NAME, ["som", "lesions"])
    group = zarr.open_group(str(tmp_path / NAME), mode="r")
    image = Image.from_zarr(group)
    assert [a.name for a in image.ome_attributes.multiscales[0].axes] == list("tczyx")
    assert Labels.from_zarr(group["labels"]).ome_attributes.labels == ["som", "lesions"]
    for label in ("som", "lesions"):
        found = ImageLabel.from_zarr(group[f"labels/{label}"])
        levels = len(found.ome_attributes.multiscales[0].datasets)
        assert levels == len(image.ome_attributes.multiscales[0].datasets)
    told = group["labels/som"].attrs["ome"]["image-label"]
    assert {"label-value": 3, "class": "lesion"} in told["properties"]
    window = group.attrs["ome"]["omero"]["channels"][0]["window"]
    assert (window["start"], window["end"]) == (-1000.0, 400.0)


def test_viewers_are_told_channels_windows_and_the_colours_of_classes(tmp_path):
    storage, meta = Storage.at(tmp_path), make_meta()
    write(storage, meta, random_image())
    classes = {0: "no data", 1: "background", 3: "lesion", 7: "fat"}
    write_label(storage, meta, np.ones((2, *SHAPE[2:]), np.uint8), "som", classes)
    group = zarr.open_group(str(tmp_path / NAME), mode="r")
    ct, pet = group.attrs["ome"]["omero"]["channels"]
    assert (ct["label"], pet["label"]) == ("CT", "PET")
    assert ct["color"] == "FFFFFF"
    assert (ct["window"]["start"], ct["window"]["end"]) == (-1000.0, 400.0)
    assert (pet["window"]["start"], pet["window"]["end"]) == (0.0, 10.0)
    for window in (ct["window"], pet["window"]):
        assert window["min"] <= window["start"] < window["end"] <= window["max"]
    told = group["labels/som"].attrs["ome"]["image-label"]
    shown = {one["label-value"]: tuple(one["rgba"]) for one in told["colors"]}
    assert shown == {value: class_rgba(name, value) for value, name in classes.items()}
    assert told["source"] == {"image": "../../"}


def test_orientation_stands_only_on_axes_that_are_the_patients():
    flipped = np.diag([-1.0, 1.0, 2.0, 1.0])
    tilted = np.eye(4)
    tilted[1:3, 1:3] = [[0.95, -0.312], [0.312, 0.95]]
    found = []
    for matrix in (flipped, tilted):
        storage, meta = Storage.at("memory://axes"), make_meta((1, 1, 2, 4, 4), matrix)
        ome_zarr.create_scan(storage, NAME, meta)
        ome = json.loads(storage.read_text(f"{NAME}/zarr.json"))["attributes"]["ome"]
        axes = ome["multiscales"][0]["axes"]
        found.append({a["name"]: a.get("orientation", {}).get("value") for a in axes})
    assert found[0]["x"] == "left-to-right"
    assert found[0]["y"] == "anterior-to-posterior"
    assert found[0]["z"] == "inferior-to-superior"
    assert found[1] == {"t": None, "c": None, "z": None, "y": None, "x": "right-to-left"}


def test_labels_come_back_and_their_pyramid_only_holds_their_values(storage):
    meta = make_meta()
    write(storage, meta, random_image())
    labels = np.random.default_rng(1).choice([0, 3, 7], (2, *SHAPE[2:])).astype(np.uint8)
    write_label(storage, meta, labels)
    assert ome_zarr.labels_complete(storage, NAME, "som")
    np.testing.assert_array_equal(read_label_slab(storage, NAME, "som", 1, 5, 20), labels[1, 5:20])
    coarse = np.asarray(zarr.open_array(store=storage.zarr(NAME), path="labels/som/1", mode="r")[0])
    assert coarse.shape == (35, 131, 11)
    assert set(np.unique(coarse)) == {0, 3, 7}


def test_two_labels_of_a_scan_may_be_made_at_the_same_moment(storage, monkeypatch):
    meta = make_meta()
    write(storage, meta, random_image())
    look = ome_labels.group_attributes

    def look_while_another_label_is_made(*where):
        found = look(*where)
        monkeypatch.setattr(ome_labels, "group_attributes", look)
        ome_zarr.create_labels(storage, NAME, "student", "uint8")
        return found

    monkeypatch.setattr(ome_labels, "group_attributes", look_while_another_label_is_made)
    ome_zarr.create_labels(storage, NAME, "som", "uint8")
    for label in ("som", "student"):
        assert not read_label_slab(storage, NAME, label, 0, 0, 1).any()


def test_a_rerun_replaces_a_slab_even_by_nothing(storage):
    meta = make_meta((1, 1, 4, 8, 8))
    write(storage, meta, random_image(meta.shape))
    write_label(storage, meta, np.full((1, 4, 8, 8), 3, np.uint8))
    write_label_slab(storage, NAME, "som", 0, 0, np.zeros((4, 8, 8), np.uint8))
    assert not read_label_slab(storage, NAME, "som", 0, 0, 4).any()


def test_anything_but_a_whole_slab_is_refused(storage):
    meta = make_meta((1, 1, 40, 8, 8))
    ome_zarr.create_scan(storage, NAME, meta)
    with pytest.raises(ShapeError, match="no brick begins"):
        write_slab(storage, NAME, 0, 5, np.zeros((1, 32, 8, 8), np.float32))
    with pytest.raises(ShapeError, match="must have shape"):
        write_slab(storage, NAME, 0, 32, np.zeros((1, 32, 8, 8), np.float32))
    with pytest.raises(ShapeError):
        write_slab(storage, NAME, 1, 0, np.zeros((1, 32, 8, 8), np.float32))


def test_meta_refuses_contradictions():
    geometry = Geometry.from_spacing((2, 3, 4), (1, 1, 1))
    with pytest.raises(ShapeError):
        ScanMeta((1, 1, 2, 3, 5), geometry, ("CT",), "HU")
    with pytest.raises(ShapeError):
        ScanMeta((1, 2, 2, 3, 4), geometry, ("CT",), "HU")


def test_a_missing_or_damaged_scan_is_a_store_error(storage):
    with pytest.raises(StoreError, match="no scan"):
        ome_zarr.read_meta(storage, NAME)
    with pytest.raises(StoreError):
        ome_zarr.read_slab(storage, NAME, 0, 0, 1)
    storage.write_text(f"{NAME}/zarr.json", "{")
    with pytest.raises(StoreError, match="JSON"):
        ome_zarr.is_complete(storage, NAME)
