"""Scans as other people's readers see them. None of these packages is one of ours: what is not there is skipped.

Run them with `pip install ome-zarr napari-ome-zarr napari tensorstore` in an environment of its own that has somray.
"""

import numpy as np
import pytest

from somray.domain.palette import class_rgba, lesion_rgba
from somray.io.ome import image as ome_zarr
from somray.io.storage import Storage
from tests.io.ome.test_ome_zarr import NAME, make_meta, random_image, write, write_label

SHAPE = (1, 2, 3, 300, 21)
CLASSES = {1: "background", 3: "lesion"}


@pytest.fixture(scope="module")
def scan(tmp_path_factory):
    """A scan of two channels and two levels with classes and lesions: its folder, image and classes."""
    folder = tmp_path_factory.mktemp("scan")
    storage, meta, image = Storage.at(folder), make_meta(SHAPE), random_image(SHAPE)
    write(storage, meta, image)
    classes = np.random.default_rng(1).choice([0, 1, 3], (1, *SHAPE[2:])).astype(np.uint8)
    write_label(storage, meta, classes, "som", CLASSES)
    write_label(storage, meta, (classes == 3).astype(np.int32), "lesions")
    ome_zarr.finish_labels(storage, NAME, "lesions", {}, {1: lesion_rgba(1)})
    ome_zarr.list_labels(storage, NAME, ["som", "lesions"])
    return folder / NAME, image, classes


def colors(rgba):
    return pytest.approx([part / 255 for part in rgba], abs=1e-3)


def test_ome_zarr_py_reads_image_channels_labels_and_colours(scan):
    reader = pytest.importorskip("ome_zarr.reader", reason="40 packages")
    place = pytest.importorskip("ome_zarr.io").parse_url(str(scan[0]))
    nodes = list(reader.Reader(place)())
    assert np.array_equal(np.asarray(nodes[0].data[0]), scan[1], equal_nan=True)
    assert len(nodes[0].data) == 2
    told = nodes[0].metadata
    assert told["channel_names"] == ["CT", "PET"]
    assert told["contrast_limits"] == [[-1000.0, 400.0], [0.0, 10.0]]
    labels = {
        str(node.zarr).rstrip("/").rsplit("/", 1)[1].rstrip(")]'\" "): node for node in nodes[1:]
    }
    som = next(node for name, node in labels.items() if "som" in name)
    assert np.array_equal(np.asarray(som.data[0]).squeeze(), scan[2][0])
    assert list(som.metadata["color"][3]) == colors(class_rgba("lesion", 3))
    assert som.metadata["properties"][3]["class"] == "lesion"


def test_napari_ome_zarr_gives_layers_with_windows_and_colours(scan):
    plugin = pytest.importorskip("napari_ome_zarr", reason="napari and Qt: 1 GB")
    layers = plugin.napari_get_reader(str(scan[0]))(str(scan[0]))
    (_, image, kind), (_, som, _), (_, lesions, _) = layers
    assert kind == "image"
    assert image["contrast_limits"] == [[-1000.0, 400.0], [0.0, 10.0]]
    assert list(som["colormap"][3]) == colors(class_rgba("lesion", 3))
    assert list(lesions["colormap"][1]) == colors(lesion_rgba(1))
    assert som["properties"]["class"] == ["background", "lesion"]
    assert [round(step, 3) for step in som["scale"][-3:]] == [3.0, 1.0, 1.5]


@pytest.mark.parametrize("path", ["0", "1", "labels/som/0", "labels/lesions/1"])
def test_tensorstore_as_neuroglancer_has_it_reads_our_shards(scan, path):
    tensorstore = pytest.importorskip("tensorstore", reason="50 MB")
    spec = {"driver": "zarr3", "kvstore": {"driver": "file", "path": str(scan[0] / path)}}
    read = np.asarray(tensorstore.open(spec, open=True, read=True).result())
    if path == "0":
        assert np.array_equal(read, scan[1], equal_nan=True)
    elif path == "labels/som/0":
        assert np.array_equal(read, scan[2])
    else:
        assert read.shape[-2:] == (150, 11)
        assert read.any()
