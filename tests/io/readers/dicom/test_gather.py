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


def test_dicom_in_files_called_pictures_is_dicom(tmp_path):
    names = [f"{n}.jpg" for n in range(5)]
    for place in (save(tmp_path / "a", stack(), names=names), tmp_path / "a/2.jpg"):
        with open_source(place) as source:
            assert source.header.shape[1] == 5


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


@pytest.mark.parametrize("sop", ["1.3.46.670589.11.0.0.12.1", "1.3.12.2.1107.5.9.1"])
def test_private_objects_of_vendors_are_left_out_but_a_slice_without_its_size_is_not(tmp_path, sop):
    folder = save(tmp_path / "a", [*stack(), report_of("CT", sop)])
    with open_source(folder) as source:
        assert len(values(source)) == 5
        assert source.header.repairs == ("objects_left_out",)
    assert "private" in refusal(folder / "005.dcm").message
    cut = report_of("CT", "1.2.840.10008.5.1.4.1.1.2")
    assert refusal(save(tmp_path / "b", [*stack(), cut])).code == "truncated"


def test_raw_data_with_rows_and_columns_are_no_slice(tmp_path):
    raw = make_slice((0, 0, 0), SOPClassUID="1.2.840.10008.5.1.4.1.1.66", PixelData=None)
    with open_source(save(tmp_path / "a", [*stack(), raw])) as source:
        assert source.header.repairs == ("objects_left_out",)


def test_the_index_of_a_disk_says_what_to_name(tmp_path):
    index = report_of(sop="1.2.840.10008.1.3.10", SOPInstanceUID="1.2.3")
    folder = save(tmp_path / "a", [index, *stack()], ["DICOMDIR", *(f"{n}.dcm" for n in range(5))])
    assert "index of a disk" in refusal(folder / "DICOMDIR").message
    with open_source(folder) as source:
        assert len(values(source)) == 5


def test_a_series_whose_other_part_lies_below_is_refused_and_copies_there_are_not(tmp_path):
    slices = stack()
    folder = save(tmp_path / "a", slices)
    save(folder / "backup", slices[:2])
    with open_source(folder) as source:
        assert len(values(source)) == 5
    save(folder / "more", [make_slice((5.0, -7.0, 26.0))])
    error = refusal(folder)
    assert error.code == "mixed_series"
    assert "more/000.dcm" in error.message


def test_slices_with_a_series_each_are_told_as_such(tmp_path):
    for n, data in enumerate(slices := stack(6)):
        data.SeriesInstanceUID = f"1.2.{n + 1}"
    error = refusal(save(tmp_path / "a", slices))
    assert error.code == "mixed_series"
    assert "each of 6 slices names another series" in error.message


def test_a_class_tells_the_modality_that_an_anonymiser_took(tmp_path):
    with open_source(save(tmp_path / "a", stack(Modality=None))) as source:
        assert (source.header.modality, source.header.unit) == ("CT", "HU")


@pytest.mark.parametrize("how", ["name", "number"])
def test_a_mosaic_is_no_slice(tmp_path, how):
    changes = {"ImageType": ["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"]} if how == "name" else {}
    data = make_slice((0, 0, 0), Modality="MR", **changes)
    if how == "number":
        block = data.private_block(0x0019, "SIEMENS MR HEADER", create=True)
        block.add_new(0x0A, "US", 36)
    error = refusal(save(tmp_path / "a", [data]))
    assert error.code == "unreadable"
    assert "mosaic" in error.message


def test_a_slice_whose_content_is_not_here_is_missing(tmp_path):
    folder = save(tmp_path / "a", stack())
    last = folder / "004.dcm"
    last.unlink()
    last.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    assert (refusal(folder).code, "git lfs" in refusal(folder).message) == ("missing", True)
    last.unlink()
    last.symlink_to("../.git/annex/objects/none")
    assert (refusal(folder).code, "004.dcm" in refusal(folder).message) == ("missing", True)


def test_series_whose_uids_were_taken_are_told_apart_by_their_numbers(tmp_path):
    taken = {"SeriesInstanceUID": None, "FrameOfReferenceUID": None, "PatientID": ""}
    slices = [make_slice((0, 0, z), SeriesNumber="2", **taken) for z in (0, 2, 4)]
    for place in (save(tmp_path / "a", slices), tmp_path / "a/001.dcm"):
        with open_source(place) as source:
            assert source.header.shape[1] == 3
    between = [make_slice((0, 0, z), SeriesNumber="3", **taken) for z in (1, 3, 5)]
    save(tmp_path / "a", between, names=["a.dcm", "b.dcm", "c.dcm"])
    with pytest.raises(DataError, match="holds 2 series"):
        open_source(tmp_path / "a")
