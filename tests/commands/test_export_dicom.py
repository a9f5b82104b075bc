"""`somray export --format dicom-seg | rtstruct`: every mask on the slice of the source that it was drawn on."""

import itertools
import json
import shutil
import subprocess
import sys

import highdicom
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import RLELossless, generate_uid
from scipy.spatial.transform import Rotation
from skimage.draw import polygon2mask

from somray.cli import main
from somray.domain.run import ScanPlace
from somray.io.masks.opening import open_mask
from somray.io.masks.rtstruct import check_frame
from somray.io.ome.image import read_meta
from somray.io.storage import Storage
from tests.commands.ingested import balls, ingested
from tests.io.dicom_files import COLUMNS, ROWS, SERIES, make_slice, plane, save

GAP = 2.0
STUDY, FRAME = generate_uid(entropy_srcs=["study"]), generate_uid(entropy_srcs=["frame"])
HEADER = {
    "StudyInstanceUID": STUDY, "FrameOfReferenceUID": FRAME, "StudyTime": "101112", "PatientSex": "F",
    "AccessionNumber": "", "StudyID": "1", "ReferringPhysicianName": "", "SeriesNumber": 3,
    "PositionReferenceIndicator": "", "SeriesDate": "20010203", "SeriesTime": "101500", "Manufacturer": "Maker",
}  # fmt: skip
STRAIGHT = (1, 0, 0, 0, 1, 0)
MIDDLE = (2.5, 3.5, 4.0)  # mm from the first voxel along the rows, the columns and the normal


def turned(seed):
    axes = Rotation.random(random_state=seed).as_matrix()
    return tuple(np.round(np.concatenate([axes[:, 0], axes[:, 1]]), 8))


def series(orientation, count=5, slide=(0.0, 0.0, 0.0), heights=None, **changes):
    """Make slices along the normal; `slide` is what each moves within its plane and along it beside that."""
    row, column = np.array(orientation[:3]), np.array(orientation[3:])
    normal = np.cross(row, column)
    heights = heights or [GAP * z for z in range(count)]
    return [
        make_slice(
            np.round(np.array((-31.5, 20.25, 77.0)) + h * normal + z * np.array(slide), 6),
            orientation,
            **{**HEADER, "InstanceNumber": z + 1, **changes},
        )
        for z, h in enumerate(heights)
    ]


def within(slices, along=MIDDLE):
    """Return a place in LPS mm inside a series."""
    orientation = np.array(slices[0].ImageOrientationPatient, dtype=float)
    axes = [orientation[:3], orientation[3:], np.cross(orientation[:3], orientation[3:])]
    return np.array(slices[0].ImagePositionPatient, dtype=float) + np.array(along) @ axes


def run_of(folder, slices, draw, names=None, **rules):
    save(folder / "dicom", slices, names)
    return ingested(folder, [("s", "t0", "dicom")], draw, modality="CT", **rules)


def export(run, out, form, *arguments, code=0):
    assert main(["export", str(run), "--format", form, "--out", str(out), *arguments]) == code


def told(run, out, form, capsys, *arguments):
    code = main(["export", str(run), "--format", form, "--out", str(out), "--json", *arguments])
    found = json.loads(capsys.readouterr().out)
    assert code == (0 if found["files"] else 4)
    return found


def assert_valid(file):
    """Have dciodvfy find no error; a warning names what it does not know."""
    if shutil.which("dciodvfy") is None:
        pytest.skip("dciodvfy (Debian's dicom3tools) is not installed")
    told = subprocess.run(["dciodvfy", file], capture_output=True, text=True, check=False)
    assert "Error" not in told.stderr + told.stdout, told.stderr


def frames(file):
    """Give number of segment, referred instance, frame number there, position and pixels of every frame."""
    data = pydicom.dcmread(file)
    pixels = data.pixel_array.reshape(-1, data.Rows, data.Columns)
    shared = data.SharedFunctionalGroupsSequence[0]  # a single segment stands there
    for group, shown in zip(data.PerFrameFunctionalGroupsSequence, pixels, strict=True):
        source = group.DerivationImageSequence[0].SourceImageSequence[0]
        yield (
            int(
                (
                    group.get("SegmentIdentificationSequence")
                    or shared.SegmentIdentificationSequence
                )[0].ReferencedSegmentNumber
            ),
            source.ReferencedSOPInstanceUID,
            source.get("ReferencedFrameNumber"),
            np.array(group.PlanePositionSequence[0].ImagePositionPatient, dtype=float),
            shown.astype(bool),
        )


def assert_on_its_slices(file, slices, draw):
    """Every frame lies where its instance lies and shows what was drawn there; nothing drawn is missing."""
    by_uid = {s.SOPInstanceUID: s for s in slices}
    found = {}
    for segment, uid, _, position, shown in frames(file):
        place = by_uid[uid].ImagePositionPatient
        assert np.allclose(position, np.array(place, dtype=float), atol=1e-6)
        found[uid, segment] = shown
    for s in slices:
        places = plane(
            np.array(s.ImagePositionPatient, float), np.array(s.ImageOrientationPatient, float)
        )
        drawn = draw(places.reshape(-1, 3), 0).reshape(ROWS, COLUMNS)
        for segment in (1, 2):
            shown = found.get((s.SOPInstanceUID, segment), np.zeros((ROWS, COLUMNS), bool))
            assert np.array_equal(shown, drawn == segment)
    return found


@pytest.mark.parametrize("seed", range(4))
def test_frames_lie_on_their_slices_whatever_the_order_and_direction(tmp_path, seed):
    slices = series(turned(seed) if seed else STRAIGHT)
    order = np.random.default_rng(seed).permutation(len(slices)) if seed > 1 else [4, 3, 2, 1, 0]
    draw = balls((*within(slices), 2.4), (*within(slices, (0.3, 1.0, 7.9)), 1.2))
    run = run_of(tmp_path, slices, draw, [f"{n:03}.dcm" for n in order])
    export(run, tmp_path / "out", "dicom-seg", "--label", "lesions")
    file = tmp_path / "out/sub-s_ses-t0_lesions.dcm"
    assert len(assert_on_its_slices(file, slices, draw)) > 3
    assert_valid(file)
    data = pydicom.dcmread(file)
    assert (data.StudyInstanceUID, data.FrameOfReferenceUID) == (STUDY, FRAME)
    assert data.ReferencedSeriesSequence[0].SeriesInstanceUID == SERIES
    referred = data.ReferencedSeriesSequence[0].ReferencedInstanceSequence
    assert {r.ReferencedSOPClassUID for r in referred} == {slices[0].SOPClassUID}
    assert {r.ReferencedSOPInstanceUID for r in referred} == {s.SOPInstanceUID for s in slices}


def test_highdicom_reads_the_volume_back(tmp_path):
    slices = series(STRAIGHT)
    draw = balls((*within(slices), 2.4))
    run = run_of(tmp_path, slices, draw)
    export(run, tmp_path / "out", "dicom-seg", "--label", "student")
    seg = highdicom.seg.segread(tmp_path / "out/sub-s_ses-t0_student.dcm")
    uids = [s.SOPInstanceUID for s in slices]
    volume = seg.get_pixels_by_source_instance(
        uids, combine_segments=True, ignore_spatial_locations=False
    )
    places = np.stack([plane(np.array(s.ImagePositionPatient, float), STRAIGHT) for s in slices])
    assert np.array_equal(volume > 0, draw(places.reshape(-1, 3), 0).reshape(volume.shape) > 0)


def test_segments_say_what_they_are_and_who_the_patient_is(tmp_path):
    slices = series(STRAIGHT)
    draw = balls((*within(slices), 1.5), (*within(slices, (0, 0, 8)), 1.2))
    run = run_of(tmp_path, slices, draw)
    export(run, tmp_path / "out", "dicom-seg")
    data = pydicom.dcmread(tmp_path / "out/sub-s_ses-t0_lesions.dcm")
    assert data.SegmentationType == "BINARY"
    assert [s.SegmentLabel for s in data.SegmentSequence] == ["lesion 1", "lesion 2"]
    for segment in data.SegmentSequence:
        assert segment.SegmentedPropertyCategoryCodeSequence[0].CodeValue == "49755003"
        assert segment.SegmentedPropertyTypeCodeSequence[0].CodeValue == "52988006"
        assert segment.SegmentAlgorithmType == "AUTOMATIC"
        assert segment.SegmentAlgorithmName == "somray"
        assert segment.TrackingID == segment.SegmentLabel
    assert (data.PatientName, data.PatientID, data.PatientSex) == ("Secret^Name", "SECRET-ID", "F")
    assert (data.ContentDate, data.ContentTime) == ("20010203", "101500")
    assert data.ContributingEquipmentSequence[0].Manufacturer == "Maker"
    som = pydicom.dcmread(tmp_path / "out/sub-s_ses-t0_som.dcm")
    assert [s.SegmentLabel for s in som.SegmentSequence] == ["normal", "lesion"]
    assert_valid(tmp_path / "out/sub-s_ses-t0_som.dcm")


def test_one_lesion_keeps_its_uid_over_sessions_and_the_bytes_are_the_same(tmp_path):
    for n in (0, 1):
        slices = series(STRAIGHT, SeriesInstanceUID=generate_uid(entropy_srcs=[str(n)]))
        for s in slices:
            s.PixelData = (np.frombuffer(s.PixelData, "<i2") + n).astype("<i2").tobytes()
        save(tmp_path / f"t{n}", slices)
    draw = balls((*within(slices), 1.5), (*within(slices, (0, 0, 8)), 1.2))
    rows = [("s", "t0", "t0"), ("s", "t1", "t1"), ("other", "t0", "t0")]
    run = ingested(tmp_path, rows, draw, modality="CT")
    for form, out in itertools.product(("dicom-seg", "rtstruct"), ("one", "two")):
        export(run, tmp_path / out / form, form, "--label", "lesions")
    uids = {}
    for subject, session in (("s", "t0"), ("s", "t1"), ("other", "t0")):
        name = f"sub-{subject}_ses-{session}_lesions.dcm"
        data = pydicom.dcmread(tmp_path / "one/dicom-seg" / name)
        uids[subject, session] = [s.TrackingUID for s in data.SegmentSequence]
        for form in ("dicom-seg", "rtstruct"):
            first, second = ((tmp_path / out / form / name).read_bytes() for out in ("one", "two"))
            assert first == second
    assert uids["s", "t0"] == uids["s", "t1"]
    assert not set(uids["s", "t0"]) & set(uids["other", "t0"])
    assert len(set(uids["s", "t0"])) == 2


@pytest.mark.parametrize("kind", ["tilted", "uneven"])
def test_a_mask_goes_back_to_slices_that_were_resampled(tmp_path, capsys, kind):
    slide = (0.0, 0.7, 0.0) if kind == "tilted" else (0.0, 0.0, 0.0)
    heights = None if kind == "tilted" else [0.0, 2.0, 4.0, 7.0, 9.0]
    slices = series(STRAIGHT, slide=slide, heights=heights)
    draw = balls((*within(slices, (2.6, 4.1, 4.1)), 2.6))
    run = run_of(tmp_path, slices, draw, irregular="resample")
    export(run, tmp_path / "out", "dicom-seg", "--label", "lesions")
    for segment, uid, _, position, shown in frames(tmp_path / "out/sub-s_ses-t0_lesions.dcm"):
        place = next(s for s in slices if s.SOPInstanceUID == uid).ImagePositionPatient
        places = plane(np.array(place, float), STRAIGHT)
        assert segment == 1
        assert np.allclose(position, np.array(place, float))
        # The run's grid lies up to half a slice and half a pixel beside: no voxel farther from the border differs.
        distance = np.linalg.norm(places - within(slices, (2.6, 4.1, 4.1)), axis=-1)
        assert shown[distance < 2.6 - 1.3].all()
        assert not shown[distance > 2.6 + 1.3].any()
    found = told(run, tmp_path / "nifti", "nifti", capsys, "--label", "lesions")
    wanted = "tilted" if kind == "tilted" else "uneven"
    assert wanted in found["notes"][0]["note"]


def test_a_tilted_series_becomes_a_sheared_nifti_of_its_own_slices(tmp_path):
    import nibabel as nib

    slices = series(STRAIGHT, slide=(0.0, 0.7, 0.0))
    run = run_of(tmp_path, slices, balls((*within(slices), 2.5)), irregular="resample")
    export(run, tmp_path / "out", "nifti", "--label", "student")
    image = nib.load(tmp_path / "out/sub-s_ses-t0_student.nii.gz")
    assert image.shape == (COLUMNS, ROWS, 5)
    assert (int(image.header["sform_code"]), int(image.header["qform_code"])) == (1, 0)
    for z, s in enumerate(slices):
        x, y, height = (float(v) for v in s.ImagePositionPatient)
        assert np.allclose(image.affine @ [0, 0, z, 1], [-x, -y, height, 1], atol=1e-4)


def enhanced(slices, order):
    """Make one enhanced object of slices, its frames in an order of their own."""
    data = make_slice((0, 0, 0), **HEADER)
    for name in (
        "ImagePositionPatient",
        "ImageOrientationPatient",
        "PixelSpacing",
        "SliceThickness",
    ):
        data.pop(name, None)
    data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.2.1"
    data.NumberOfFrames = len(slices)
    data.PixelData = b"".join(slices[z].PixelData for z in order)

    def of(**values):
        item = Dataset()
        for name, value in values.items():
            setattr(item, name, value)
        return item

    data.SharedFunctionalGroupsSequence = [
        of(PixelMeasuresSequence=[of(PixelSpacing=slices[0].PixelSpacing, SliceThickness="2")])
    ]
    data.PerFrameFunctionalGroupsSequence = [
        of(
            PlanePositionSequence=[of(ImagePositionPatient=slices[z].ImagePositionPatient)],
            PlaneOrientationSequence=[
                of(ImageOrientationPatient=slices[z].ImageOrientationPatient)
            ],
        )
        for z in order
    ]
    return data


def test_frames_of_an_enhanced_source_are_referred_to_by_number(tmp_path):
    slices, order = series(turned(5)), [3, 0, 4, 2, 1]
    source = enhanced(slices, order)
    draw = balls((*within(slices), 2.4))
    run = run_of(tmp_path, [source], draw)
    export(run, tmp_path / "out", "dicom-seg", "--label", "lesions")
    export(run, tmp_path / "rt", "rtstruct", "--label", "lesions")
    seen = 0
    for _, uid, number, position, shown in frames(tmp_path / "out/sub-s_ses-t0_lesions.dcm"):
        s = slices[order[int(number) - 1]]
        assert uid == source.SOPInstanceUID
        assert np.allclose(position, np.array(s.ImagePositionPatient, float), atol=1e-6)
        places = plane(position, np.array(s.ImageOrientationPatient, float))
        assert np.array_equal(shown, draw(places.reshape(-1, 3), 0).reshape(ROWS, COLUMNS) > 0)
        seen += shown.sum()
    assert seen > 20
    assert_valid(tmp_path / "out/sub-s_ses-t0_lesions.dcm")
    contours = pydicom.dcmread(tmp_path / "rt/sub-s_ses-t0_lesions.dcm").ROIContourSequence[0]
    numbers = {c.ContourImageSequence[0].ReferencedFrameNumber for c in contours.ContourSequence}
    assert numbers <= {1, 2, 3, 4, 5}
    assert len(numbers) > 1


@pytest.mark.parametrize("kind", ["compressed", "bare", "anonymous", "odd"])
def test_any_source_that_was_read_can_be_referred_to(tmp_path, kind):
    slices = series(STRAIGHT)
    changes = {
        "bare": dict.fromkeys(("PatientSex", "StudyID", "AccessionNumber", "StudyTime", "SliceThickness")),
        "anonymous": dict.fromkeys(("PatientName", "PatientID", "PatientBirthDate", "StudyDate", "SeriesDate")),
        "odd": {"PatientBirthDate": "1955", "PatientSex": "W", "StudyTime": "noon", "SpacingBetweenSlices": "-2"},
    }.get(kind, {})  # fmt: skip
    with pytest.warns() if kind == "odd" else _nothing():
        slices = series(STRAIGHT, **changes)
        for s in slices:
            if kind == "compressed":
                s.compress(RLELossless, generate_instance_uid=False)
        # A rounded direction of one slice is no other direction.
        slices[2].ImageOrientationPatient = [1, 1e-6, 0, -1e-6, 1, 0]
        run = run_of(tmp_path, slices, balls((*within(slices), 2.4)))
    for form in ("dicom-seg", "rtstruct"):
        export(run, tmp_path / form, form, "--label", "lesions")
        assert_valid(tmp_path / form / "sub-s_ses-t0_lesions.dcm")


def _nothing():
    import contextlib

    return contextlib.nullcontext()


def test_what_cannot_be_such_an_object_is_left_out_with_its_reason(tmp_path, capsys, monkeypatch):
    import nibabel as nib

    slices = series(STRAIGHT)
    save(tmp_path / "empty", slices)
    save(tmp_path / "unplaced", series(STRAIGHT, FrameOfReferenceUID=None, RescaleIntercept="-99"))
    image = np.random.default_rng(0).normal(40, 200, (5, 4, 3)).astype(np.float32)
    nib.Nifti1Image(image, np.eye(4)).to_filename(tmp_path / "c.nii.gz")
    rows = [("a", "t0", "empty"), ("b", "t0", "unplaced"), ("c", "t0", "c.nii.gz")]

    def draw(places, t):
        return (
            np.full(len(places), 1)
            if len(places) != 5 * ROWS * COLUMNS
            else np.zeros(len(places), int)
        )

    run = ingested(tmp_path, rows, draw, modality="CT")
    for form in ("dicom-seg", "rtstruct"):
        found = told(run, tmp_path / "out", form, capsys, "--label", "lesions")
        reasons = {one["subject"]: one["reason"] for one in found["left_out"]}
        assert found["files"] == []
        assert "the mask is empty" in reasons["a"]
        assert "FrameOfReferenceUID" in reasons["b"]
        assert reasons["c"] == f"{form} needs a DICOM source"
    monkeypatch.setattr("somray.commands.export.masks.MOST_BYTES", 100)
    found = told(run, tmp_path / "out", "dicom-seg", capsys, "--subject", "a", "--label", "som")
    assert "export it as nifti" in found["left_out"][0]["reason"]
    monkeypatch.setitem(sys.modules, "highdicom", None)
    export(run, tmp_path / "out", "dicom-seg", code=2)
    assert "pip install 'somray[export]'" in capsys.readouterr().err


def test_an_object_of_another_kind_is_not_replaced(tmp_path, capsys):
    slices = series(STRAIGHT)
    run = run_of(tmp_path, slices, balls((*within(slices), 2.4)))
    export(run, tmp_path / "out", "dicom-seg", "--label", "lesions")
    before = (tmp_path / "out/sub-s_ses-t0_lesions.dcm").read_bytes()
    found = told(run, tmp_path / "out", "rtstruct", capsys, "--label", "lesions")
    assert "a folder of its own" in found["left_out"][0]["reason"]
    assert (tmp_path / "out/sub-s_ses-t0_lesions.dcm").read_bytes() == before


@pytest.mark.parametrize("seed", range(3))
def test_contours_give_the_mask_back_in_the_plane_of_each_slice(tmp_path, seed):
    slices = series(turned(seed) if seed else STRAIGHT)
    middle = within(slices)

    def draw(places, t):
        distance = np.linalg.norm(places - middle, axis=1)
        return np.where((distance < 2.9) & (distance > 1.1), 1, 0) + 2 * (distance > 5.2)

    run = run_of(tmp_path, slices, draw)
    export(run, tmp_path / "out", "rtstruct", "--label", "lesions")
    file = tmp_path / "out/sub-s_ses-t0_lesions.dcm"
    assert_valid(file)
    data = pydicom.dcmread(file)
    assert [r.ROIName for r in data.StructureSetROISequence] == ["lesion 1", "lesion 2"]
    assert data.Modality == "RTSTRUCT"
    by_uid = {s.SOPInstanceUID: s for s in slices}
    shown = {(s.SOPInstanceUID, n): np.zeros((ROWS, COLUMNS), bool) for s in slices for n in (1, 2)}
    for region in data.ROIContourSequence:
        for contour in region.ContourSequence:
            assert contour.ContourGeometricType == "CLOSED_PLANAR"
            uid = contour.ContourImageSequence[0].ReferencedSOPInstanceUID
            pixels = _pixels(np.array(contour.ContourData, float).reshape(-1, 3), by_uid[uid])
            filled = polygon2mask((ROWS, COLUMNS), pixels[:, ::-1])
            assert not (shown[uid, region.ReferencedROINumber] & filled).any()
            shown[uid, region.ReferencedROINumber] |= filled
    for s in slices:
        places = plane(
            np.array(s.ImagePositionPatient, float), np.array(s.ImageOrientationPatient, float)
        )
        drawn = draw(places.reshape(-1, 3), 0).reshape(ROWS, COLUMNS)
        for number in (1, 2):
            assert np.array_equal(shown[s.SOPInstanceUID, number], drawn == number)
    grid = read_meta(Storage.at(str(run)), ScanPlace(str(run), "s", "t0").name).geometry
    places = grid.to_world(np.indices(grid.shape, dtype=float).reshape(3, -1).T)
    with open_mask(str(file), grid) as mask:
        read = mask.read(0, 0, grid.shape[0])
    assert np.array_equal(read, draw(places, 0).reshape(grid.shape))
    check_frame(str(file), str(tmp_path / "dicom"))


def _pixels(points, header):
    """Take LPS mm to x, y in pixels, and see that they lie in the slice."""
    orientation = np.array(header.ImageOrientationPatient, float)
    offsets = points - np.array(header.ImagePositionPatient, float)
    assert np.abs(offsets @ np.cross(orientation[:3], orientation[3:])).max() < 1e-5
    tall, wide = (float(v) for v in header.PixelSpacing)
    return np.column_stack([offsets @ orientation[:3] / wide, offsets @ orientation[3:] / tall])


def test_names_in_other_scripts_stay_what_they_are(tmp_path):
    name = "Yamada^Tarou=山田^太郎"
    slices = series(
        STRAIGHT,
        SpecificCharacterSet=["", "ISO 2022 IR 87"],
        PatientName=name,
        PatientIdentityRemoved="YES",
        DeidentificationMethod="",
        PatientComments="",
        PatientWeight="61.5",
    )
    run = run_of(tmp_path, slices, balls((*within(slices), 2.4)))
    for form in ("dicom-seg", "rtstruct"):
        export(run, tmp_path / form, form, "--label", "lesions")
        file = tmp_path / form / "sub-s_ses-t0_lesions.dcm"
        data = pydicom.dcmread(file)
        assert str(data.PatientName) == name
        assert data.PatientWeight == 61.5
        assert data.DeidentificationMethod == "not told by the source"
        assert "PatientComments" not in data
        assert_valid(file)


@pytest.mark.parametrize("kind", ["files", "frames"])
def test_each_time_point_is_an_object_of_its_own(tmp_path, kind):
    both = [series(STRAIGHT, TemporalPositionIdentifier=t + 1) for t in range(2)]
    for s in both[1]:
        s.PixelData = (np.frombuffer(s.PixelData, "<i2") + 1).astype("<i2").tobytes()
    slices = [
        s for pair in zip(*both, strict=True) for s in pair
    ]  # interleaved, as some scanners do
    if kind == "frames":
        source = enhanced(slices, range(10))
        for n, group in enumerate(source.PerFrameFunctionalGroupsSequence):
            group.FrameContentSequence = [Dataset()]
            group.FrameContentSequence[0].TemporalPositionIndex = n % 2 + 1
    middle = within(both[0])

    def draw(places, t):
        return (np.linalg.norm(places - middle, axis=1) < 1.6 + t).astype(int)

    run = run_of(tmp_path, [source] if kind == "frames" else slices, draw)
    for t in range(2):
        export(run, tmp_path / "out", "dicom-seg", "--label", "lesions")
        seen = 0
        for _, uid, number, position, shown in frames(
            tmp_path / f"out/sub-s_ses-t0_lesions_t{t}.dcm"
        ):
            s = (
                slices[int(number) - 1]
                if number
                else next(s for s in slices if s.SOPInstanceUID == uid)
            )
            assert s.TemporalPositionIdentifier == t + 1
            assert np.allclose(position, np.array(s.ImagePositionPatient, float))
            drawn = draw(plane(position, STRAIGHT).reshape(-1, 3), t).reshape(ROWS, COLUMNS) > 0
            assert np.array_equal(shown, drawn)
            seen += shown.sum()
        assert seen > 5
        assert_valid(tmp_path / f"out/sub-s_ses-t0_lesions_t{t}.dcm")


def test_a_single_slice_is_enough(tmp_path):
    slices = series(turned(3), count=1)
    draw = balls((*within(slices, (2.5, 3.5, 0.0)), 2.0))
    run = run_of(tmp_path, slices, draw)
    export(run, tmp_path / "out", "dicom-seg", "--label", "lesions")
    assert_on_its_slices(tmp_path / "out/sub-s_ses-t0_lesions.dcm", slices, draw)
    assert_valid(tmp_path / "out/sub-s_ses-t0_lesions.dcm")


def test_enhanced_objects_of_one_frame_each_are_slices(tmp_path):
    slices = series(turned(4))
    sources = [enhanced([s], [0]) for s in slices]
    draw = balls((*within(slices), 2.4))
    run = run_of(tmp_path, sources, draw)
    export(run, tmp_path / "out", "dicom-seg", "--label", "lesions")
    data = pydicom.dcmread(tmp_path / "out/sub-s_ses-t0_lesions.dcm")
    assert {r.ReferencedSOPClassUID for r in data.SourceImageSequence} == {sources[0].SOPClassUID}
    for source, s in zip(sources, slices, strict=True):
        source.ImagePositionPatient = s.ImagePositionPatient
        source.ImageOrientationPatient = s.ImageOrientationPatient
    assert_on_its_slices(tmp_path / "out/sub-s_ses-t0_lesions.dcm", sources, draw)
    assert_valid(tmp_path / "out/sub-s_ses-t0_lesions.dcm")
