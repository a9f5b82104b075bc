import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import JPEGLSLossless, RLELossless

from somray.errors import DataError
from somray.io.readers import open_source
from tests.io.dicom_files import COLUMNS, ROWS, field, make_pet, make_slice, save

TURN = np.array([[0.8, -0.6, 0.0], [0.6, 0.8, 0.0], [0.0, 0.0, 1.0]])
ORIENTATIONS = {
    "axial": (1, 0, 0, 0, 1, 0),
    "sagittal": (0, 1, 0, 0, 0, -1),
    "feet first, face down": (-1, 0, 0, 0, 1, 0),
    "oblique": (*TURN[:, 0], *TURN[:, 1]),
}


def stack(orientation=(1, 0, 0, 0, 1, 0), steps=(0, 3, 6, 9, 12), slip=0.0, **changes):
    """Make slices along the normal; slip slides them along the columns (gantry tilt)."""
    row, column = np.array(orientation[:3]), np.array(orientation[3:])
    normal = np.cross(row, column)
    start = np.array([5.0, -7.0, 11.0])
    places = [start + h * (normal + slip * column) for h in steps]
    return [make_slice(place, orientation, **changes) for place in places]


def code_of(place, irregular="refuse"):
    with pytest.raises(DataError) as caught, open_source(place, irregular) as source:
        source.read(0, 0, source.header.shape[1])
    assert "Secret" not in caught.value.message
    assert "SECRET" not in caught.value.message
    return caught.value.code


def assert_linear(source):
    """Check every voxel against the field at its own place in the world."""
    header = source.header
    found = source.read(0, 0, header.shape[1])
    index = np.argwhere(np.isfinite(found)).astype(float)
    wanted = field(header.geometry.to_world(index))
    np.testing.assert_allclose(found[np.isfinite(found)], wanted, atol=0.02)
    return found


@pytest.mark.parametrize("orientation", ORIENTATIONS.values(), ids=ORIENTATIONS)
def test_every_voxel_lies_where_its_header_says_whatever_the_file_order(tmp_path, orientation):
    slices = stack(orientation)
    mixed = [slices[i] for i in (3, 0, 4, 2, 1)]
    with open_source(save(tmp_path / "a", mixed)) as source:
        assert source.header.shape == (1, 5, ROWS, COLUMNS)
        assert np.isfinite(assert_linear(source)).all()
        assert np.linalg.det(source.header.geometry.matrix) > 0
        assert source.header.geometry.spacing_mm == pytest.approx((3.0, 1.5, 0.75))


@pytest.mark.parametrize(
    ("steps", "slip", "repairs"),
    [
        ((0, 3, 6, 9, 14), 0.0, ("resampled_z",)),
        ((0, 3, 6, 9, 12), 0.3, ("untilted",)),
        ((0, 3, 6.5, 9, 12, 15), -0.2, ("resampled_z", "untilted")),
    ],
)
def test_uneven_gaps_and_tilt_are_refused_or_resampled_truly(tmp_path, steps, slip, repairs):
    folder = save(tmp_path / "a", stack(ORIENTATIONS["oblique"], steps, slip))
    assert code_of(folder) == "irregular"
    with open_source(folder, "resample") as source:
        assert source.header.repairs == repairs
        assert source.header.geometry.spacing_mm[0] == pytest.approx(3.0)
        found = assert_linear(source)
        one_by_one = [source.read(0, z, z + 1)[0] for z in reversed(range(len(found)))]
        np.testing.assert_array_equal(np.stack(one_by_one[::-1]), found)
        assert np.isfinite(found).mean() > 0.5
        assert found.shape[2] == COLUMNS  # the slip runs along the columns only


def test_a_missing_slice_is_irregular_and_rounded_positions_are_not(tmp_path):
    slices = stack()
    assert code_of(save(tmp_path / "gap", slices[:2] + slices[3:])) == "irregular"
    with open_source(save(tmp_path / "round", stack(steps=(0, 3.01, 5.99, 9, 12)))) as source:
        assert source.header.repairs == ()


@pytest.mark.parametrize("steps", [(0, 3, 6, 9, 12, 1e6), (0, 3, 6, 9, 4e5)])
def test_a_gap_longer_than_what_was_scanned_is_not_filled(tmp_path, steps):
    assert code_of(save(tmp_path / "a", stack(steps=steps)), "resample") == "irregular"


def test_padding_is_never_blended(tmp_path):
    slices = stack(steps=(0, 3, 6, 9, 14), PixelPaddingValue=-32000)
    for data in slices:
        pixels = np.frombuffer(data.PixelData, "<i2").copy()
        pixels[:8] = -32000
        data.PixelData = pixels.tobytes()
    with open_source(save(tmp_path / "a", slices), "resample") as source:
        found = source.read(0, 0, source.header.shape[1])
        assert source.header.padding == pytest.approx(-740.0)
        assert (found[:, 0] == np.float32(-740.0)).all()
        assert found[:, 1:].min() > 200


def other(z, **changes):
    return make_slice((5.0, -7.0, 11.0 + z), **changes)


@pytest.mark.parametrize(
    ("stranger", "code"),
    [
        (lambda: other(15, SeriesInstanceUID="1.2.3"), "mixed_series"),
        (lambda: other(15, PatientID="SECRET-2"), "mixed_series"),
        (lambda: other(15, PixelSpacing=[1.0, 1.0]), "mixed_series"),
        (lambda: other(15, Modality="MR"), "mixed_series"),
        (lambda: other(15, ImageOrientationPatient=[0, 1, 0, 0, 0, -1]), "mixed_series"),
        (lambda: other(3), "mixed_series"),  # the same place twice
        (lambda: other(15, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]), "localizer"),
        (lambda: other(15, ImagePositionPatient=None), "no_space"),
        (lambda: other(15, SamplesPerPixel=3), "unreadable"),
        (lambda: other(15, PixelData=b"\0" * 10), "truncated"),
    ],
)
def test_a_stranger_in_the_folder_is_refused_with_its_code(tmp_path, stranger, code):
    assert code_of(save(tmp_path / "a", [*stack(), stranger()])) == code


def test_a_cut_file_is_truncated_wherever_it_is_cut(tmp_path):
    folder = save(tmp_path / "a", stack())
    victim = folder / "002.dcm"
    content = victim.read_bytes()
    for kept in (len(content) - 1, len(content) - 60, 500, 100):
        victim.write_bytes(content[:kept])
        assert code_of(folder) == "truncated"


def test_stray_text_and_dicomdir_are_no_obstacle_but_other_files_are(tmp_path):
    folder = save(tmp_path / "a", stack())
    for name in ("notes.txt", "DICOMDIR", ".hidden"):
        (folder / name).write_text("x")
    with open_source(folder) as source:
        assert source.header.shape[1] == 5
    (folder / "slice6").write_bytes(b"x" * 4000)
    assert code_of(folder) == "unreadable"


def test_one_file_is_one_slice_as_thick_as_it_says(tmp_path):
    folder = save(tmp_path / "a", stack()[:1])
    with open_source(folder / "000.dcm") as source:
        assert source.header.shape == (1, 1, ROWS, COLUMNS)
        assert source.header.geometry.spacing_mm[0] == 2.0
        assert source.header.repairs == ()


def test_time_points_are_kept_apart(tmp_path):
    slices = [
        other(z, TemporalPositionIdentifier=t, RescaleIntercept=str(-100 + 1000 * t))
        for z in (0, 3, 6) for t in (1, 2)
    ]  # fmt: skip
    with open_source(save(tmp_path / "a", slices)) as source:
        assert source.header.shape[:2] == (2, 3)
        difference = source.read(1, 0, 3) - source.read(0, 0, 3)
        np.testing.assert_allclose(difference, 1000, atol=1e-2)


def test_a_ct_without_rescale_is_raw_and_with_it_hu(tmp_path):
    with open_source(save(tmp_path / "hu", stack())) as source:
        assert (source.header.unit, source.header.modality) == ("HU", "CT")
    bare = stack(RescaleIntercept=None, RescaleSlope=None)
    with open_source(save(tmp_path / "raw", bare)) as source:
        assert source.header.unit == "raw"


def test_an_enhanced_file_is_read_frame_by_frame(tmp_path):
    slices = stack()
    data = make_slice((0, 0, 0), ImagePositionPatient=None, ImageOrientationPatient=None, PixelSpacing=None,
                      RescaleSlope=None, RescaleIntercept=None)  # fmt: skip
    data.NumberOfFrames = len(slices)
    data.PixelData = b"".join(s.PixelData for s in (slices[2], slices[0], slices[1], *slices[3:]))
    groups = []
    for one in (slices[2], slices[0], slices[1], *slices[3:]):
        group, position = Dataset(), Dataset()
        position.ImagePositionPatient = one.ImagePositionPatient
        group.PlanePositionSequence = Sequence([position])
        groups.append(group)
    shared, plane, measures, values = Dataset(), Dataset(), Dataset(), Dataset()
    plane.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    measures.PixelSpacing, measures.SliceThickness = [1.5, 0.75], 3.0
    values.RescaleSlope, values.RescaleIntercept, values.RescaleType = "0.02", "-100", "HU"
    shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = (
        Sequence([plane]),
        Sequence([measures]),
    )
    shared.PixelValueTransformationSequence = Sequence([values])
    data.SharedFunctionalGroupsSequence = Sequence([shared])
    data.PerFrameFunctionalGroupsSequence = Sequence(groups)
    with open_source(save(tmp_path / "a", [data]) / "000.dcm") as source:
        assert source.header.unit == "HU"
        assert np.isfinite(assert_linear(source)).all()


def test_run_length_compression_is_read_and_unknown_compression_is_told(tmp_path):
    slices = stack()
    for data in slices:
        data.compress(RLELossless, generate_instance_uid=False)
    with open_source(save(tmp_path / "rle", slices)) as source:
        assert np.isfinite(assert_linear(source)).all()
    for data in slices:
        data.file_meta.TransferSyntaxUID = JPEGLSLossless
    assert code_of(save(tmp_path / "jpeg", slices)) == "unreadable"


def suv_of(tmp_path, name, **changes):
    slices = [make_pet(z, slope, **changes) for z, slope in ((0, "2.5"), (3, "5"), (6, "1"))]
    with open_source(save(tmp_path / name, slices)) as source:
        values = source.read(0, 0, 3)[:, 0, 0]
        return source.header.unit, values / np.array([2500.0, 5015.0, 1006.0])


def test_pet_slopes_differ_by_slice_and_the_dose_decays_to_the_series(tmp_path):
    unit, factor = suv_of(tmp_path, "a")
    assert unit == "SUVbw"
    np.testing.assert_allclose(factor, 70000 / 3.5e8 * 2, rtol=1e-6)  # one half-life of 6600 s


def test_pet_corrected_to_injection_does_not_decay(tmp_path):
    unit, factor = suv_of(tmp_path, "a", DecayCorrection="ADMIN")
    assert unit == "SUVbw"
    np.testing.assert_allclose(factor, 70000 / 3.5e8, rtol=1e-6)


def test_injection_before_midnight_is_the_day_before(tmp_path):
    times = {"SeriesTime": "005000", "AcquisitionTime": "010000"}
    injected = make_pet(0).RadiopharmaceuticalInformationSequence[0]
    injected.RadiopharmaceuticalStartTime = "230000"
    _, factor = suv_of(tmp_path, "a", RadiopharmaceuticalInformationSequence=[injected], **times)
    np.testing.assert_allclose(factor, 70000 / 3.5e8 * 2, rtol=1e-6)


@pytest.mark.parametrize(
    "changes",
    [
        {"PatientWeight": None}, {"PatientWeight": "0"}, {"CorrectedImage": ["ATTN"]},
        {"DecayCorrection": "NONE"}, {"SeriesTime": None}, {"SeriesTime": "130000"},
        {"RadiopharmaceuticalInformationSequence": None},
    ],
)  # fmt: skip
def test_pet_stays_activity_where_the_header_does_not_allow_suv(tmp_path, changes):
    unit, factor = suv_of(tmp_path, "a", **changes)
    assert unit == "Bq/ml"
    np.testing.assert_allclose(factor, 1, rtol=1e-6)


def test_pet_in_grams_per_ml_is_suv_already_and_counts_are_raw(tmp_path):
    assert suv_of(tmp_path, "gml", Units="GML")[0] == "SUVbw"
    assert suv_of(tmp_path, "lean", Units="GML", SUVType="LBM")[0] == "raw"
    assert suv_of(tmp_path, "counts", Units="CNTS")[0] == "raw"


def test_philips_counts_become_suv_by_their_private_factor(tmp_path):
    slices = [make_pet(z, "1", Units="CNTS") for z in (0, 3)]
    for data in slices:
        block = data.private_block(0x7053, "Philips PET Private Group", create=True)
        block.add_new(0x00, "DS", "0.002")
    with open_source(save(tmp_path / "a", slices)) as source:
        assert source.header.unit == "SUVbw"
        assert source.read(0, 0, 1)[0, 0, 0] == pytest.approx(2.0)


def test_no_name_id_or_date_leaves_the_reader(tmp_path):
    with open_source(save(tmp_path / "a", stack())) as source:
        told = repr(source.header) + repr(source.series.frames)
    for secret in ("Secret", "SECRET", "19550505", "20010203"):
        assert secret not in told
