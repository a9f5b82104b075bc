"""DICOM Segmentations as masks; written here frame by frame, and a real one beside its NIfTI."""

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
    SegmentationStorage,
    generate_uid,
)

from somray.errors import DataError
from somray.io.masks.anatomy import organ_names
from somray.io.masks.dicom_objects import mask_object
from somray.io.masks.label_masks import LabelMask
from somray.io.masks.opening import may_overlap, open_mask
from somray.io.readers import open_source
from tests.io.dicom_files import make_slice, save

LABEL_MAPS = "1.2.840.10008.5.1.4.1.1.66.7"
SHAPE = (5, 6, 7)  # z, y, x: 42 pixels a frame, so that frames begin amid bytes
TURN = np.array([[0.8, -0.6, 0], [0.6, 0.8, 0], [0, 0, 1.0]])
SPACING = (3.0, 0.9, 0.7)  # z, y, x
ORIGIN = np.array([10.0, -20.0, 30.0])
LPS = np.eye(4)
LPS[:3, :3], LPS[:3, 3] = TURN * SPACING[::-1], ORIGIN


def item(**fields):
    data = Dataset()
    for name, value in fields.items():
        setattr(data, name, value)
    return data


def placed(segment, z):
    position = (LPS @ [0, 0, z, 1])[:3]
    return item(
        PlanePositionSequence=[item(ImagePositionPatient=[round(float(v), 6) for v in position])],
        SegmentIdentificationSequence=[item(ReferencedSegmentNumber=segment)],
    )


def write(path, planes, kind="BINARY", syntax=ExplicitVRLittleEndian, gap=True):
    """Write planes ((segment, z), (y, x) mask), in this order."""
    data = item(
        SOPClassUID=SegmentationStorage, SOPInstanceUID=generate_uid(), Modality="SEG", PatientName="Roe^Jane",
        Rows=SHAPE[1], Columns=SHAPE[2], NumberOfFrames=len(planes), SamplesPerPixel=1, PixelRepresentation=0,
        PhotometricInterpretation="MONOCHROME2", SegmentationType=kind,
    )  # fmt: skip
    bits = 1 if kind == "BINARY" else 8
    data.BitsAllocated = data.BitsStored = bits
    data.HighBit = bits - 1
    data.SegmentSequence = [item(SegmentNumber=n, SegmentLabel=f"organ {n}") for n in (1, 2)]
    measures = item(PixelSpacing=list(SPACING[1:]), SliceThickness=3.0)
    if gap:
        measures.SpacingBetweenSlices = SPACING[0]
    data.SharedFunctionalGroupsSequence = [
        item(
            PixelMeasuresSequence=[measures],
            PlaneOrientationSequence=[item(ImageOrientationPatient=[*TURN[:, 0], *TURN[:, 1]])],
        )
    ]
    data.PerFrameFunctionalGroupsSequence = [placed(*where) for where, _ in planes]
    stored = np.concatenate([np.asarray(mask).ravel() for _, mask in planes])
    raw = np.packbits(stored, bitorder="little") if bits == 1 else stored.astype(np.uint8)
    data.PixelData = raw.tobytes() + b"\0" * (raw.size % 2)
    data["PixelData"].VR = "OB" if syntax == ExplicitVRLittleEndian else "OW"
    if kind != "BINARY":
        data.MaximumFractionalValue = 200
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = syntax
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    if syntax in (ExplicitVRLittleEndian, ImplicitVRLittleEndian):
        data.save_as(path, enforce_file_format=True)
    else:
        data.PixelData = pydicom.encaps.encapsulate([b"\0\0"])
        data.save_as(path, enforce_file_format=True)
    return str(path)


@pytest.fixture
def masks():
    rng = np.random.default_rng(0)
    return {(segment, z): rng.integers(0, 2, SHAPE[1:]) for segment in (1, 2) for z in (1, 2, 4)}


def expected(masks):
    labels = np.zeros(SHAPE, np.int32)
    for segment in (2, 1):  # the first holds
        for (own, z), mask in masks.items():
            labels[z][(mask > 0) & (own == segment)] = segment
    return labels[1:]


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
@pytest.mark.parametrize("gap", [True, False])
@pytest.mark.parametrize("backwards", [True, False])
def test_frames_stand_where_they_say_in_any_order(tmp_path, masks, syntax, gap, backwards):
    planes = list(masks.items())[:: -1 if backwards else 1]
    path = write(tmp_path / "seg.dcm", planes, syntax=syntax, gap=gap)
    with LabelMask(path) as mask:
        np.testing.assert_array_equal(mask.read(0, 4), expected(masks))
        np.testing.assert_array_equal(mask.read(1, 2), expected(masks)[1:2])
        world = mask.geometry.to_world(np.array([[0.0, 0.0, 0.0], [3.0, 5.0, 6.0]]))
        assert mask.is_placed
    np.testing.assert_allclose(
        world, [(LPS @ [0, 0, 1, 1])[:3], (LPS @ [6, 5, 4, 1])[:3]], atol=1e-5
    )


def test_fractions_count_from_one_half_on(tmp_path):
    values = np.zeros(SHAPE[1:], int)
    values[0, :3] = 99, 100, 200
    with open_mask(write(tmp_path / "seg.dcm", [((1, 0), values)], kind="FRACTIONAL")) as source:
        assert source.read(0, 0, 1)[0, 0, :4].tolist() == [0.0, 1.0, 1.0, 0.0]


def test_segments_name_their_labels(tmp_path, masks):
    path = write(tmp_path / "seg.dcm", list(masks.items()))
    assert organ_names(path) == organ_names(str(tmp_path)) == {1: "organ 1", 2: "organ 2"}


@pytest.mark.parametrize(("name", "segment"), [("Organ 2", 2), ("2", 2), ("1", 1)])
@pytest.mark.parametrize("folder", [False, True])
def test_a_segment_is_chosen_by_its_name_as_it_was_drawn(tmp_path, masks, name, segment, folder):
    path = write(tmp_path / "seg.dcm", list(masks.items()))
    own = {where: mask for where, mask in masks.items() if where[0] == segment}
    with LabelMask(f"{tmp_path if folder else path}#channel={name}") as mask:
        np.testing.assert_array_equal(mask.read(0, 4), expected(own))
    assert may_overlap(path)
    with pytest.raises(DataError, match="no region of that name; correct `#channel=`"):
        open_mask(f"{path}#channel=organ")


def test_a_folder_of_one_segmentation_is_that_segmentation(tmp_path, masks):
    write(tmp_path / "1-1.dcm", list(masks.items()))
    with LabelMask(str(tmp_path)) as mask:
        np.testing.assert_array_equal(mask.read(0, 4), expected(masks))


def test_a_segmentation_is_no_scan_and_a_scan_no_segmentation(tmp_path, masks):
    path = write(tmp_path / "seg.dcm", list(masks.items()))
    with pytest.raises(DataError):
        open_source(path)
    (tmp_path / "text.dcm").write_text("no DICOM")
    assert mask_object(tmp_path / "text.dcm") is None
    assert mask_object(tmp_path)  # the only one in there


def spoil(path, masks, edit):
    data = pydicom.dcmread(write(path, list(masks.items())))
    edit(data)
    data.save_as(path)
    return str(path)


def moved(data, at, value):
    data.PerFrameFunctionalGroupsSequence[at].PlanePositionSequence[0].ImagePositionPatient = value


def named(data):
    measures = data.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    measures.add_new(0x00280030, "LO", ["Roe^Jane", "x"])


@pytest.mark.parametrize(
    ("edit", "code"),
    [
        (lambda d: moved(d, 1, [10, -20, 34.7]), "irregular"),
        (lambda d: moved(d, 1, [14, -20, 33]), "irregular"),
        (lambda d: moved(d, 1, [10, -20, 9e6]), "unreadable"),
        (lambda d: setattr(d, "Rows", 600), "truncated"),
        (lambda d: setattr(d, "SegmentationType", "LABELMAP"), "unreadable"),
        (lambda d: setattr(d, "BitsAllocated", 32), "unreadable"),
        (lambda d: delattr(d, "PerFrameFunctionalGroupsSequence"), "unreadable"),
        (lambda d: delattr(d, "SharedFunctionalGroupsSequence"), "no_space"),
        (named, "unreadable"),
    ],
)
def test_what_cannot_be_placed_or_read_is_refused_without_a_name(tmp_path, masks, edit, code):
    with pytest.raises(DataError) as caught:
        open_mask(spoil(tmp_path / "seg.dcm", masks, edit))
    assert (caught.value.code, "Roe" in caught.value.message) == (code, False)


def test_frames_of_a_tilted_gantry_stand_where_they_say(tmp_path, masks):
    def tilt(data):
        for frame in data.PerFrameFunctionalGroupsSequence:
            place = frame.PlanePositionSequence[0]
            x, y, z = place.ImagePositionPatient
            place.ImagePositionPatient = [x, round(float(y) + 0.2 * (float(z) - 30), 6), z]

    with LabelMask(spoil(tmp_path / "seg.dcm", masks, tilt)) as mask:
        np.testing.assert_array_equal(mask.read(0, 4), expected(masks))
        world = mask.geometry.to_world(np.array([[3.0, 5.0, 6.0]]))
    wanted = (LPS @ [6, 5, 4, 1])[:3] + np.array([0, 0.2 * 12, 0])
    np.testing.assert_allclose(world, [wanted], atol=1e-5)


def test_a_compressed_segmentation_is_refused_by_name(tmp_path, masks):
    path = write(tmp_path / "seg.dcm", list(masks.items()), syntax=RLELossless)
    with pytest.raises(DataError, match="compressed segmentation"):
        open_mask(path)
    data = pydicom.dcmread(write(tmp_path / "plain.dcm", list(masks.items())))
    data.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    pydicom.dcmwrite(path, data)
    with pytest.raises(DataError, match="is a Explicit VR Big Endian segmentation; write it as"):
        open_mask(path)


def test_a_real_segmentation_is_its_nifti(real_data):
    folder = real_data / "pet_wholebody_QIN24"
    with (
        LabelMask(str(folder / "dicom_seg.dcm")) as seg,
        LabelMask(str(folder / "lesions.nii.gz")) as plain,
    ):
        found = [
            mask.geometry.to_world(
                np.argwhere(mask.read(0, mask.geometry.shape[0]) > 0).astype(float)
            )
            for mask in (seg, plain)
        ]
    assert len(found[0]) == 266
    apart = np.linalg.norm(found[0][:, None] - found[1][None], axis=2)
    assert apart.min(axis=0).max() < 1e-3
    assert apart.min(axis=1).max() < 1e-3


def test_values_of_a_label_map_are_its_labels(tmp_path):
    labels = np.arange(42).reshape(SHAPE[1:]) % 3
    path = write(
        tmp_path / "seg.dcm",
        [((0, 1), labels), ((0, 2), labels.T.reshape(SHAPE[1:]))],
        kind="LABELMAP",
    )
    data = pydicom.dcmread(path)
    for frame in data.PerFrameFunctionalGroupsSequence:
        del frame.SegmentIdentificationSequence
    data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = LABEL_MAPS
    data.SegmentSequence.append(item(SegmentNumber=0, SegmentLabel="background"))
    data.save_as(path)
    for syntax in (ExplicitVRLittleEndian, RLELossless):
        if syntax == RLELossless:
            data.compress(syntax)
            data.save_as(path)
        with LabelMask(path) as mask:
            np.testing.assert_array_equal(mask.read(0, 1)[0], labels)
        with LabelMask(f"{path}#channel=organ 2") as mask:
            np.testing.assert_array_equal(mask.read(0, 1)[0], labels * (labels == 2))
    data.add_new("PixelPaddingValue", "US", 2)  # the background may have another number
    data.save_as(path)
    with LabelMask(path) as mask:
        np.testing.assert_array_equal(mask.read(0, 1)[0], labels % 2)
    assert organ_names(path) == {1: "organ 1", 2: "organ 2"}


def test_places_overrule_a_spacing_that_they_contradict(tmp_path, masks):
    def thick(data):
        measures = data.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
        measures.SpacingBetweenSlices = 5.0

    with LabelMask(spoil(tmp_path / "seg.dcm", masks, thick)) as mask:
        np.testing.assert_array_equal(mask.read(0, 4), expected(masks))


def test_a_segmentation_beside_its_series_is_the_mask_and_of_two_one_must_be_named(tmp_path, masks):
    save(tmp_path, [make_slice((0, 0, 3.0 * n)) for n in range(2)])
    write(tmp_path / "seg.dcm", list(masks.items()))
    with LabelMask(str(tmp_path)) as mask:
        np.testing.assert_array_equal(mask.read(0, 4), expected(masks))
    write(tmp_path / "other.dcm", list(masks.items()))
    with pytest.raises(DataError, match="holds 2 segmentations"):
        open_mask(str(tmp_path))
