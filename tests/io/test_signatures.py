"""Whatever of a source is replaced, its signature tells, even where size and time of modification are kept."""

import os

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
import tifffile

from somray.io import signatures
from somray.io.signatures import source_signature
from tests.io.dicom_files import make_slice, save


def replaced(path, data=None):
    """Write a file anew with its old size and time of modification, as some copying tools do."""
    before = path.stat()
    path.write_bytes(data or bytes(before.st_size))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_mtime_ns == before.st_mtime_ns


def written(path, name):
    image = sitk.GetImageFromArray(np.arange(60, dtype=np.int16).reshape(3, 4, 5))
    sitk.WriteImage(image, str(path / name))


@pytest.mark.parametrize(
    ("header", "pixels"),
    [
        ("a.nii", "a.nii"), ("a.mhd", "a.raw"), ("a.nhdr", "a.raw"), ("a.hdr", "a.img"),
        ("a.img", "a.hdr"),
    ],
)  # fmt: skip
def test_pixels_replaced_behind_an_unchanged_header_are_seen(header, pixels, tmp_path):
    written(tmp_path, header)
    (tmp_path / "other.raw").write_bytes(b"not its own")
    before = source_signature(str(tmp_path / header))
    assert source_signature(str(tmp_path / header)) == before
    replaced(tmp_path / "other.raw")
    assert source_signature(str(tmp_path / header)) == before
    replaced(tmp_path / pixels)
    assert source_signature(str(tmp_path / header)) != before


def test_numbered_pixel_files_belong_to_their_header(tmp_path):
    for style in ("ElementDataFile = s%02d.raw 1 3 1", "ElementDataFile = LIST\ns01.raw\ns02.raw"):
        (tmp_path / "a.mhd").write_text(f"ObjectType = Image\nNDims = 3\n{style}\n")
        for n in (1, 2, 3):
            (tmp_path / f"s{n:02d}.raw").write_bytes(b"ab")
        before = source_signature(str(tmp_path / "a.mhd"))
        replaced(tmp_path / "s02.raw")
        assert source_signature(str(tmp_path / "a.mhd")) != before


def test_the_files_of_an_ome_set_belong_to_its_first(tmp_path):
    tifffile.imwrite(tmp_path / "b.ome.tif", np.zeros((4, 4), np.uint8))
    text = '<OME><Image><Pixels><TiffData><UUID FileName="b.ome.tif">x</UUID></TiffData></Pixels></Image></OME>'
    tifffile.imwrite(
        tmp_path / "a.ome.tif", np.zeros((4, 4), np.uint8), description=text, metadata=None
    )
    before = source_signature(str(tmp_path / "a.ome.tif"))
    replaced(tmp_path / "b.ome.tif")
    assert source_signature(str(tmp_path / "a.ome.tif")) != before


def test_a_dicom_file_stands_for_the_series_beside_it(tmp_path):
    save(tmp_path, [make_slice((0, 0, z)) for z in range(3)])
    before = source_signature(str(tmp_path / "001.dcm"))
    replaced(tmp_path / "002.dcm", (tmp_path / "002.dcm").read_bytes())
    assert source_signature(str(tmp_path / "001.dcm")) != before
    before = source_signature(str(tmp_path / "001.dcm"))
    save(tmp_path, [make_slice((0, 0, 3))], names=["late.dcm"])
    assert source_signature(str(tmp_path / "001.dcm")) != before


def test_of_a_flat_folder_only_the_files_of_the_series_count(tmp_path, monkeypatch):
    save(tmp_path, [make_slice((0, 0, z)) for z in range(3)])
    own = str(tmp_path / "001.dcm")
    before = source_signature(own)
    save(tmp_path, [make_slice((0, 0, 9), SeriesInstanceUID="1.2.9")], names=["other.dcm"])
    (tmp_path / "notes").write_text("no DICOM")
    assert source_signature(own) == before
    (tmp_path / "cut.dcm").write_bytes((tmp_path / "002.dcm").read_bytes()[:140])
    assert source_signature(own) != before  # it may be a slice
    monkeypatch.setattr(signatures, "MOST_READ", 3)
    before = source_signature(own)
    (tmp_path / "more").write_text("no DICOM")
    assert source_signature(own) != before  # too many to be read


def test_of_a_folder_every_file_counts_by_its_place(tmp_path):
    for name in ("one/1.dcm", "one/2.dcm", "two/1.dcm"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"abc")
    before = source_signature(str(tmp_path))
    assert [facts[0] for facts in before] == ["one/1.dcm", "one/2.dcm", "two/1.dcm"]
    replaced(tmp_path / "two/1.dcm")
    assert source_signature(str(tmp_path)) != before


def test_what_is_missing_or_damaged_is_told_and_never_raised(tmp_path):
    assert source_signature(None) == []
    assert source_signature(str(tmp_path / "none.nii")) == [["none.nii", "missing"]]
    assert source_signature("x" * 300) == [["x" * 300, "missing"]]  # longer than a name can be
    os.mkfifo(tmp_path / "pipe")  # whose reader would wait for ever
    assert source_signature(str(tmp_path / "pipe"))[0][0] == "pipe"
    (tmp_path / "a.mhd").write_bytes(
        bytes(range(256)) * 20 + b"\nElementDataFile = \0x\n" + b"y" * 9000
    )
    assert len(source_signature(str(tmp_path / "a.mhd"))) == 1


def test_a_store_behind_a_url_tells_its_objects():
    import fsspec

    memory = fsspec.filesystem("memory")
    memory.pipe_file("/signed/a.nii", b"abc")
    url = "memory://signed/a.nii"
    before = source_signature(url)
    assert before == source_signature(url)
    memory.pipe_file("/signed/a.nii", b"abcd")
    assert source_signature(url) != before
    assert source_signature("memory://signed/none") == [["memory://signed/none", "missing"]]


def test_a_channel_and_a_file_url_are_the_file_itself(tmp_path):
    file = tmp_path / "a.tif"
    file.write_bytes(b"one")
    known = source_signature(f"{file}#channel=CT")
    assert known == source_signature(str(file)) == source_signature(f"file://{file}")
    file.write_bytes(b"another")
    assert source_signature(f"{file}#channel=CT") != known
    assert "secret" not in str(source_signature("zzz://user:secret@a/b"))
