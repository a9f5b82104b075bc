import numpy as np
import pytest
import tifffile

from somray.errors import DataError
from somray.io.readers import open_source

SHAPE = (6, 20, 30)


def stack(dtype=np.uint16):
    return np.random.default_rng(0).integers(0, 250, SHAPE).astype(dtype)


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, ">u2"])
def test_pages_of_a_file_are_slices(tmp_path, compression, dtype):
    values = stack(dtype)
    tifffile.imwrite(tmp_path / "a.tif", values, compression=compression, photometric="minisblack")
    with open_source(tmp_path / "a.tif") as source:
        assert source.header.shape == (1, *SHAPE)
        assert source.header.repairs == ("spacing_assumed",)
        assert source.header.geometry.spacing_mm == (1.0, 1.0, 1.0)
        np.testing.assert_array_equal(source.read(0, 0, 6), values)
        np.testing.assert_array_equal(source.read(0, 2, 4), values[2:4])


def test_imagej_and_ome_voxel_sizes_are_believed_and_inches_are_not(tmp_path):
    told = {"axes": "ZYX", "unit": "um", "spacing": 4.0}
    path = tmp_path / "ij.tif"
    tifffile.imwrite(path, stack(), imagej=True, resolution=(1 / 2.0, 1 / 3.0), metadata=told)
    with open_source(path) as source:
        assert source.header.geometry.spacing_mm == pytest.approx((0.004, 0.003, 0.002))
        assert source.header.repairs == ()
    inch = {"axes": "ZYX", "unit": "inch", "spacing": 4.0}
    tifffile.imwrite(path, stack(), imagej=True, resolution=(72, 72), metadata=inch)
    with open_source(path) as source:
        assert source.header.repairs == ("spacing_assumed",)
    sizes = {"axes": "ZYX", "PhysicalSizeX": 5.0, "PhysicalSizeXUnit": "µm", "PhysicalSizeY": 6.0,
             "PhysicalSizeYUnit": "µm", "PhysicalSizeZ": 0.007, "PhysicalSizeZUnit": "mm"}  # fmt: skip
    tifffile.imwrite(tmp_path / "x.ome.tif", stack(), metadata=sizes)
    with open_source(tmp_path / "x.ome.tif") as source:
        assert source.header.geometry.spacing_mm == pytest.approx((0.007, 0.006, 0.005))


def test_time_and_slices_of_a_hyperstack_are_told_apart(tmp_path):
    values = np.random.default_rng(0).integers(0, 250, (3, 4, 5, 6)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "t.tif", values, imagej=True, metadata={"axes": "TZYX"})
    with open_source(tmp_path / "t.tif") as source:
        assert source.header.shape == (3, 4, 5, 6)
        np.testing.assert_array_equal(source.read(2, 1, 3), values[2, 1:3])


def test_a_folder_of_slices_is_a_stack_in_the_order_of_its_numbers(tmp_path):
    values = stack()
    for z, plane in enumerate(values):
        tifffile.imwrite(
            tmp_path / f"slice_{z + 7}.tif", plane
        )  # 7 … 12: text order would be wrong
    with open_source(tmp_path) as source:
        np.testing.assert_array_equal(source.read(0, 0, 6), values)
    (tmp_path / "slice_9.tif").unlink()
    with pytest.raises(DataError, match="numbering") as caught:
        open_source(tmp_path)
    assert caught.value.code == "irregular"


def test_pages_that_differ_are_mixed(tmp_path):
    for z, size in enumerate((20, 20, 21)):
        tifffile.imwrite(tmp_path / f"{z}.tif", np.zeros((size, 30), np.uint8))
    with pytest.raises(DataError) as caught:
        open_source(tmp_path)
    assert caught.value.code == "mixed_series"


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("contiguous", [True, False])
@pytest.mark.parametrize("kept", [0.4, 0.8, 0.98])
def test_a_file_that_ends_early_is_truncated(tmp_path, compression, contiguous, kept):
    path = tmp_path / "a.tif"
    told = {} if kept < 0.9 else None  # with and without tifffile's own description of each page
    with tifffile.TiffWriter(path) as writer:
        if contiguous:
            writer.write(stack(), compression=compression, photometric="minisblack")
        else:
            for plane in stack():
                writer.write(plane, compression=compression, contiguous=False, metadata=told)
    with open_source(path) as source:
        np.testing.assert_array_equal(source.read(0, 0, 6), stack())
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(DataError) as caught, open_source(path) as source:
        source.read(0, 0, source.header.shape[1])
    assert caught.value.code == "truncated"


def test_colour_is_refused(tmp_path):
    tifffile.imwrite(
        tmp_path / "rgb.tif",
        np.eye(30, 3, dtype=np.uint8)[np.newaxis].repeat(20, 0),
        photometric="rgb",
    )
    with pytest.raises(DataError) as caught:
        open_source(tmp_path / "rgb.tif")
    assert caught.value.code == "unreadable"
