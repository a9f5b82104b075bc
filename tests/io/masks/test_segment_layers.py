"""3D Slicer's segmentations in layers, as `.seg.nrrd` files hold them."""

import nrrd
import numpy as np
import pytest

from somray.errors import DataError
from somray.io.masks.anatomy import organ_names
from somray.io.masks.label_masks import LabelMask
from somray.io.masks.opening import open_mask

SHAPE = (4, 5, 6)  # z, y, x


def write(path, layers, segments, **changes):
    """Write layers (z, y, x), and segments of (name, layer, value), None where a header does not say."""
    data = np.stack([layer.T for layer in layers])  # list, x, y, z
    header = {
        "space": "left-posterior-superior", "kinds": ["list", "domain", "domain", "domain"],
        "space directions": np.array([[np.nan] * 3, [2, 0, 0], [0, 2, 0], [0, 0, 3]]),
        "space origin": np.array([1.0, 2.0, 3.0]),
    } | changes  # fmt: skip
    for n, (name, layer, value) in enumerate(segments):
        header |= {f"Segment{n}_ID": f"Segment_{n}", f"Segment{n}_Name": name}
        header |= {} if layer is None else {f"Segment{n}_Layer": str(layer)}
        header |= {} if value is None else {f"Segment{n}_LabelValue": str(value)}
    nrrd.write(str(path), data, header)
    return str(path)


def layer(**boxes):
    found = np.zeros(SHAPE, np.uint8)
    for value, where in boxes.items():
        found[where] = int(value[1:])
    return found


def read(path):
    with open_mask(path) as source:
        assert source.header.shape == (1, *SHAPE)
        return source.read(0, 0, 4).astype(int)


TOP, LOW = np.s_[0], np.s_[2:]
MIDDLE = np.s_[1:3, 1:4, 1:4]


@pytest.mark.parametrize("encoding", ["gzip", "raw"])
def test_layers_of_different_values_keep_them(tmp_path, encoding):
    layers = [layer(v1=TOP, v4=LOW), layer(v7=np.s_[1])]
    segments = [("liver", 0, 1), ("spleen", 0, 4), ("lung", 1, 7)]
    path = write(tmp_path / "a.seg.nrrd", layers, segments, encoding=encoding)
    labels = read(path)
    np.testing.assert_array_equal(labels, layers[0].astype(int) + layers[1])
    assert organ_names(path) == {1: "liver", 4: "spleen", 7: "lung"}
    with open_mask(path) as source:
        source.verify()
        np.testing.assert_array_equal(source.read(0, 2, 3)[0], labels[2])
        np.testing.assert_array_equal(source.read(0, 0, 1)[0], labels[0])  # back to the start
        geometry = source.header.geometry
    np.testing.assert_array_equal(geometry.matrix[:3, 3], [1.0, 2.0, 3.0])
    assert geometry.spacing_mm == (3.0, 2.0, 2.0)


def test_layers_that_begin_anew_are_numbered_and_the_first_holds_what_overlaps(tmp_path):
    segments = [("liver", 0, 1), ("spleen", 0, 2), ("ball", 1, 1)]
    path = write(tmp_path / "a.seg.nrrd", [layer(v1=TOP, v2=LOW), layer(v1=MIDDLE)], segments)
    expected = layer(v3=MIDDLE).astype(int)
    expected[TOP], expected[LOW] = 1, 2
    np.testing.assert_array_equal(read(path), expected)
    assert organ_names(path) == {1: "liver", 2: "spleen", 3: "ball"}
    with LabelMask(path) as mask, open_mask(path) as source:
        np.testing.assert_array_equal(mask.read(0, 4), expected)
        assert source.notes == ("has 2 layers; where segments overlap the first holds the voxel",)


def test_a_segment_is_read_alone_as_it_was_drawn(tmp_path):
    layers, segments = [layer(v1=LOW), layer(v1=MIDDLE)], [("liver", 0, 1), ("Ball 1", 1, 1)]
    path = write(tmp_path / "a.seg.nrrd", layers, segments)
    for name in ("ball 1", "2"):
        np.testing.assert_array_equal(read(f"{path}#channel={name}"), 2 * layers[1].astype(int))
    with pytest.raises(DataError, match="no region of that name"):
        open_mask(f"{path}#channel=lung")


def test_one_layer_is_read_as_it_stands(tmp_path):
    header = {"Segment0_ID": "S", "Segment0_Name": "liver", "Segment0_LabelValue": "3"}
    nrrd.write(str(tmp_path / "a.nrrd"), layer(v3=TOP).T, header | {"Segment1_Name": "no value"})
    assert organ_names(str(tmp_path / "a.nrrd")) == {3: "liver"}
    np.testing.assert_array_equal(read(str(tmp_path / "a.nrrd")), layer(v3=TOP))


def test_a_segment_without_layer_and_value_has_a_layer_of_its_own(tmp_path):
    segments = [("a", None, None), ("b", None, None)]
    path = write(tmp_path / "a.seg.nrrd", [layer(v1=TOP), layer(v1=LOW)], segments)
    np.testing.assert_array_equal(read(path), layer(v1=TOP, v2=LOW))


def test_values_that_no_segment_has_are_nothing(tmp_path):
    path = write(
        tmp_path / "a.seg.nrrd", [layer(v1=TOP, v9=LOW), layer()], [("a", 0, 1), ("b", 5, 2)]
    )
    np.testing.assert_array_equal(read(path), layer(v1=TOP))


def test_a_list_of_volumes_that_names_no_segments_stays_one(tmp_path):
    path = write(tmp_path / "a.nrrd", [layer(v1=TOP), layer(v1=LOW)], [])
    with open_mask(path) as source:
        assert source.header.shape == (2, *SHAPE)
