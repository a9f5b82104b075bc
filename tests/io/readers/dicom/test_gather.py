"""One series out of messy folders."""

import numpy as np
import pydicom
import pytest
from pydicom.uid import generate_uid

from somray.errors import DataError
from somray.io.readers import open_source
from tests.io.dicom_files import field, make_slice, save

OTHER_SERIES = generate_uid(entropy_srcs=["other"])


def stack(count=5, step=3.0, **changes):
    return [make_slice((5.0, -7.0, 11.0 + step * i), **changes) for i in range(count)]


def refusal(place):
    with pytest.raises(DataError) as caught:
        open_source(place)
    return caught.value


def values(source):
    header = source.header
    found = source.read(0, 0, header.shape[1])
    grid = np.argwhere(np.ones(found.shape, dtype=bool)).astype(float)
    np.testing.assert_allclose(found.ravel(), field(header.geometry.to_world(grid)), atol=0.02)
    return found


def report_of(kind="SR", sop="1.2.840.10008.5.1.4.1.1.88.11", **changes):
    """Make an object that is no image."""
    data = make_slice((0, 0, 0), Modality=kind, SOPClassUID=sop, Rows=None, Columns=None, PixelData=None,
                      SeriesInstanceUID=OTHER_SERIES, **changes)  # fmt: skip
    data.file_meta.MediaStorageSOPClassUID = sop
    return data


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("Thumbs.db", b"\xd0\xcf\x11\xe0" + b"\0" * 600, ()),
        ("DICOMDIR", b"x" * 600, ()),
        (".DS_Store", b"x" * 600, ()),
        ("._000.dcm", b"\0\5\x16\7" + b"\0" * 200, ()),
        ("report.pdf", b"%PDF", ()),
        ("VERSION", b"1", ("litter_left_out",)),
        ("LOCKFILE", b"", ("litter_left_out",)),
        ("autorun.sh", b"#!/bin/sh\n" + b"x" * 300, ("litter_left_out",)),
    ],
)
def test_litter_is_left_out_and_told(tmp_path, name, content, code):
    folder = save(tmp_path / "a", stack())
    (folder / name).write_bytes(content)
    with open_source(folder) as source:
        assert len(values(source)) == 5
        assert source.header.repairs == code


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("009.dcm", b"", "truncated"),
        ("009.dcm", b"\0" * 60, "truncated"),
        ("009.dcm", b"\0" * 4000, "unreadable"),
        ("slice6", b"x" * 4000, "unreadable"),
        ("late.DCM", b"x" * 4000, "unreadable"),
    ],
)
def test_what_may_be_a_damaged_slice_is_never_left_out(tmp_path, name, content, code):
    folder = save(tmp_path / "a", stack())
    (folder / name).write_bytes(content)
    error = refusal(folder)
    assert error.code == code
    assert name in error.message


@pytest.mark.parametrize(
    ("kind", "sop"),
    [
        ("SR", "1.2.840.10008.5.1.4.1.1.88.11"), ("PR", "1.2.840.10008.5.1.4.1.1.11.1"),
        ("SEG", "1.2.840.10008.5.1.4.1.1.66.4"), ("DOC", "1.2.840.10008.5.1.4.1.1.104.1"),
        ("OT", "1.2.840.10008.5.1.4.1.1.66"), ("KO", "1.2.840.10008.5.1.4.1.1.88.59"),
    ],
)  # fmt: skip
def test_objects_beside_the_series_are_left_out_and_refused_by_themselves(tmp_path, kind, sop):
    folder = save(tmp_path / "a", [*stack(), report_of(kind, sop)])
    with open_source(folder) as source:
        assert len(values(source)) == 5
        assert source.header.repairs == ("objects_left_out",)
    assert refusal(folder / "005.dcm").code == "unreadable"
    alone = save(tmp_path / "b", [report_of(kind, sop)])
    assert refusal(alone).code == "unreadable"


def test_scouts_and_captures_of_their_own_series_are_left_out(tmp_path):
    scout = make_slice((0, 0, 0), (0, 1, 0, 0, 0, -1), SeriesInstanceUID=OTHER_SERIES,
                       ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])  # fmt: skip
    capture = make_slice((0, 0, 0), SeriesInstanceUID="1.2.9", ImagePositionPatient=None,
                         SOPClassUID="1.2.840.10008.5.1.4.1.1.7", SamplesPerPixel=3)  # fmt: skip
    with open_source(save(tmp_path / "a", [scout, *stack(), capture])) as source:
        assert len(values(source)) == 5
        assert source.header.repairs == ("objects_left_out", "scouts_left_out")
    assert refusal(save(tmp_path / "b", [scout])).code == "localizer"


def test_several_series_are_refused_with_a_file_of_each_and_either_can_be_named(tmp_path):
    other = stack(4, SeriesInstanceUID=OTHER_SERIES)
    folder = save(tmp_path / "a", [*stack(), *other])
    error = refusal(folder)
    assert error.code == "mixed_series"
    assert "000.dcm" in error.message
    assert "005.dcm" in error.message
    for name, count in (("002.dcm", 5), ("007.dcm", 4)):
        with open_source(folder / name) as source:
            assert len(values(source)) == count
            assert source.header.repairs == ("series_completed",)


def test_a_series_in_subfolders_is_found_and_several_are_named(tmp_path):
    slices = stack()
    save(tmp_path / "disk", [])
    save(tmp_path / "disk/A", slices[:2])
    save(tmp_path / "disk/B", slices[2:])
    (tmp_path / "disk/autorun.inf").write_text("x")
    (tmp_path / "disk/__MACOSX").mkdir()
    (tmp_path / "disk/__MACOSX/a.dcm").write_bytes(b"x" * 300)
    with open_source(tmp_path / "disk") as source:
        assert len(values(source)) == 5
    save(tmp_path / "disk/C", stack(SeriesInstanceUID=OTHER_SERIES))
    error = refusal(tmp_path / "disk")
    assert error.code == "mixed_series"
    assert str(tmp_path / "disk/A") in error.message
    assert str(tmp_path / "disk/C") in error.message


def test_files_without_suffix_preamble_or_meta_header_are_read(tmp_path):
    folder = tmp_path / "a"
    folder.mkdir()
    for i, data in enumerate(stack()):
        del data.file_meta
        implicit, little = ((True, True), (False, True), (False, False))[i % 3]
        if not little:
            data.PixelData = np.frombuffer(data.PixelData, "<i2").astype(">i2").tobytes()
        pydicom.dcmwrite(folder / f"IM{i}", data, implicit_vr=implicit, little_endian=little,
                         enforce_file_format=False)  # fmt: skip
    with open_source(folder) as source:
        source.verify()
        assert len(values(source)) == 5
        assert source.header.repairs == ()


def test_a_part_of_a_volume_that_is_not_there_is_missing(tmp_path):
    parts = stack(3)
    for i, data in enumerate(parts):
        data.ConcatenationUID, data.InConcatenationNumber = "1.2.3", i + 1
        data.InConcatenationTotalNumber = 3
    with open_source(save(tmp_path / "a", parts)) as source:
        assert len(values(source)) == 3
    error = refusal(save(tmp_path / "b", parts[:2]))
    assert error.code == "missing"
    assert "part 3" in error.message


def test_a_patient_id_written_in_two_ways_is_one_patient(tmp_path):
    slices = [
        make_slice((0, 0, 3.0 * i), PatientID=("ab1", "AB1 ", "Ab1")[i % 3]) for i in range(5)
    ]
    with open_source(save(tmp_path / "a", slices)) as source:
        assert len(values(source)) == 5


def test_a_tiff_folder_above_dicom_folders_is_not_taken_for_dicom(tmp_path):
    save(tmp_path / "x", [])
    save(tmp_path / "x/y", stack())
    (tmp_path / "x/a.tif").write_bytes(b"II*\0")
    assert refusal(tmp_path / "x").code == "unreadable"
