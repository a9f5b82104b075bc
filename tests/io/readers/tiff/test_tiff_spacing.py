"""Voxel sizes in mm from every header that names them, and a word where none does."""

import numpy as np
import pytest
import tifffile

from somray.io.readers import open_source
from somray.io.readers.lengths import mm_of
from somray.io.readers.tiff.spacing import spacing_zyx_mm

STACK = np.zeros((3, 4, 5), np.uint8) + np.arange(5, dtype=np.uint8)


def spacing(path):
    with open_source(path) as source:
        return source.header.geometry.spacing_mm, source.header.repairs


def retag(path, old, new):
    """Replace text of equal length in a file: tifffile writes only ASCII in ImageJ's header."""
    data = path.read_bytes()
    assert len(old) == len(new)
    assert data.count(old) == 1
    path.write_bytes(data.replace(old, new))


@pytest.mark.parametrize(
    ("unit", "mm"),
    [("um", 1e-3), ("micron", 1e-3), ("microns", 1e-3), ("micrometer", 1e-3), ("\\u00B5m", 1e-3), ("UM", 1e-3),
     ("nm", 1e-6), ("mm", 1.0), ("millimeters", 1.0), ("cm", 10.0), ("m", 1000.0), ("metre", 1000.0)],
)  # fmt: skip
def test_imagej_units_are_lengths(tmp_path, unit, mm):
    told = {"axes": "ZYX", "unit": unit, "spacing": 5}
    tifffile.imwrite(tmp_path / "a.tif", STACK, imagej=True, resolution=(0.5, 0.25), metadata=told)
    found, repairs = spacing(tmp_path / "a.tif")
    assert found == pytest.approx((5 * mm, 4 * mm, 2 * mm), rel=1e-6)
    assert repairs == ()


@pytest.mark.parametrize("sign", [b"\xb5m", "µm".encode()])
def test_imagej_micro_signs_in_any_encoding_are_micrometres(tmp_path, sign):
    told = {"axes": "ZYX", "unit": "um" if len(sign) == 2 else "uum", "spacing": 5}
    tifffile.imwrite(tmp_path / "a.tif", STACK, imagej=True, resolution=(0.5, 0.25), metadata=told)
    retag(tmp_path / "a.tif", f"unit={told['unit']}".encode(), b"unit=" + sign)
    assert spacing(tmp_path / "a.tif")[0] == pytest.approx((0.005, 0.004, 0.002))


@pytest.mark.parametrize("unit", ["inch", "pixel", "pixels", "", "furlong"])
def test_imagej_units_that_are_none_are_told(tmp_path, unit):
    told = {"axes": "ZYX", "unit": unit, "spacing": 5}
    tifffile.imwrite(tmp_path / "a.tif", STACK, imagej=True, resolution=(0.5, 0.25), metadata=told)
    assert spacing(tmp_path / "a.tif") == ((1.0, 1.0, 1.0), ("spacing_assumed",))


def test_imagej_centimetres_in_tags_alone_and_a_z_of_its_own_unit_count(tmp_path):
    how = {"imagej": True, "resolution": (0.5, 0.25)}
    tifffile.imwrite(
        tmp_path / "cm.tif", STACK, resolutionunit=3, metadata={"axes": "ZYX", "spacing": 5}, **how
    )
    assert spacing(tmp_path / "cm.tif")[0] == pytest.approx((50.0, 40.0, 20.0))
    told = {"axes": "ZYX", "unit": "um", "zunit": "nm", "spacing": 5}
    tifffile.imwrite(tmp_path / "z.tif", STACK, metadata=told, **how)
    assert spacing(tmp_path / "z.tif")[0] == pytest.approx((5e-6, 0.004, 0.002))


def test_a_stack_taken_downwards_has_the_size_of_its_step(tmp_path):
    told = {"axes": "ZYX", "unit": "um", "spacing": -5}
    tifffile.imwrite(tmp_path / "a.tif", STACK, imagej=True, resolution=(0.5, 0.25), metadata=told)
    assert spacing(tmp_path / "a.tif") == (pytest.approx((0.005, 0.004, 0.002)), ())


def test_ome_xml_without_a_namespace_names_sizes(tmp_path):
    pixels = 'DimensionOrder="XYZCT" Type="uint8" SizeX="5" SizeY="4" SizeZ="3" SizeC="1" SizeT="1"'
    sizes = 'PhysicalSizeX="2" PhysicalSizeY="4" PhysicalSizeZ="5"'
    xml = f'<OME><Image ID="Image:0"><Pixels ID="P" {pixels} {sizes}><TiffData/></Pixels></Image></OME>'
    tifffile.imwrite(
        tmp_path / "a.ome.tif", STACK, description=xml, metadata=None, photometric="minisblack"
    )
    assert spacing(tmp_path / "a.ome.tif") == (pytest.approx((0.005, 0.004, 0.002)), ())


def test_a_distance_of_slices_that_nobody_named_is_told(tmp_path):
    how = {"imagej": True, "resolution": (0.5, 0.25)}
    tifffile.imwrite(tmp_path / "ij.tif", STACK, metadata={"axes": "ZYX", "unit": "um"}, **how)
    sizes = {"axes": "ZYX", "PhysicalSizeX": 2, "PhysicalSizeY": 4}
    tifffile.imwrite(tmp_path / "a.ome.tif", STACK, metadata=sizes, photometric="minisblack")
    for name in ("ij.tif", "a.ome.tif"):
        found, repairs = spacing(tmp_path / name)
        assert found == pytest.approx((0.004, 0.004, 0.002))
        assert repairs == ("z_spacing_assumed",)


@pytest.mark.parametrize(
    ("unit", "mm"),
    [("nm", 1e-6), ("µm", 1e-3), ("mm", 1.0), ("cm", 10.0), ("m", 1e3), ("Å", 1e-7), ("pm", 1e-9), ("in", 25.4),
     ("thou", 0.0254), ("km", 1e6), ("pixel", None), ("reference frame", None)],
)  # fmt: skip
def test_ome_units_are_lengths_or_told(tmp_path, unit, mm):
    sizes = {f"PhysicalSize{a}": n for a, n in zip("ZYX", (0.5, 0.25, 0.125), strict=True)}
    sizes |= {f"PhysicalSize{a}Unit": unit for a in "ZYX"}
    tifffile.imwrite(
        tmp_path / "a.ome.tif", STACK, metadata={"axes": "ZYX", **sizes}, photometric="minisblack"
    )
    found, repairs = spacing(tmp_path / "a.ome.tif")
    if mm is None:
        assert (found, repairs) == ((1.0, 1.0, 1.0), ("spacing_assumed",))
    else:
        assert found == pytest.approx((0.5 * mm, 0.25 * mm, 0.125 * mm), rel=1e-6)
        assert repairs == ()


@pytest.mark.parametrize("unit", ["INCH", "CENTIMETER", "NONE"])
def test_resolution_tags_alone_are_not_believed(tmp_path, unit):
    tifffile.imwrite(
        tmp_path / "a.tif", STACK, resolution=(833.33, 833.33), resolutionunit=unit, photometric="minisblack"
    )  # fmt: skip
    assert spacing(tmp_path / "a.tif") == ((1.0, 1.0, 1.0), ("spacing_assumed",))


@pytest.mark.parametrize(
    ("text", "mm"),
    [("Mm", 1e9), ("mM", 1.0), ("micrometre", 1e-3), ("Kilometer", 1e6), ("angstrom", 1e-7), ("foot", 304.8),
     ("μm", 1e-3), ("\\u03bcm", 1e-3), (None, None), ("px", None), ("nmm", None)],
)  # fmt: skip
def test_lengths_are_told_by_symbol_and_word(text, mm):
    assert mm_of(text) == (None if mm is None else pytest.approx(mm))
    assert mm_of("inch", imperial=False) is None


def test_tifffiles_own_description_names_unit_and_spacing(tmp_path):
    told = {"axes": "ZYX", "unit": "um", "spacing": 5}
    how = {"resolution": (0.5, 0.25), "photometric": "minisblack"}
    tifffile.imwrite(tmp_path / "a.tif", STACK, metadata=told, **how)
    assert spacing(tmp_path / "a.tif") == (pytest.approx((0.005, 0.004, 0.002)), ())


class LikeTiff:
    """What tifffile says of a file of Micro-Manager or of Zeiss, which it reads but does not write."""

    is_ome = is_imagej = is_shaped = is_lsm = is_micromanager = False

    def __init__(self, **told):
        self.__dict__.update(told)


@pytest.mark.parametrize(
    ("told", "expected"),
    [({"PixelSize_um": 0.65, "z-step_um": -2.0}, (0.002, 0.00065, 0.00065)),
     ({"PixelSize_um": 0.65}, (None, 0.00065, 0.00065)), ({"z-step_um": 2.0}, None), ({}, None)],
)  # fmt: skip
def test_micromanagers_summary_names_pixel_and_step(told, expected):
    file = LikeTiff(is_micromanager=True, micromanager_metadata={"Summary": told})
    assert spacing_zyx_mm(file) == (None if expected is None else pytest.approx(expected))


def test_zeiss_lsm_names_voxels_in_metres():
    told = {"VoxelSizeX": 1e-7, "VoxelSizeY": 2e-7, "VoxelSizeZ": 5e-7}
    file = LikeTiff(is_lsm=True, lsm_metadata=told)
    assert spacing_zyx_mm(file) == pytest.approx((5e-4, 2e-4, 1e-4))
