"""OME-TIFF sets: named by any file, the folder or the companion; members missing, renamed or foreign."""

import numpy as np
import pytest
import tifffile

from somray.errors import DataError
from somray.io.readers import open_source

VALUES = (
    np.random.default_rng(0).integers(0, 250, (2, 3, 2, 8, 9)).astype(np.uint16)
)  # t, z, c, y, x
UUID = "urn:uuid:00000000-0000-4000-8000-{:012d}"
HEAD = '<?xml version="1.0" encoding="UTF-8"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"'


def pixels(parts):
    return (
        '<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint16" SizeX="9" SizeY="8" '
        'SizeZ="3" SizeC="2" SizeT="2" PhysicalSizeX="12" PhysicalSizeY="14" PhysicalSizeZ="24">'
        f'<Channel ID="Channel:0:0" Name="a"/><Channel ID="Channel:0:1" Name="b"/>{parts}</Pixels></Image>'
    )


def make_set(folder, binary_only=None, uuids=True):
    """One file per time and slice, its two pages the channels."""
    folder.mkdir()
    places = [(t, z) for t in range(2) for z in range(3)]
    parts = "".join(
        f'<TiffData FirstT="{t}" FirstZ="{z}" IFD="0" PlaneCount="2"><UUID FileName="s{z}_{t}.ome.tif">'
        f"{UUID.format(n)}</UUID></TiffData>"
        for n, (t, z) in enumerate(places)
    )
    for n, (t, z) in enumerate(places):
        uuid = f' UUID="{UUID.format(n)}"' if uuids else ""
        body = (
            f'<BinaryOnly MetadataFile="{binary_only}" UUID="x"/>' if binary_only else pixels(parts)
        )
        with tifffile.TiffWriter(folder / f"s{z}_{t}.ome.tif") as file:
            for c in range(2):
                text = f"{HEAD}{uuid}>{body}</OME>" if c == 0 else None
                file.write(VALUES[t, z, c], description=text, metadata=None, contiguous=False)
    if binary_only:
        (folder / binary_only).write_text(f"{HEAD}>{pixels(parts)}</OME>")


def check(path, channel):
    with open_source(f"{path}#channel={channel}") as source:
        source.verify()
        assert source.header.shape == (2, 3, 8, 9)
        assert source.header.geometry.spacing_mm == pytest.approx((0.024, 0.014, 0.012))
        for t in (1, 0):
            np.testing.assert_array_equal(source.read(t, 0, 3), VALUES[t, :, "ab".index(channel)])


@pytest.mark.parametrize("name", ["", "s0_0.ome.tif", "s2_1.ome.tif"])
@pytest.mark.parametrize("channel", ["a", "b"])
def test_any_file_of_a_set_and_its_folder_name_the_whole(tmp_path, name, channel):
    make_set(tmp_path / "set")
    check(tmp_path / "set" / name, channel)


@pytest.mark.parametrize("name", ["", "s1_1.ome.tif", "all.companion.ome"])
def test_a_companion_describes_files_that_hold_pixels_alone(tmp_path, name):
    make_set(tmp_path / "set", binary_only="all.companion.ome")
    check(tmp_path / "set" / name, "b")


def test_missing_files_and_a_missing_companion_are_named(tmp_path):
    make_set(tmp_path / "set")
    (tmp_path / "set" / "s1_1.ome.tif").unlink()
    make_set(tmp_path / "only", binary_only="all.companion.ome")
    (tmp_path / "only" / "all.companion.ome").unlink()
    for path, lost in (("set", "s1_1.ome.tif"), ("only/s0_0.ome.tif", "all.companion.ome")):
        with pytest.raises(DataError, match=lost) as caught:
            open_source(tmp_path / path)
        assert caught.value.code == "missing"


def test_renamed_files_are_found_by_their_uuid(tmp_path):
    make_set(tmp_path / "set")
    for file in list((tmp_path / "set").iterdir()):
        file.rename(file.with_name(f"renamed_{file.name}"))
    check(tmp_path / "set", "b")


def test_a_foreign_file_beside_a_set_is_not_passed_over(tmp_path):
    make_set(tmp_path / "set")
    tifffile.imwrite(tmp_path / "set" / "zz.tif", VALUES[0, 0, 0])
    with pytest.raises(DataError, match=r"zz\.tif") as caught:
        open_source(f"{tmp_path / 'set'}#channel=a")
    assert caught.value.code == "mixed_series"
    check(tmp_path / "set" / "s0_0.ome.tif", "a")


def test_members_of_another_size_or_cut_short_are_coded(tmp_path):
    make_set(tmp_path / "set")
    member = tmp_path / "set" / "s1_0.ome.tif"
    content = member.read_bytes()
    member.write_bytes(content[:-20])
    codes = []
    for _ in range(2):
        with pytest.raises(DataError) as caught:
            open_source(f"{tmp_path / 'set'}#channel=b")
        codes.append(caught.value.code)
        tifffile.imwrite(member, np.zeros((2, 7, 9), np.uint16), photometric="minisblack")
    assert codes == ["truncated", "mixed_series"]


def test_a_renamed_single_file_is_still_its_own(tmp_path):
    part = '<TiffData IFD="0" PlaneCount="6"><UUID FileName="before.ome.tif">urn:uuid:1</UUID></TiffData>'
    text = f"{HEAD}>{pixels(part)}</OME>".replace(
        'SizeZ="3" SizeC="2" SizeT="2"', 'SizeZ="6" SizeC="1" SizeT="1"'
    )
    with tifffile.TiffWriter(tmp_path / "after.ome.tif") as file:
        for n, plane in enumerate(VALUES[0].reshape(6, 8, 9)):
            file.write(plane, description=text if n == 0 else None, metadata=None, contiguous=False)
    with open_source(tmp_path / "after.ome.tif") as source:
        np.testing.assert_array_equal(source.read(0, 0, 6), VALUES[0].reshape(6, 8, 9))
