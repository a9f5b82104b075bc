"""Which plane is which: frames that are slices, channels, any order of dimensions, thumbnails, several images."""

import struct

import numpy as np
import pytest
import tifffile

from somray.errors import DataError
from somray.io.readers import open_source

GRAY = {"photometric": "minisblack"}


def stack(shape=(6, 16, 24)):
    return np.random.default_rng(0).integers(0, 250, shape).astype(np.uint8)


def whole(path):
    with open_source(path) as source:
        times, slices = source.header.shape[:2]
        return np.stack([source.read(t, 0, slices) for t in range(times)]), source.header


def refused(path):
    with pytest.raises(DataError) as caught:
        open_source(path)
    return caught.value


@pytest.mark.parametrize("kind", ["imagej", "ome", "tifffile"])
def test_frames_without_a_time_are_slices_and_the_scan_says_so(tmp_path, kind):
    told = {"axes": "TYX"}
    path = tmp_path / ("a.ome.tif" if kind == "ome" else "a.tif")
    tifffile.imwrite(path, stack(), imagej=kind == "imagej", metadata=told, **GRAY)
    found, header = whole(path)
    assert header.shape == (1, 6, 16, 24)
    assert "frames_as_slices" in header.repairs
    np.testing.assert_array_equal(found[0], stack())


@pytest.mark.parametrize(
    ("name", "imagej", "told"),
    [
        ("a.tif", True, {"finterval": 2.5}),
        ("a.ome.tif", False, {"TimeIncrement": 2.5, "TimeIncrementUnit": "s"}),
        ("a.ome.tif", False, {"Plane": {"DeltaT": [0.0, 1.0, 2.0, 4.0, 5.0, 6.0]}}),
    ],
)
def test_frames_with_a_time_are_time_points(tmp_path, name, imagej, told):
    path = tmp_path / name
    tifffile.imwrite(path, stack(), imagej=imagej, metadata={"axes": "TYX", **told}, **GRAY)
    found, header = whole(path)
    assert header.shape == (6, 1, 16, 24)
    assert "frames_as_slices" not in header.repairs
    np.testing.assert_array_equal(found[:, 0], stack())


@pytest.mark.parametrize("axes", ["TZCYX", "CZTYX", "ZTCYX", "TCZYX", "ZCTYX", "CTZYX"])
@pytest.mark.parametrize("asked", ["PET", "1"])
def test_a_channel_is_chosen_in_any_order_of_dimensions(tmp_path, axes, asked):
    sizes = {"T": 2, "Z": 3, "C": 2, "Y": 8, "X": 9}
    values = stack([sizes[a] for a in axes])
    told = {"axes": axes, "Channel": {"Name": ["CT", "PET"]}}
    tifffile.imwrite(tmp_path / "a.ome.tif", values, metadata=told, **GRAY)
    chosen, rest = values.take(1, axes.index("C")), axes.replace("C", "")
    found, _ = whole(f"{tmp_path}/a.ome.tif#channel={asked}")
    np.testing.assert_array_equal(found, chosen.transpose([rest.index(a) for a in "TZYX"]))


def test_several_channels_without_a_choice_and_a_wrong_choice_are_refused(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", stack(), imagej=True, metadata={"axes": "CYX"})
    assert "6 channels" in refused(tmp_path / "a.tif").message
    assert "none of them '6'" in refused(f"{tmp_path}/a.tif#channel=6").message
    tifffile.imwrite(tmp_path / "b#channel=1", stack(), metadata={"axes": "ZYX"}, **GRAY)
    assert whole(tmp_path / "b#channel=1")[1].shape == (1, 6, 16, 24)  # a file may be called so


def test_imagej_without_further_pages_is_read_plane_by_plane(tmp_path):
    values = stack((2, 3, 2, 8, 9))
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, values, imagej=True, metadata={"axes": "TZCYX"}, contiguous=True)
    with tifffile.TiffFile(path) as file:
        order, first = file.byteorder, file.pages[0].offset
        end = file.series[0].dataoffset + values.nbytes
    data = bytearray(path.read_bytes())
    (count,) = struct.unpack(order + "H", data[first : first + 2])
    data[first + 2 + 12 * count : first + 6 + 12 * count] = bytes(4)  # no next page
    path.write_bytes(data)
    np.testing.assert_array_equal(whole(f"{path}#channel=1")[0], values[:, :, 1])
    path.write_bytes(data[: end - 1])
    assert refused(f"{path}#channel=1").code == "truncated"


def test_thumbnails_and_smaller_levels_are_left_out(tmp_path):
    values = stack()
    with tifffile.TiffWriter(tmp_path / "pyramid.ome.tif") as file:
        file.write(values, subifds=1, metadata={"axes": "ZYX"}, **GRAY)
        file.write(values[:, ::2, ::2], subfiletype=1, **GRAY)
    with tifffile.TiffWriter(tmp_path / "thumb.tif") as file:
        file.write(values[0, ::4, ::4], subfiletype=1, metadata=None, **GRAY)
        for plane in values:
            file.write(plane, metadata=None, contiguous=False, **GRAY)
    for name in ("pyramid.ome.tif", "thumb.tif"):
        np.testing.assert_array_equal(whole(tmp_path / name)[0][0], values)


def test_pages_of_several_codecs_stay_in_order(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for number, plane in enumerate(stack()):
            codec = ("zlib", "lzw", None)[number % 3]
            file.write(plane, metadata=None, compression=codec, contiguous=False, **GRAY)
    np.testing.assert_array_equal(whole(tmp_path / "a.tif")[0][0], stack())


@pytest.mark.parametrize("second", [(6, 16, 24), (6, 8, 24), (3, 16, 24)])
def test_two_stacks_in_one_file_are_mixed(tmp_path, second):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(stack(), **GRAY)
        file.write(stack(second), **GRAY)
    assert refused(tmp_path / "a.tif").code == "mixed_series"


def test_axes_that_nobody_named_are_not_guessed(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", stack((2, 3, 8, 9)), **GRAY)
    assert "which of them are slices" in refused(tmp_path / "a.tif").message


def test_damaged_ome_xml_is_named(tmp_path):
    text = "<OME xmlns='http://www.openmicroscopy.org/Schemas/OME/2016-06'><Image></OME>"
    tifffile.imwrite(tmp_path / "a.ome.tif", stack(), description=text, metadata=None, **GRAY)
    error = refused(tmp_path / "a.ome.tif")
    assert error.code == "unreadable"
    assert "OME-XML is damaged" in error.message
