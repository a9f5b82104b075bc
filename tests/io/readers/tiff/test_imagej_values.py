"""What ImageJ's whole numbers measure: straight lines are applied, curves are told; and its counts of pages."""

import numpy as np
import pytest
import tifffile

from somray.io.readers import open_source

STORED = np.random.default_rng(0).integers(0, 2**16, (4, 6, 8)).astype(np.uint16)
COUNTED = "ImageJ=1.53t\nimages=4\nslices=4\n"
SIGNED = "cf=0\nc0=-32768\nc1=1.0\nvunit=gray value\n"


def write(path, more, stored=STORED, told=COUNTED, **how):
    tifffile.imwrite(
        path, stored, description=told + more, metadata=None, photometric="minisblack", **how
    )
    return path


def read(path):
    with open_source(path) as source:
        source.verify()
        return source.read(0, 0, source.header.shape[1]), source.header.repairs


@pytest.mark.parametrize("how", [{}, {"compression": "zlib"}, {"tile": (16, 16)}])
def test_sixteen_bits_with_a_sign_and_hu_are_measured_values(tmp_path, how):
    signed = STORED.astype(np.float32) - 32768
    found, repairs = read(write(tmp_path / "a.tif", SIGNED, **how))
    np.testing.assert_array_equal(found, signed)
    assert repairs == ("spacing_assumed",)
    scaled = "cf=0\nc0=-1024.0\nc1=0.5\nvunit=HU\n"
    found = read(write(tmp_path / "b.tif", scaled, **how))[0]
    np.testing.assert_array_equal(found, STORED.astype(np.float32) / 2 - 1024)


def test_slices_in_files_of_their_own_have_measured_values_too(tmp_path):
    for z, page in enumerate(STORED):
        write(tmp_path / f"s{z}.tif", SIGNED, page, "ImageJ=1.53t\nimages=1\n")
    np.testing.assert_array_equal(read(tmp_path)[0], STORED.astype(np.float32) - 32768)


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ("cf=21\nvunit=Uncalibrated OD\n", True),
        ("cf=3\nc0=1\nc1=2\nc2=3\nvunit=mmol\n", True),
        ("cf=0\nc0=0\nc1=1\nvunit=gray value\n", False),
        ("cf=0\nc0=5\nvunit=half a line\n", False),
        ("cf=0\nc0=5\nc1=2\n", False),
    ],
)
def test_what_is_no_straight_line_leaves_values_as_stored(tmp_path, more, told):
    found, repairs = read(write(tmp_path / "a.tif", more))
    np.testing.assert_array_equal(found, STORED)
    assert ("lut_ignored" in repairs) == told


def test_a_description_that_counts_fewer_slices_than_there_are_pages_is_told(tmp_path):
    pages = {"told": "ImageJ=1.53t\nimages=3\nslices=3\n", "compression": "zlib"}
    found, repairs = read(write(tmp_path / "a.tif", "", **pages))
    np.testing.assert_array_equal(found, STORED[:3])
    assert "surplus_ignored" in repairs
    assert "surplus_ignored" not in read(write(tmp_path / "b.tif", "", compression="zlib"))[1]


@pytest.mark.parametrize(
    ("sizes", "told"),
    [
        ('SizeZ="3" SizeT="1"', "surplus"),
        ('SizeZ="4"', "SizeT"),
        ('SizeZ="four" SizeT="1"', "four"),
    ],
)
def test_ome_xml_that_does_not_count_the_pages_is_told_or_refused_in_words(tmp_path, sizes, told):
    xml = (
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0"><Pixels ID="P" '
        f'DimensionOrder="XYZCT" Type="uint16" SizeX="8" SizeY="6" SizeC="1" {sizes}><TiffData/></Pixels>'
        "</Image></OME>"
    )
    path = write(tmp_path / "a.ome.tif", "", told=xml)
    if told == "surplus":
        found, repairs = read(path)
        np.testing.assert_array_equal(found, STORED[:3])
        assert "surplus_ignored" in repairs
        return
    with pytest.raises(Exception, match=f"OME-XML lacks or garbles a size .*{told}"):
        read(path)
