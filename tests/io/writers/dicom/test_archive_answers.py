"""Answers to an archive: segmentations that may be empty, and reports; judged by dciodvfy and highdicom."""

import shutil
import subprocess
import warnings

import highdicom
import numpy as np
import pydicom
import pytest

from somray.io.readers import open_source
from somray.io.storage import Storage
from somray.io.writers.dicom.seg import write_seg
from somray.io.writers.dicom.slices import Remarks, SliceMask, read_slices
from somray.io.writers.dicom.structured import Findings, MeasuredSegment, write_structured
from somray.io.writers.voxels import Segment
from tests.io.dicom_files import make_slice, save

SEGMENTS = (
    Segment(1, "lesion 1", (200, 0, 0, 255), is_finding=True),
    Segment(2, "lesion, small parts", (200, 90, 0, 255), is_finding=True),
)
REMARKS = Remarks("somray lesion (som)", "lesion", "Found by a program.", (("model", "abc"),))


def written(folder, source, *, is_empty, remarks=REMARKS):
    """Write a segmentation and a report of a drawn mask; returns both, read again."""
    with open_source(str(source)) as opened:
        files = opened.slice_files(0)
    pixels = np.zeros((len(files), *files[0].plane.shape[1:]), np.uint8)
    if not is_empty:
        pixels[0, 1:4, 1:5], pixels[-1, 0, 0] = 1, 2
    storage = Storage.at(folder)
    mask = SliceMask(read_slices(files), pixels, SEGMENTS, "lesions", "1.0", remarks)
    write_seg(storage, "seg.dcm", mask)
    lesions = () if is_empty else (MeasuredSegment(1, "lesion 1", 1.25),)
    verdicts = (("NONE_FOUND", "No lesion found"),) if is_empty else (("NO_DOUBT", "None"),)
    found = Findings(lesions, 0.0 if is_empty else 1.5, verdicts, (("model", "abc"),), "volumes")
    write_structured(storage, "sr.dcm", "seg.dcm", read_slices(files), found)
    return folder / "seg.dcm", folder / "sr.dcm"


def errors(file):
    if shutil.which("dciodvfy") is None:
        pytest.skip("dciodvfy (Debian's dicom3tools) is not installed")
    told = subprocess.run(["dciodvfy", "-new", file], capture_output=True, text=True, check=False)
    return [line for line in (told.stderr + told.stdout).splitlines() if "Error" in line]


@pytest.fixture
def series(tmp_path):
    rules = {"StudyInstanceUID": "1.2.3", "FrameOfReferenceUID": "1.2.4", "StudyTime": "101112"}
    return save(
        tmp_path / "series",
        [make_slice((0, 0, 2 * z), InstanceNumber=z + 1, **rules) for z in range(4)],
    )


def test_that_nothing_was_found_is_an_answer(tmp_path, series):
    seg, report = written(tmp_path, series, is_empty=True)
    assert errors(seg) == errors(report) == []
    read = highdicom.seg.segread(seg)
    assert read.number_of_segments == 1
    assert read.get_volume(combine_segments=True, rescale_fractional=False).array.sum() == 0
    assert len(read.PerFrameFunctionalGroupsSequence) == 4
    (group,) = highdicom.sr.srread(report).content.get_image_measurement_groups()
    assert [one.value for one in group.get_measurements()] == [0.0]
    assert [one.value.value for one in group.get_qualitative_evaluations()] == ["NONE_FOUND"]


def test_the_same_answer_is_the_same_bytes_and_another_is_another_object(tmp_path, series):
    first = [file.read_bytes() for file in written(tmp_path / "a", series, is_empty=False)]
    second = [file.read_bytes() for file in written(tmp_path / "b", series, is_empty=False)]
    assert first == second
    doubt = Remarks(REMARKS.series, REMARKS.content, "DRIFTED: far off.", REMARKS.parameters)
    third = written(tmp_path / "c", series, is_empty=False, remarks=doubt)
    uids = {pydicom.dcmread(file).SOPInstanceUID for file in (tmp_path / "a/seg.dcm", third[0])}
    assert len(uids) == 2


def test_a_report_refers_to_its_segments(tmp_path, series):
    seg, report = written(tmp_path, series, is_empty=False)
    assert errors(seg) == errors(report) == []
    content = highdicom.sr.srread(report).content
    (group,) = content.get_volumetric_roi_measurement_groups()
    place = group.referenced_segment
    assert place.referenced_sop_instance_uid == pydicom.dcmread(seg).SOPInstanceUID
    assert list(place.referenced_segment_numbers) == [1]
    assert group.get_measurements()[0].value == 1.25


def test_names_in_other_scripts_stay_what_they_are(tmp_path):
    name = "Yamada^Tarou=山田^太郎"
    rules = {"StudyInstanceUID": "1.2.3", "FrameOfReferenceUID": "1.2.4", "StudyTime": "101112"}
    told = {"SpecificCharacterSet": ["", "ISO 2022 IR 87"], "PatientName": name}
    slices = [make_slice((0, 0, 2 * z), InstanceNumber=z, **rules, **told) for z in range(2)]
    for file in written(tmp_path, save(tmp_path / "series", slices), is_empty=False):
        assert str(pydicom.dcmread(file).PatientName) == name
        assert errors(file) == []


@pytest.mark.parametrize("scan", ["ct_3slices/dicom", "pet_wholebody_QIN24/dicom_pt"])
def test_answers_to_real_scans_are_valid(real_data, tmp_path, scan):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # how real headers spell names
        seg, report = written(tmp_path, real_data / scan, is_empty=False)
    assert errors(seg) == errors(report) == []
