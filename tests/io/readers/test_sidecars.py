"""Voxel sizes that scanners write beside their slices: believed where they speak of these slices."""

import numpy as np
import pytest
import tifffile

from somray.io.readers import open_source

NRECON = """[System]
Scanner=SkyScan1275
Camera Pixel Size (um)=75.0
[User]
User Name=somebody
[Acquisition]
Number Of Rows= 1536
Image Pixel Size (um)=7.0
[Reconstruction]
Section to Section Step={step}
Result Image Width (pixels)={width}
Result Image Height (pixels)=8
Pixel Size (um)=14.5
[File name convention]
Filename Prefix=rec
"""
NIKON = """[XTekCT]
Name=somebody
VoxelsX=9
VoxelsY=8
VoxelsZ={z}
VoxelSizeX=0.011
VoxelSizeY=0.012
VoxelSizeZ=0.013
"""
GRAPHICS = """{{volume1}}
[representation]
size = 9 8 {z}
[file1]
Size = 1 1 1
[geometry]
resolution = 0.011 0.012 0.013
unit = mm
"""


def spacing(folder, step=1, **files):
    folder.mkdir(exist_ok=True)
    for n in range(4):
        tifffile.imwrite(folder / f"rec{n * step:04}.tif", np.full((8, 9), n, np.uint8))
    for ending, text in files.items():
        (folder / f"rec.{ending}").write_text(text)
    with open_source(folder) as source:
        return source.header.geometry.spacing_mm, source.header.repairs


def test_an_nrecon_log_of_these_slices_is_believed(tmp_path):
    found, repairs = spacing(tmp_path / "s", log=NRECON.format(step=1, width=9))
    assert found == pytest.approx((0.0145, 0.0145, 0.0145))
    assert repairs == ()


def test_sections_lie_their_step_apart_where_log_and_names_agree(tmp_path):
    found, repairs = spacing(tmp_path / "a", 3, log=NRECON.format(step=3, width=9))
    assert (found, repairs) == (pytest.approx((0.0435, 0.0145, 0.0145)), ())
    found, repairs = spacing(tmp_path / "b", 2, log=NRECON.format(step=1, width=9))
    assert (found, repairs) == (pytest.approx((0.0145, 0.0145, 0.0145)), ("z_spacing_assumed",))


@pytest.mark.parametrize(
    "files",
    [
        {"log": NRECON.format(step=1, width=18)},
        {"log": NRECON.replace("[Reconstruction]", "[Acquisition]").format(step=1, width=9)},
        {"log": "[Reconstruction]\nPixel Size (um)=none\n"},
        {"xtekct": NIKON.format(z=5)},
        {"vgi": GRAPHICS.format(z=4).replace("unit = mm", "")},
        {"vgi": GRAPHICS.format(z=4), "xtekct": NIKON.format(z=4).replace("0.013", "0.026")},
    ],
    ids=["other size", "projections", "damaged", "other stack", "no unit", "two words"],
)
def test_what_is_not_certain_is_not_believed(tmp_path, files):
    assert spacing(tmp_path / "s", **files) == ((1.0, 1.0, 1.0), ("spacing_assumed",))


@pytest.mark.parametrize("files", [{"xtekct": NIKON}, {"vgi": GRAPHICS}])
def test_volume_descriptions_of_as_many_voxels_are_believed(tmp_path, files):
    told = {ending: text.format(z=4) for ending, text in files.items()}
    assert spacing(tmp_path / "s", **told) == (pytest.approx((0.013, 0.012, 0.011)), ())
    tifffile.imwrite(tmp_path / "one.tif", np.ones((4, 8, 9), np.uint8), photometric="minisblack")
    for ending, text in told.items():
        (tmp_path / f"one.{ending}").write_text(text)
    with open_source(tmp_path / "one.tif") as source:
        assert source.header.geometry.spacing_mm == pytest.approx((0.013, 0.012, 0.011))
