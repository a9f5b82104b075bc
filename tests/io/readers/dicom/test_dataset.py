"""Damaged headers end in words that name the field and quote nothing."""

import numpy as np
import pytest
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag
from pydicom.uid import DeflatedExplicitVRLittleEndian

from somray.errors import DataError
from somray.io.readers import open_source
from somray.io.readers.dicom import dataset
from tests.io.dicom_files import make_slice, save

SECRETS = ("Secret", "SECRET", "19550505", "20010203")


def read_all(place):
    with open_source(place) as source:
        source.verify()
        source.read(0, 0, source.header.shape[1])


def refusal(place):
    with pytest.raises(DataError) as caught:
        read_all(place)
    assert not any(secret in caught.value.message for secret in SECRETS)
    return caught.value


def raw(data, tag, vr, value):
    """Put bytes into an element as they are, in explicit little endian."""
    tag = Tag(tag)
    data._dict[tag] = RawDataElement(tag, vr, len(value), value, 0, False, True)


@pytest.mark.filterwarnings("ignore")  # pydicom on writing
@pytest.mark.parametrize(
    ("tag", "vr", "value", "field"),
    [
        (0x00280030, "DS", b"0,8\\0,8 ", "decimal comma"),
        (0x00280030, "DS", b"0.8 ", "PixelSpacing"),
        (0x00280030, "DS", b"Secret\\1 ", "PixelSpacing"),
        (0x00280030, "DS", b"nan\\1 ", "PixelSpacing"),
        (0x00280030, "LO", b"wide\\high ", "PixelSpacing"),
        (0x00200032, "DS", b"1\\2 ", "ImagePositionPatient"),
        (0x00200032, "DS", b"1\\2\\inf ", "ImagePositionPatient"),
        (0x00200037, "DS", b"1\\0\\0\\0\\1 ", "ImageOrientationPatient"),
        (0x00281053, "DS", b"20010203\\", "RescaleSlope"),
        (0x00281053, "LO", b"Secret", "RescaleSlope"),
        (0x00281052, "DS", b"- 1024", "RescaleIntercept"),
        (0x00280010, "LO", b"Secret", "Rows"),
        (0x00280100, "US", b"\x07\x00", "BitsAllocated"),
        (0x00280008, "IS", b"many", "NumberOfFrames"),
        (0x52009230, "LO", b"Secret", "PerFrameFunctionalGroupsSequence"),
    ],
)
def test_a_wrong_value_is_refused_by_its_field(tmp_path, tag, vr, value, field):
    data = make_slice((0, 0, 0))
    raw(data, tag, vr, value)
    error = refusal(save(tmp_path / "a", [data]))
    assert error.code == "unreadable"
    assert field in error.message


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"PixelSpacing": None}, "PixelSpacing"),
        ({"PixelSpacing": None, "ImagerPixelSpacing": [0.8, 0.8]}, "PixelSpacing"),
        ({"PixelSpacing": ""}, "PixelSpacing"),
        ({"ImagePositionPatient": None, "SliceLocation": "3"}, "ImagePositionPatient"),
        ({"ImageOrientationPatient": None}, "ImageOrientationPatient"),
        ({"ImageOrientationPatient": [0, 0, 0, 0, 0, 0]}, "ImageOrientationPatient"),
        ({"ImageOrientationPatient": [1, 0, 0, 1, 0, 0]}, "ImageOrientationPatient"),
        ({"PixelSpacing": [0, 0.8]}, "PixelSpacing"),
        ({"PixelSpacing": [0.8, -0.8]}, "PixelSpacing"),
    ],
)
def test_a_lack_of_geometry_is_refused_by_its_field(tmp_path, changes, field):
    slices = [make_slice((0, 0, 2.0 * i), **changes) for i in range(3)]
    error = refusal(save(tmp_path / "a", slices))
    assert error.code == "no_space"
    assert field in error.message


def test_a_single_slice_needs_no_position(tmp_path):
    data = make_slice((0, 0, 0), ImagePositionPatient=None, ImageOrientationPatient=None)
    with open_source(save(tmp_path / "a", [data])) as source:
        assert source.header.repairs == ("position_assumed",)
        assert source.header.geometry.spacing_mm == (2.0, 1.5, 0.75)


@pytest.mark.filterwarnings("ignore")  # pydicom on writing
def test_numbers_too_long_and_codes_in_small_letters_are_read(tmp_path):
    slices = []
    for i in range(3):
        data = make_slice((0, 0, 2.0 * i), Modality="ct", PhotometricInterpretation="monochrome2")
        raw(data, 0x00280030, "DS", b"1.50000000000000000000\\0.75000000000000000000 ")
        raw(data, 0x00281054, "LO", b"hu")
        slices.append(data)
    with open_source(save(tmp_path / "a", slices)) as source:
        assert source.header.geometry.spacing_mm == (2.0, 1.5, 0.75)
        assert (source.header.modality, source.header.unit) == ("CT", "HU")


def test_a_deflated_file_that_grows_without_bound_is_refused(tmp_path, monkeypatch):
    data = make_slice((0, 0, 0))
    data.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    folder = save(tmp_path / "a", [data])
    content = (folder / "000.dcm").read_bytes()
    monkeypatch.setattr(dataset, "INFLATED_BYTES", 100)
    assert "inflate" in refusal(folder).message
    monkeypatch.undo()
    (folder / "000.dcm").write_bytes(content[:-40])
    assert refusal(folder).code == "truncated"


def test_a_length_that_lies_ends_at_the_end_of_the_file(tmp_path):
    folder = save(tmp_path / "a", [make_slice((0, 0, 0), OtherPatientIDs="SECRET")])
    file = folder / "000.dcm"
    content = bytearray(file.read_bytes())
    at = content.index(b"\x10\x00\x10\x00PN")
    content[at + 4 : at + 6] = b"OB"
    content[at + 6 : at + 12] = b"\0\0" + np.uint32(4_000_000_000).tobytes()
    file.write_bytes(content)
    assert refusal(folder).code in ("truncated", "unreadable")


def test_random_damage_ends_in_a_code_or_a_volume(tmp_path):
    rng = np.random.default_rng(5)
    folder = save(tmp_path / "a", [make_slice((0, 0, 2.0 * i)) for i in range(3)])
    file = folder / "001.dcm"
    whole = file.read_bytes()
    told = []
    for trial in range(80):
        content = bytearray(whole)
        for _ in range(rng.integers(1, 6)):
            content[rng.integers(100, len(content))] = rng.integers(256)
        if trial % 3 == 0:
            content = content[: rng.integers(len(content))]
        file.write_bytes(content)
        try:
            read_all(folder)
        except DataError as error:
            told.append(error)
    assert {"truncated", "unreadable"} <= {error.code for error in told}
    assert not any(secret in error.message for secret in SECRETS for error in told)
