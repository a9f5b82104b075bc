"""Folders of single pages: the order of their names, gaps, litter, two stacks, PNG in every depth."""

import struct
import zlib

import numpy as np
import pytest
import tifffile
from imagecodecs import png_encode

from somray.errors import DataError
from somray.io.readers import open_source

VALUES = np.random.default_rng(0).integers(0, 250, (12, 8, 9)).astype(np.uint8)


def fill(folder, names, values=VALUES):
    folder.mkdir(exist_ok=True)
    for name, plane in zip(names, values, strict=False):
        if name.lower().endswith(".png"):
            (folder / name).write_bytes(png_encode(np.ascontiguousarray(plane)))
        else:
            tifffile.imwrite(folder / name, plane, photometric="minisblack")
    return folder


def whole(path):
    with open_source(path) as source:
        source.verify()
        return source.read(0, 0, source.header.shape[1]), source.header


def refused(path):
    with pytest.raises(DataError) as caught, open_source(path) as source:
        source.read(0, 0, source.header.shape[1])
    return caught.value


@pytest.mark.parametrize("ending", ["tif", "png", "TIFF"])
@pytest.mark.parametrize(
    "pattern",
    [
        "slice_{n}",
        "scan_010_rec_{n:04}um",
        "{n}_of_12",
        "a1b{n}c2",
        "s ({n})",
        "S{n:03}-{n:05}",
        "z{n:02}_{m}um",
    ],
)
def test_the_number_that_differs_orders_the_slices(tmp_path, ending, pattern):
    names = [f"{pattern.format(n=n, m=n * 25)}.{ending}" for n in range(1, 13)]
    found, header = whole(fill(tmp_path / "s", names))
    np.testing.assert_array_equal(found, VALUES)
    assert header.kind == ("png" if ending == "png" else "tiff")


def test_a_constant_step_is_no_gap_and_a_lost_slice_is(tmp_path):
    folder = fill(tmp_path / "s", [f"rec_{n:04}um_7.tif" for n in range(0, 60, 5)])
    np.testing.assert_array_equal(whole(folder)[0], VALUES)
    (folder / "rec_0025um_7.tif").unlink()
    error = refused(folder)
    assert error.code == "irregular"
    assert "rec_0020um_7.tif to rec_0030um_7.tif" in error.message


def test_two_stacks_in_a_folder_are_named(tmp_path):
    names = [f"{kind}_{n:03}.tif" for kind in ("femur", "tibia") for n in range(6)]
    error = refused(fill(tmp_path / "s", names))
    assert error.code == "mixed_series"
    assert "femur_000.tif" in error.message
    assert "tibia_000.tif" in error.message


@pytest.mark.parametrize(
    "names",
    [[f"t{t}_z{z}.tif" for t in range(2) for z in range(6)],
     [f"z{n}_{12 - n}.tif" for n in range(12)],
     ["b.tif", "a.tif"], ["s_1.tif", "s_01.tif"]],
    ids=["time and slice", "two orders", "no number", "one number twice"],
)  # fmt: skip
def test_names_that_do_not_tell_the_order_are_refused(tmp_path, names):
    assert refused(fill(tmp_path / "s", names)).code == "mixed_series"


def test_litter_is_left_alone_and_a_preview_is_told(tmp_path):
    folder = fill(tmp_path / "s", [f"rec{n:04}.tif" for n in range(12)])
    for name in ("Thumbs.db", "scan.txt", "scan.info", "preview.jpg", ".DS_Store", "._rec0003.tif"):
        (folder / name).write_bytes(b"litter")
    fill(folder, ["overview.png"])
    found, header = whole(folder)
    np.testing.assert_array_equal(found, VALUES)
    assert "others_ignored" not in header.repairs
    tifffile.imwrite(folder / "rec_spr.tif", np.zeros((3, 4), np.uint8))
    found, header = whole(folder)
    np.testing.assert_array_equal(found, VALUES)
    assert "others_ignored" in header.repairs


def test_a_folder_with_one_stack_in_one_file_is_that_stack(tmp_path):
    (tmp_path / "s").mkdir()
    tifffile.imwrite(tmp_path / "s" / "all.tif", VALUES, photometric="minisblack")
    np.testing.assert_array_equal(whole(tmp_path / "s")[0], VALUES)
    tifffile.imwrite(tmp_path / "s" / "all2.tif", VALUES, photometric="minisblack")
    assert refused(tmp_path / "s").code == "mixed_series"
    (tmp_path / "s" / "all.tif").rename(tmp_path / "s" / "all1.tif")
    assert "holds 12 pages" in refused(tmp_path / "s").message


@pytest.mark.parametrize("other", [VALUES[0, :7], VALUES[0].astype(np.uint16), VALUES[0] > 9])
def test_slices_that_differ_are_named(tmp_path, other):
    folder = fill(tmp_path / "s", [f"s{n}.tif" for n in range(4)])
    tifffile.imwrite(folder / "s4.tif", other, photometric="minisblack")
    error = refused(folder)
    assert error.code == "mixed_series"
    assert "s4.tif" in error.message


def test_slices_whose_pixels_have_other_sizes_are_mixed(tmp_path):
    (tmp_path / "s").mkdir()
    for n, size in enumerate((2.0, 2.0, 3.0)):
        tifffile.imwrite(
            tmp_path / "s" / f"s{n}.tif", VALUES[n], imagej=True, resolution=(1 / size, 1 / size),
            metadata={"axes": "YX", "unit": "um"},
        )  # fmt: skip
    assert "size of their pixels" in refused(tmp_path / "s").message
    (tmp_path / "s" / "s2.tif").unlink()
    header = whole(tmp_path / "s")[1]
    assert header.geometry.spacing_mm == pytest.approx((0.002, 0.002, 0.002))
    assert header.repairs == ("z_spacing_assumed",)


def png(bits, color, rows, extra=b""):
    """Write a PNG by the specification, whatever encoders offer."""

    def chunk(kind, body):
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    samples = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[color]
    head = struct.pack(
        ">IIBBBBB", len(rows[0]) * 8 // (bits * samples), len(rows), bits, color, 0, 0, 0
    )
    data = zlib.compress(b"".join(b"\0" + bytes(row) for row in rows))
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + extra
        + chunk(b"IDAT", data)
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("bits", "rows", "expected"),
    [(1, [[0b01100000]], [0, 1, 1, 0, 0, 0, 0, 0]), (2, [[0b00011011]], [0, 1, 2, 3]),
     (4, [[0x1F, 0x29]], [1, 15, 2, 9]), (8, [[0, 7, 255]], [0, 7, 255]),
     (16, [[0, 7, 255, 254]], [7, 65534])],
)  # fmt: skip
def test_png_of_every_depth_keeps_its_stored_values(tmp_path, bits, rows, expected):
    (tmp_path / "a.png").write_bytes(png(bits, 0, rows))
    found, header = whole(tmp_path / "a.png")
    np.testing.assert_array_equal(found[0, 0], expected)
    assert header.repairs == ("spacing_assumed",)
    (tmp_path / "a.png").rename(tmp_path / "a.jpg")  # what it is, its content says
    np.testing.assert_array_equal(whole(tmp_path / "a.jpg")[0], found)


def test_png_palettes_colors_and_transparency_are_refused_and_gray_in_colors_is_read(tmp_path):
    palette = b"\0\0\0\3PLTE\0\0\0" + struct.pack(">I", zlib.crc32(b"PLTE\0\0\0"))
    files = {
        "palette": png(8, 3, [[0, 0]], palette), "color": png(8, 2, [[1, 1, 2]]),
        "clear": png(8, 4, [[1, 9]]), "gray": png(8, 6, [[7, 7, 7, 255]]), "opaque": png(8, 4, [[5, 255]]),
    }  # fmt: skip
    for name, content in files.items():
        (tmp_path / f"{name}.png").write_bytes(content)
    for name in ("palette", "color", "clear"):
        assert refused(tmp_path / f"{name}.png").code == "unreadable"
    assert whole(tmp_path / "gray.png")[0] == 7
    assert "gray_from_rgb" in whole(tmp_path / "gray.png")[1].repairs
    assert whole(tmp_path / "opaque.png")[0] == 5


@pytest.mark.parametrize("kept", [10, 40, 200, -12])
def test_a_png_cut_short_is_coded_when_it_is_opened(tmp_path, kept):
    noise = np.random.default_rng(0).integers(0, 250, (40, 40)).astype(np.uint8)
    folder = fill(tmp_path / "s", [f"s{n}.png" for n in range(3)], [noise] * 3)
    content = (folder / "s2.png").read_bytes()
    (folder / "s2.png").write_bytes(content[:kept])
    with pytest.raises(DataError) as caught:
        open_source(folder)
    assert caught.value.code == "truncated"
    content = bytearray(content)
    content[-100] ^= 0xFF
    (folder / "s2.png").write_bytes(content)
    assert refused(folder).code == "unreadable"


def test_pictures_with_loss_are_refused_by_name(tmp_path):
    (tmp_path / "s").mkdir()
    for n in range(3):
        (tmp_path / "s" / f"s{n}.jpg").write_bytes(b"\xff\xd8")
    assert "s0.jpg" in refused(tmp_path / "s").message
