"""storescu → Orthanc → `somray dicom-node` → Orthanc: the mask of `somray apply`, said as DICOM says it."""

import json

import highdicom
import imagecodecs
import numpy as np
import pydicom
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000Lossless

from somray.cli import main
from tests.commands.dicom_node.servers import (
    NAME,
    PASSWORD,
    PATIENT,
    assert_valid,
    copied,
    node_arguments,
    places_of_apply,
    places_of_segmentation,
    turned_node,
)


def as_jpeg2000(data, n):
    pixels = imagecodecs.jpeg2k_encode(
        data.pixel_array, reversible=True, level=0, codecformat="J2K"
    )
    data.PixelData = encapsulate([pixels])
    data["PixelData"].is_undefined_length = True
    data.file_meta.TransferSyntaxUID = JPEG2000Lossless


def test_the_answer_is_the_mask_of_apply(fitted, orthanc, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SOMRAY_ARCHIVE_PASSWORD", PASSWORD)
    scan = copied(fitted / "ct_CT", tmp_path / "scan", "plain")
    orthanc.send(scan)
    arguments = node_arguments(fitted / "run", orthanc, tmp_path / "state", "--sr", "--json")
    assert main(arguments) == 0
    told = capsys.readouterr()
    assert json.loads(told.out) == {"series": {"sent": 1}, "codes": {}, "set_aside": 0}
    (seg,) = orthanc.objects("SEG")
    wanted = places_of_apply(fitted / "run", tmp_path / "applied", "ct", scan)
    assert len(wanted) > 50
    assert np.array_equal(places_of_segmentation(seg), wanted)
    assert_valid(seg, tmp_path)
    # The node's own objects are no scans: nothing happens when it looks again.
    assert main(arguments) == 0
    assert len(orthanc.ask("/series").json()) == 3
    assert_nothing_personal(capsys.readouterr().err + told.err, tmp_path / "state", scan)


def assert_nothing_personal(log, state, scan):
    """Neither log nor journal names anybody or an object of the scan."""
    data = pydicom.dcmread(next(scan.glob("*.dcm")))
    secret = [NAME, "Hidden", PATIENT, data.StudyInstanceUID, data.SeriesInstanceUID, data.SOPInstanceUID,
              data.FrameOfReferenceUID, data.StudyDate, PASSWORD]  # fmt: skip
    kept = "".join(file.read_text() for file in state.rglob("*") if file.is_file())
    assert [word for word in secret if str(word) in log + kept] == []
    assert state.stat().st_mode & 0o77 == 0
    assert [f for f in state.rglob("*") if f.is_file() and f.stat().st_mode & 0o77] == []


def test_a_segmentation_says_what_it_is_and_what_it_is_of(fitted, orthanc, tmp_path):
    scan = copied(fitted / "ct_CT", tmp_path / "scan", "said")
    orthanc.send(scan)
    with turned_node(fitted / "run", orthanc, tmp_path / "state", report=True) as node:
        node.answered()
    (seg,) = orthanc.objects("SEG")
    headers = [pydicom.dcmread(file) for file in sorted(scan.glob("*.dcm"))]
    assert seg.SegmentationType == "BINARY"
    assert (seg.StudyInstanceUID, seg.FrameOfReferenceUID) == (
        headers[0].StudyInstanceUID, headers[0].FrameOfReferenceUID,
    )  # fmt: skip
    referred = seg.ReferencedSeriesSequence[0]
    assert referred.SeriesInstanceUID == headers[0].SeriesInstanceUID
    uids = {one.ReferencedSOPInstanceUID for one in referred.ReferencedInstanceSequence}
    assert uids == {header.SOPInstanceUID for header in headers}
    for segment in seg.SegmentSequence:
        assert segment.SegmentedPropertyCategoryCodeSequence[0].CodeValue == "49755003"
        assert segment.SegmentedPropertyTypeCodeSequence[0].CodeValue == "52988006"
        assert segment.SegmentAlgorithmType == "AUTOMATIC"
        algorithm = segment.SegmentationAlgorithmIdentificationSequence[0]
        assert algorithm.AlgorithmName == "somray"
        assert "protocol=ct" in algorithm.AlgorithmParameters
        assert "model=" in algorithm.AlgorithmParameters
    used = {e.Manufacturer: e for e in seg.ContributingEquipmentSequence}
    assert used["somray"].PurposeOfReferenceCodeSequence[0].CodeValue == "109102"
    (report,) = orthanc.objects("SR")
    assert_valid(report, tmp_path)
    assert_volumes(report, seg)


def assert_volumes(report, seg):
    """The report's volumes are those of the segments it refers to; the first is of all."""
    volume = highdicom.seg.Segmentation.from_dataset(seg).get_volume(rescale_fractional=False)
    ml = volume.array.sum((0, 1, 2)) * volume.voxel_volume / 1000
    read = highdicom.sr.Comprehensive3DSR.from_dataset(report).content
    whole = read.get_image_measurement_groups()[0].get_measurements()[0]
    assert whole.value == pytest.approx(ml.sum(), abs=1e-5)
    groups = read.get_volumetric_roi_measurement_groups()
    assert 0 < len(groups) <= len(ml)
    for group in groups:
        place = group.referenced_segment
        assert place.referenced_sop_instance_uid == seg.SOPInstanceUID
        described = seg.SegmentSequence[int(place.referenced_segment_numbers[0]) - 1]
        assert group.tracking_uid == described.TrackingUID
        (measured,) = group.get_measurements()
        assert measured.unit.value == "ml"
        number = int(place.referenced_segment_numbers[0])
        assert measured.value == pytest.approx(ml[number - 1], abs=1e-5)


def test_jpeg_2000_is_read_as_what_was_compressed(fitted, orthanc, tmp_path):
    plain = copied(fitted / "ct_CT", tmp_path / "plain", "j2k")
    packed = copied(fitted / "ct_CT", tmp_path / "packed", "j2k", as_jpeg2000)
    orthanc.send(packed, syntax="-xv")
    with turned_node(fitted / "run", orthanc, tmp_path / "state") as node:
        node.answered()
    (stored,) = {one.file_meta.TransferSyntaxUID for one in orthanc.objects("CT")}
    assert stored == JPEG2000Lossless
    (seg,) = orthanc.objects("SEG")
    wanted = places_of_apply(fitted / "run", tmp_path / "applied", "ct", plain)
    assert np.array_equal(places_of_segmentation(seg), wanted)


def test_ct_waits_for_its_pet(fitted, orthanc, tmp_path):
    ct = copied(fitted / "petct_CT", tmp_path / "ct", "pair")
    pet = copied(fitted / "petct_PET", tmp_path / "pet", "pair")
    orthanc.send(ct)
    with turned_node(fitted / "run", orthanc, tmp_path / "state", report=True) as node:
        node.settled()
        assert node.states == ["settled"]
        orthanc.send(pet)
        node.after()
        assert node.states == ["seen", "settled"]
        node.settled()
        assert node.states == ["joined", "sent"]
    (seg,) = orthanc.objects("SEG")
    wanted = places_of_apply(fitted / "run", tmp_path / "applied", "petct", ct, pet)
    assert len(wanted) > 10
    assert np.array_equal(places_of_segmentation(seg), wanted)
    assert len(seg.ReferencedSeriesSequence) == 2
    (report,) = orthanc.objects("SR")
    assert_valid(seg, tmp_path)
    assert_valid(report, tmp_path)


def drift(data, n):
    noise = np.random.default_rng(n).normal(0, 260, data.pixel_array.shape)
    data.PixelData = np.clip(data.pixel_array + noise, 0, 4000).astype("<u2").tobytes()


def test_the_students_answer_is_judged_by_its_teacher(fitted, orthanc, tmp_path):
    scan = copied(fitted / "ct_CT", tmp_path / "scan", "student", drift)
    orthanc.send(scan)
    with turned_node(
        fitted / "run", orthanc, tmp_path / "state", protocols=("ct",), method=None
    ) as node:
        node.settled()
    (seg,) = orthanc.objects("SEG")
    assert "(student)" in seg.SeriesDescription
    assert "drifted" in seg.SeriesDescription
    run, out = fitted / "run", tmp_path / "applied"
    wanted = places_of_apply(run, out, "ct", scan, method="student")
    assert np.array_equal(places_of_segmentation(seg), wanted)
    assert ("none found" in seg.SeriesDescription) == (len(wanted) == 0)
    assert_valid(seg, tmp_path)


def test_a_scan_unlike_those_fitted_on_is_answered_with_its_doubt(fitted, orthanc, tmp_path):
    orthanc.send(copied(fitted / "ct_CT", tmp_path / "scan", "drift", drift))
    with turned_node(fitted / "run", orthanc, tmp_path / "state", report=True) as node:
        node.answered()
    (seg,) = orthanc.objects("SEG")
    assert "DOUBTFUL: drifted" in seg.SeriesDescription
    assert "DRIFTED: " in seg.SegmentSequence[0].SegmentDescription
    (report,) = orthanc.objects("SR")
    group = highdicom.sr.Comprehensive3DSR.from_dataset(
        report
    ).content.get_image_measurement_groups()[0]
    assert "DRIFTED" in {found.value.value for found in group.get_qualitative_evaluations()}
    assert_valid(report, tmp_path)
