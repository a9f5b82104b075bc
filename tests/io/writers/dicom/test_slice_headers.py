"""Headers of the slices that a mask refers to."""

import numpy as np
import pydicom
import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian

from somray.domain.geometry import Geometry
from somray.errors import ExportError
from somray.io.readers.source import SliceFile
from somray.io.writers.dicom.slices import SliceMask, carried_over, plain_name, read_slices
from somray.io.writers.voxels import Segment
from tests.io.dicom_files import COLUMNS, ROWS, make_slice, save

PLANE = Geometry.from_spacing((1, ROWS, COLUMNS), (2.0, 1.5, 0.75))


def files_of(folder, slices):
    return tuple(SliceFile(str(p), 0, PLANE) for p in sorted(save(folder, slices).iterdir()))


def made(**changes):
    return make_slice(
        (0, 0, 0), **{"StudyInstanceUID": "1.2.3", "FrameOfReferenceUID": "1.2.4", **changes}
    )


def test_what_is_not_said_is_empty_and_what_is_wrong_too(tmp_path):
    with pytest.warns(UserWarning, match="Invalid value"):
        files = files_of(tmp_path / "a", [made(PatientSex="W", StudyDate="2001", StudyTime="noon")])
    slices = read_slices(files)
    assert (slices.first.PatientSex, slices.first.StudyDate, slices.first.StudyTime) == ("", "", "")
    assert slices.first.AccessionNumber == ""
    assert slices.first.PatientID == "SECRET-ID"


@pytest.mark.parametrize("name", ["StudyInstanceUID", "FrameOfReferenceUID"])
def test_without_a_reference_nothing_is_made(tmp_path, name):
    with pytest.raises(ExportError, match=f"000.dcm: lacks .*{name}") as caught:
        read_slices(files_of(tmp_path / "a", [made(**{name: None})]))
    assert "SECRET" not in str(caught.value)


def test_deflated_files_and_files_without_a_preamble_are_read(tmp_path):
    header = made()
    header.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    (deflated,) = files_of(tmp_path / "a", [header])
    bare = tmp_path / "bare.dcm"
    pydicom.dcmwrite(bare, made(), enforce_file_format=False, implicit_vr=False, little_endian=True)
    slices = read_slices((deflated, SliceFile(str(bare), 0, PLANE)))
    assert [h.StudyInstanceUID for h in slices.headers] == ["1.2.3", "1.2.3"]


def test_dates_come_from_the_source_and_uids_from_what_is_made(tmp_path):
    dated = read_slices(files_of(tmp_path / "a", [made()]))
    undated = read_slices(files_of(tmp_path / "b", [made(StudyDate=None)]))
    assert dated.moment == ("20010203", "000000")
    assert undated.moment == ("19000101", "000000")
    assert dated.uid("a") == dated.uid("a") != dated.uid("b")
    assert dated.uid("a") != undated.uid("a")


def test_an_empty_mask_is_refused(tmp_path):
    slices = read_slices(files_of(tmp_path / "a", [made()]))
    segment = Segment(1, "lesion 1", (1, 2, 3, 255), is_finding=True)
    mask = SliceMask(slices, np.zeros((1, ROWS, COLUMNS), np.uint8), (segment,), "lesions", "1")
    with pytest.raises(ExportError, match="the mask is empty"):
        _ = mask.present


def test_names_fit_every_character_set():
    names = ["Hämatom", "脳", "a\\b", "x" * 70]
    plain = [plain_name(Segment(5, name, (1, 2, 3, 255), is_finding=False)) for name in names]
    assert plain == ["Hamatom", "class 5", "a/b", "x" * 64]


@pytest.mark.parametrize("text", ["no room", "SECRET-ID is wrong", "19550505"])
def test_what_fails_never_tells_whom_it_is_about(tmp_path, text):
    slices = read_slices(files_of(tmp_path / "a", [made()]))

    def broken():
        with carried_over(slices):
            raise ValueError(text)

    with pytest.raises(ExportError, match="cannot be carried over") as caught:
        broken()
    assert ("no room" in str(caught.value)) == (text == "no room")
    assert "SECRET" not in str(caught.value)
    assert "1955" not in str(caught.value)
