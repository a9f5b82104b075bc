"""What a page's bytes mean: codecs, types, packed bits, white at zero, palettes, colors; tifffile writes."""

import numpy as np
import pytest
import SimpleITK
import tifffile

from somray.errors import DataError
from somray.io.readers import open_source

SHAPE = (5, 32, 48)
GRAY = {"photometric": "minisblack"}


def stack(dtype=np.uint16):
    return np.random.default_rng(0).integers(0, 120, SHAPE).astype(dtype)


def read(path):
    with open_source(path) as source:
        source.verify()
        return source.read(0, 0, source.header.shape[1]), source.header.repairs


def refused(path):
    with pytest.raises(DataError) as caught, open_source(path) as source:
        source.read(0, 0, source.header.shape[1])
    return caught.value


@pytest.mark.parametrize(
    "compression",
    ["lzw", "deflate", "packbits", "zstd", "lzma", "jpeg2000", "png", "ccitt"],
)
def test_lossless_codecs_give_the_values_that_were_written(tmp_path, compression):
    path = tmp_path / "a.tif"
    if compression == "ccitt":
        pytest.importorskip("PIL.Image").fromarray(stack()[0] > 60).save(path, compression="group4")
        np.testing.assert_array_equal(read(path)[0][0], stack()[0] > 60)
        return
    tifffile.imwrite(path, stack(), compression=compression, **GRAY)
    np.testing.assert_array_equal(read(path)[0], stack())


@pytest.mark.parametrize(
    "dtype", ["u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f2", "f4", "f8"]
)
@pytest.mark.parametrize(
    "how",
    [{}, {"byteorder": ">", "bigtiff": True}, {"compression": "zlib", "predictor": True},
     {"compression": "zlib", "tile": (16, 16), "byteorder": ">"}],
    ids=["plain", "big", "predictor", "tiles"],
)  # fmt: skip
def test_every_number_type_is_read_as_it_was_written(tmp_path, dtype, how):
    if dtype[1] == "8" and "predictor" in how:
        how = {"compression": "zlib"}
    tifffile.imwrite(tmp_path / "a.tif", stack(dtype), **how, **GRAY)
    np.testing.assert_array_equal(read(tmp_path / "a.tif")[0], stack(dtype).astype(np.float32))


@pytest.mark.parametrize("bits", [1, 4, 10, 12])
def test_packed_bits_are_unpacked_and_white_at_zero_is_turned_within_their_range(tmp_path, bits):
    values = stack() % 2**bits
    stored = (
        values.astype(bool) if bits == 1 else values.astype(np.uint8 if bits < 8 else np.uint16)
    )
    more = {} if bits == 1 else {"bitspersample": bits}
    tifffile.imwrite(tmp_path / "black.tif", stored, **GRAY, **more)
    tifffile.imwrite(
        tmp_path / "white.tif", stored, photometric="miniswhite", metadata=None, **more
    )
    np.testing.assert_array_equal(read(tmp_path / "black.tif")[0], values)
    found, repairs = read(tmp_path / "white.tif")
    np.testing.assert_array_equal(found, 2**bits - 1 - values)
    assert "white_inverted" in repairs


def test_true_and_false_by_tifffile_are_what_was_written(tmp_path):
    mask = stack() > 60  # tifffile calls it white at 0 unasked
    tifffile.imwrite(tmp_path / "a.tif", mask)
    found, repairs = read(tmp_path / "a.tif")
    np.testing.assert_array_equal(found, mask)
    assert repairs == ("spacing_assumed",)


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_white_at_zero_is_turned_for_whole_numbers_and_left_for_fractions_and_imagej(
    tmp_path, compression
):
    how = {"photometric": "miniswhite", "compression": compression}
    tifffile.imwrite(tmp_path / "u2.tif", stack(), **how)
    tifffile.imwrite(tmp_path / "i2.tif", stack(np.int16), **how)
    tifffile.imwrite(tmp_path / "f4.tif", stack(np.float32), **how)
    np.testing.assert_array_equal(read(tmp_path / "u2.tif")[0], 65535 - stack().astype(np.int64))
    np.testing.assert_array_equal(read(tmp_path / "i2.tif")[0], -1 - stack().astype(np.int64))
    for name, told in (("f4.tif", {}), ("ij.tif", {"imagej": True, "metadata": {"axes": "ZYX"}})):
        if told:
            tifffile.imwrite(tmp_path / name, stack(), photometric="miniswhite", **told)
        found, repairs = read(tmp_path / name)
        np.testing.assert_array_equal(found, stack())
        assert "lut_ignored" in repairs
        assert "white_inverted" not in repairs


def test_a_palette_is_refused_unless_it_shows_every_value_as_itself(tmp_path):
    ramp = np.tile(np.arange(256, dtype=np.uint16) * 257, (3, 1))
    how = {"photometric": "palette", "contiguous": False, "append": True}
    for plane in stack(np.uint8):
        tifffile.imwrite(tmp_path / "ramp.tif", plane, colormap=ramp, **how)
        tifffile.imwrite(tmp_path / "down.tif", plane, colormap=ramp[:, ::-1], **how)
    np.testing.assert_array_equal(read(tmp_path / "ramp.tif")[0], stack())
    error = refused(tmp_path / "down.tif")
    assert error.code == "unreadable"
    assert "palette" in error.message


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("alpha", [False, True])
def test_gray_in_three_equal_colors_is_gray_and_real_color_is_refused(tmp_path, planar, alpha):
    gray = stack(np.uint8)
    samples = [gray] * 3 + ([np.full_like(gray, 255)] if alpha else [])
    how = {"photometric": "rgb", "planarconfig": planar, "compression": "zlib"}
    how |= {"extrasamples": ["unassalpha"]} if alpha else {}
    axis = -1 if planar == "contig" else 1
    tifffile.imwrite(tmp_path / "gray.tif", np.stack(samples, axis), **how)
    found, repairs = read(tmp_path / "gray.tif")
    np.testing.assert_array_equal(found, gray)
    assert "gray_from_rgb" in repairs
    samples[1] = gray.copy()
    samples[1][3, 4, 5] += 1  # one pixel of a later page
    tifffile.imwrite(tmp_path / "color.tif", np.stack(samples, axis), **how)
    assert refused(tmp_path / "color.tif").code == "unreadable"


def test_transparency_and_two_measurements_per_pixel_are_refused(tmp_path):
    gray = stack(np.uint8)
    for name, second, kind in (
        ("clear.tif", gray, "unassalpha"),
        ("two.tif", np.full_like(gray, 255), "unspecified"),
    ):
        tifffile.imwrite(
            tmp_path / name, np.stack([gray, second], -1), extrasamples=[kind], planarconfig="contig", **GRAY
        )  # fmt: skip
        assert refused(tmp_path / name).code == "unreadable"


def test_codecs_with_loss_are_told(tmp_path):
    smooth = np.tile(np.arange(48, dtype=np.uint8) * 4, (5, 32, 1))
    tifffile.imwrite(tmp_path / "a.tif", smooth, compression="jpeg", **GRAY)
    found, repairs = read(tmp_path / "a.tif")
    assert "lossy_compressed" in repairs
    np.testing.assert_allclose(found, smooth, atol=4)


def test_complex_numbers_are_refused(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", stack(np.complex64), **GRAY)
    assert "complex64" in refused(tmp_path / "a.tif").message


def test_a_volume_in_one_page_of_cubes_is_read_by_slices(tmp_path):
    values = np.random.default_rng(0).integers(0, 99, (40, 32, 32)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", values, tile=(16, 16, 16), compression="zlib", **GRAY)
    with open_source(tmp_path / "a.tif") as source:
        assert source.header.shape == (1, 40, 32, 32)
        np.testing.assert_array_equal(source.read(0, 17, 33), values[17:33])


@pytest.mark.parametrize("how", ["tail", "count", "hole"])
@pytest.mark.parametrize("compression", ["lzw", "zlib", "zstd"])
def test_damaged_strips_are_coded_never_zeros(tmp_path, compression, how):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, stack(), compression=compression, **GRAY)
    with tifffile.TiffFile(path) as file:
        page = file.pages[2]
        start, count = page.dataoffsets[0], page.databytecounts[0]
        tag = page.tags["StripByteCounts"]
    data = bytearray(path.read_bytes())
    if how == "tail":
        data[start + count // 2 : start + count] = bytes(count - count // 2)
    else:
        size = 0 if how == "hole" else count // 2
        data[tag.valueoffset : tag.valueoffset + 4] = size.to_bytes(4, "little")
    path.write_bytes(data)
    assert refused(path).code in ("unreadable", "truncated")


def test_gray_pages_equal_what_simpleitk_reads(tmp_path):
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(stack()), str(tmp_path / "a.tif"), True)
    found = read(tmp_path / "a.tif")[0]
    oracle = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(tmp_path / "a.tif")))
    np.testing.assert_array_equal(found, oracle)
