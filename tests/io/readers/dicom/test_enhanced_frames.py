"""Frames of multi-frame files, each where its own groups place it and scaled as they say."""

import highdicom
import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from somray.errors import DataError
from somray.io.readers import open_source
from tests.io.dicom_files import COLUMNS, ROWS, field, make_slice, save

COSINES = (0.8, 0.6, 0.0, -0.6, 0.8, 0.0)


def holding(**values):
    data = Dataset()
    for name, value in values.items():
        setattr(data, name, value)
    return data


def group(name, **values):
    return {name: Sequence([holding(**values)])}


def enhanced(order=(2, 0, 3, 1), cosines=COSINES, *, edit=None, shared=None, **changes):
    """Make an enhanced CT of slices 2 mm apart, stored in any order; `edit` changes a frame's groups."""
    normal = np.cross(cosines[:3], cosines[3:])
    places = {i: np.array([5.0, -7.0, 11.0]) + 2.0 * i * normal for i in order}
    data = make_slice(
        (0, 0, 0), SOPClassUID="1.2.840.10008.5.1.4.1.1.2.1", ImagePositionPatient=None,
        ImageOrientationPatient=None, PixelSpacing=None, SliceThickness=None, RescaleSlope=None,
        RescaleIntercept=None, NumberOfFrames=len(order),
    )  # fmt: skip
    groups = []
    for i in order:
        frame = holding(**group("PlanePositionSequence", ImagePositionPatient=list(places[i])))
        if edit is not None:
            edit(frame, i)
        groups.append(frame)
    common = holding(
        **group("PlaneOrientationSequence", ImageOrientationPatient=list(cosines)),
        **group("PixelMeasuresSequence", PixelSpacing=[1.5, 0.75], SliceThickness=5.0),
        **(
            group("PixelValueTransformationSequence", RescaleSlope="0.02", RescaleIntercept="-100", RescaleType="HU")
            if shared is None else shared
        ),
    )  # fmt: skip
    data.PerFrameFunctionalGroupsSequence = Sequence(groups)
    data.SharedFunctionalGroupsSequence = Sequence([common])
    data.PixelData = b"".join(make_slice(places[i], cosines).PixelData for i in order)
    for name, value in changes.items():
        setattr(data, name, value)
    return data


def assert_field(source, atol=0.02):
    header = source.header
    found = source.read(0, 0, header.shape[1])
    index = np.argwhere(np.ones(found.shape, dtype=bool)).astype(float)
    np.testing.assert_allclose(found.ravel(), field(header.geometry.to_world(index)), atol=atol)


def refusal(folder):
    with pytest.raises(DataError) as caught:
        open_source(folder)
    return caught.value


def test_frames_in_any_order_lie_where_their_groups_say(tmp_path):
    with open_source(save(tmp_path / "a", [enhanced()]) / "000.dcm") as source:
        assert source.header.shape == (1, 4, ROWS, COLUMNS)
        assert source.header.geometry.spacing_mm == pytest.approx((2.0, 1.5, 0.75))
        assert (source.header.unit, source.header.repairs) == ("HU", ())
        assert_field(source)


def test_each_frame_has_its_own_rescaling(tmp_path):
    def edit(frame, i):
        slope = 0.02 if i % 2 else 0.04
        frame.PixelValueTransformationSequence = Sequence(
            [holding(RescaleSlope=str(slope), RescaleIntercept="-100", RescaleType="HU")]
        )

    with open_source(save(tmp_path / "a", [enhanced(edit=edit, shared={})])) as source:
        found = source.read(0, 0, 4)
    with open_source(save(tmp_path / "b", [enhanced()])) as source:
        plain = source.read(0, 0, 4)
    np.testing.assert_allclose(found[1::2], plain[1::2], atol=1e-3)
    np.testing.assert_allclose(found[::2] + 100, 2 * (plain[::2] + 100), atol=1e-3)


def test_a_real_world_mapping_stands_in_for_rescaling(tmp_path):
    unit = holding(CodeValue="[hnsf'U]", CodingSchemeDesignator="UCUM", CodeMeaning="HU")
    mapping = group(
        "RealWorldValueMappingSequence", RealWorldValueSlope=0.02, RealWorldValueIntercept=-100.0,
        MeasurementUnitsCodeSequence=Sequence([unit]),
    )  # fmt: skip
    with open_source(save(tmp_path / "a", [enhanced(shared=mapping)])) as source:
        assert source.header.unit == "HU"
        assert_field(source)


def test_a_volume_in_parts_is_joined(tmp_path):
    parts = [enhanced((3, 1)), enhanced((0, 2))]
    for i, part in enumerate(parts):
        part.ConcatenationUID, part.InConcatenationNumber, part.InConcatenationTotalNumber = (
            "1.2", i + 1, 2,
        )  # fmt: skip
    folder = save(tmp_path / "a", parts)
    for place in (folder, folder / "001.dcm"):
        with open_source(place) as source:
            assert source.header.shape[1] == 4
            assert_field(source)


def test_time_points_of_frames_are_kept_apart(tmp_path):
    def edit(frame, i):
        frame.FrameContentSequence = Sequence([holding(TemporalPositionIndex=2 - i // 2)])
        place = frame.PlanePositionSequence[0]
        place.ImagePositionPatient = [0.0, 0.0, 2.0 * (i % 2)]

    with open_source(save(tmp_path / "a", [enhanced(edit=edit)])) as source:
        assert source.header.shape[:2] == (2, 2)
        early, late = source.read(0, 0, 2), source.read(1, 0, 2)
    assert early.mean() == pytest.approx(field(np.array([5, -7, 11 + 5.0])).mean(), abs=40)
    np.testing.assert_allclose(
        early - late, 2 * 4.0 * np.ones_like(early), atol=0.05
    )  # two slices up


@pytest.mark.parametrize(
    ("sequence", "name", "code"),
    [
        ("FrameContentSequence", "FrameAcquisitionNumber", "time_by_acquisition"),
        ("CardiacSynchronizationSequence", "NominalPercentageOfCardiacPhase", "time_by_trigger"),
    ],
)
def test_frames_tell_acquisition_and_phase_in_their_groups(tmp_path, sequence, name, code):
    def edit(frame, i):
        setattr(frame, sequence, Sequence([holding(**{name: 30 + 40 * (i // 2)})]))
        frame.PlanePositionSequence[0].ImagePositionPatient = [0.0, 0.0, 2.0 * (i % 2)]

    with open_source(save(tmp_path / "a", [enhanced(edit=edit)])) as source:
        assert source.header.shape[:2] == (2, 2)
        assert source.header.repairs == (code,)


@pytest.mark.parametrize(
    ("edit", "code", "named"),
    [
        (lambda f, i: f.pop("PlanePositionSequence"), "no_space", "ImagePositionPatient"),
        (
            lambda f, i: setattr(f, "FrameContentSequence", Sequence([holding(StackID=str(i // 2))])),
            "mixed_series", "StackID",
        ),
        (
            lambda f, i: setattr(
                f, "PlaneOrientationSequence",
                Sequence([holding(ImageOrientationPatient=[0, 1, 0, 0, 0, -1] if i else list(COSINES))]),
            ),
            "mixed_series", "orientation",
        ),
        (
            lambda f, i: setattr(
                f, "CTImageFrameTypeSequence",
                Sequence([holding(FrameType=["ORIGINAL", "PRIMARY", "LOCALIZER", "NONE"])]),
            ),
            "localizer", "LOCALIZER",
        ),
    ],
)  # fmt: skip
def test_frames_of_no_single_volume_are_refused(tmp_path, edit, code, named):
    error = refusal(save(tmp_path / "a", [enhanced(edit=edit)]))
    assert error.code == code
    assert named in error.message


def test_groups_that_do_not_fit_the_frames_are_refused(tmp_path):
    error = refusal(save(tmp_path / "a", [enhanced(NumberOfFrames=3)]))
    assert (error.code, "NumberOfFrames" in error.message) == ("unreadable", True)


def test_a_legacy_converted_series_reads_as_the_series_itself(tmp_path):
    slices = [make_slice((5, -7, 11 + 2.0 * i)) for i in (2, 0, 1)]
    for number, data in enumerate(slices):
        data.update(
            holding(
                StudyInstanceUID="1.2.3", StudyID="", StudyTime="", AccessionNumber="", PatientSex="",
                ReferringPhysicianName="", Manufacturer="", SeriesNumber=1, InstanceNumber=number + 1,
                FrameOfReferenceUID="1.2.4", PositionReferenceIndicator="", AcquisitionNumber=1, KVP="",
                ContentDate="20010203", ContentTime="101010", PatientPosition="HFS", Laterality="",
                AcquisitionDate="20010203", AcquisitionTime="101010",
            )
        )  # fmt: skip
    whole = highdicom.legacy.LegacyConvertedEnhancedCTImage(
        legacy_datasets=slices, series_instance_uid="1.2.5", series_number=2, sop_instance_uid="1.2.6",
        instance_number=1,
    )  # fmt: skip
    with (
        open_source(save(tmp_path / "a", slices)) as series,
        open_source(save(tmp_path / "b", [whole])) as source,
    ):
        np.testing.assert_array_equal(source.read(0, 0, 3), series.read(0, 0, 3))
        assert source.header.geometry == series.header.geometry
        assert source.header.unit == series.header.unit == "HU"


def stacked(count=4, start=(5.0, -7.0, 11.0), **changes):
    """Make an older multi-frame file, whose frames are 2 mm apart."""
    places = [(start[0], start[1], start[2] + 2.0 * i) for i in range(count)]
    pixels = b"".join(make_slice(place).PixelData for place in places)
    return make_slice(start, NumberOfFrames=count, PixelData=pixels, **changes)


@pytest.mark.parametrize(
    "vector",
    [
        {"GridFrameOffsetVector": [0.0, 2.0, 4.0, 6.0]},
        {"GridFrameOffsetVector": [11.0, 13.0, 15.0, 17.0]},
        {"SliceLocationVector": ["11", "13", "15", "17"]},
        {"SliceLocationVector": ["-11", "-13", "-15", "-17"]},
    ],
)
def test_frames_are_placed_by_a_vector(tmp_path, vector):
    with open_source(save(tmp_path / "a", [stacked(**vector)])) as source:
        assert source.header.geometry.spacing_mm[0] == pytest.approx(2.0)
        assert_field(source)


@pytest.mark.parametrize(
    "changes",
    [
        {}, {"SpacingBetweenSlices": "2"}, {"SliceLocationVector": ["3", "5", "7", "9"]},
        {"GridFrameOffsetVector": [0.0, 2.0]},
        {"start": (5.0, -7.0, 0.0), "SliceLocationVector": ["0", "2", "4", "6"]},  # which way is up?
    ],
)  # fmt: skip
def test_frames_that_nothing_places_are_refused(tmp_path, changes):
    error = refusal(save(tmp_path / "a", [stacked(**changes)]))
    assert error.code == "no_space"
    assert "4 frames without positions" in error.message
